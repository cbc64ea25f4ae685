"""Asks large language models for descriptions of phrases and caches the answers."""
