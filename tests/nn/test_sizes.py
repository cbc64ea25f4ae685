from actiongpt_jax.nn.sizes import split_sizes


def test_split_sizes_gives_every_field_to_one_side():
    fields = {"nfeats": 135, "latent_dim": 16, "dropout": 0.0, "text_mask": "bool"}
    sizes, other_fields = split_sizes(fields)
    assert sizes == {"latent_dim": 16, "dropout": 0.0}
    assert other_fields == {"nfeats": 135, "text_mask": "bool"}
