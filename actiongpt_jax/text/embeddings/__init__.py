"""Embedding stores: descriptions through a pretrained text model, onto the disk."""
