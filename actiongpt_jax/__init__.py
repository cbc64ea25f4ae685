"""Text-to-motion with language-model descriptions (Action-GPT), in JAX."""

__version__ = "0.1.0"
