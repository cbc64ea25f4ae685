"""Embedding stores: token embeddings of phrases and their descriptions on disk."""
