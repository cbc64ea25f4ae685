"""Transformer blocks shared by the text encoders and the motion models.

`attention` and `transformer` have the layers, `positional` the position tables,
`dropout` and `ops` what they compute with.
"""
