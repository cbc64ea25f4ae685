"""What the published systems do in a training step, in stock torch.nn layers.

Written from the papers and from measured facts about the published code, run eagerly,
as who runs that code has it: several small calls where it has several, lists of
unpadded sequences where it has lists. Parameters carry the published names, so that
`conversion.from_torch.to_state_dict` fills them.
Needs `pip install 'actiongpt_jax[peers]'`.
"""
