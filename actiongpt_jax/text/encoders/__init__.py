"""Frozen pretrained text encoders: BERT, DistilBERT, MiniLM and CLIP's text half."""

from actiongpt_jax.text.encoders.loader import PretrainedEncoder, load

__all__ = ["PretrainedEncoder", "load"]
