"""Batches of segments, pairs and windows of labelled motion, loaded in advance."""
