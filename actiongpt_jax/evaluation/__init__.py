"""Runs a trained model on a split and measures what it generates."""
