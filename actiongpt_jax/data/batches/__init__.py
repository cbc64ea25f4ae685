"""Batches of labelled motion: segments, pairs and windows, planned and loaded ahead."""
