"""Transformer blocks shared by the text encoders and the motion models."""
