"""The training steps of the published systems, in stock torch.nn layers.

They are written from the papers and from measured facts about the published code, and
run eagerly like that code: they use several small calls where it does, and lists of
unpadded sequences where it does. Parameters have the published names, so that
`conversion.from_torch.to_state_dict` produces their weights.
Requires `pip install 'actiongpt_jax[peers]'`.
"""
