"""Metrics: functions from arrays to figures, without models or files.

`ape_ave` compares generated with captured motion, `physical` needs no captured motion,
and `retrieval` measures in an evaluator's space. `intervals` computes bootstrap
intervals, and `validation` holds the metrics that run during training.
"""
