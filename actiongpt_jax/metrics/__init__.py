"""Metrics: arrays in, figures out; no model and no file.

`ape_ave` compares with captured motion, `physical` needs none, `retrieval` measures in
an evaluator's space; `intervals` bootstraps, `validation` runs during training.
"""
