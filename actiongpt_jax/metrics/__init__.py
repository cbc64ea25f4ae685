"""Metrics: arrays in, figures out; no model and no file."""
