"""Transformer blocks shared by the text encoders and the motion models.

`attention` and `transformer` hold the layers, `positional` the position tables, and
`dropout` and `ops` the elementwise operations that the layers use.
"""
