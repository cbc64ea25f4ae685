"""Generating motion with a trained model."""
