"""Pooling of sequences through learned tokens, shared by text and motion encoders.

The tokens are put in front of the sequence and a transformer encodes the whole; its
outputs at the positions of the tokens are the summary.

Source: ACTOR, arXiv:2104.05670, section 3; TEMOS, arXiv:2204.14109, section 3.
"""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from actiongpt_jax.nn.attention import Dense
from actiongpt_jax.nn.dropout import dropout, dropout_seeds
from actiongpt_jax.nn.positional import sinusoids
from actiongpt_jax.nn.transformer import Encoder
from actiongpt_jax.structs import Gaussian

# These functions run inside the `__call__` of a Linen module, which is their first
# argument: the parameters that they create belong to it, and it has a field `sizes`.


def project(
    module: nn.Module, x: Float[Array, "b n e"], name: str
) -> Float[Array, "b n d"]:
    """Maps the last axis to the width of the latent by the dense layer `name`."""
    batch, length, width = x.shape
    dense = Dense(module.sizes.latent_dim, dtype=module.sizes.dtype, name=name)
    return dense(x.reshape(batch * length, width)).reshape(batch, length, -1)


def learned_token(module: nn.Module, name: str) -> jax.Array:
    """Creates the module's parameter `name`, a learned token (D,)."""
    return module.param(name, nn.initializers.normal(1.0), (module.sizes.latent_dim,))


def add_positions(
    module: nn.Module, x: Float[Array, "b n d"], deterministic: bool
) -> Float[Array, "b n d"]:
    """Adds positions 0 .. N-1 to (B, N, D), then applies the module's dropout."""
    sizes = module.sizes
    x = x + sinusoids(x.shape[1], sizes.latent_dim).astype(sizes.dtype)
    if not deterministic and sizes.dropout > 0:
        x = dropout(x, dropout_seeds(module, 1)[0], sizes.dropout)
    return x


def pool(
    module: nn.Module,
    names: Sequence[str],
    x: Float[Array, "b n d"],
    bias: Float[Array, "b n"],
    deterministic: bool,
) -> Float[Array, "b h d"]:
    """Encodes learned tokens and a sequence together; returns the encoded tokens.

    Args:
        module: the Linen module inside whose `__call__` this runs.
        names: names of the H learned tokens.
        x: (B, N, D) sequences.
        bias: (B, N) numbers added to the attention logits of each element.
        deterministic: True switches dropout off.

    Returns:
        (B, H, D) float32.
    """
    sizes, count = module.sizes, len(names)
    tokens = jnp.stack([learned_token(module, name) for name in names])
    tokens = jnp.broadcast_to(tokens, (len(x), count, sizes.latent_dim))
    x = jnp.concatenate([tokens.astype(sizes.dtype), x], axis=1)
    x = add_positions(module, x, deterministic)
    # The learned tokens are always real, so their bias is 0.
    bias = jnp.pad(bias, ((0, 0), (count, 0)))
    encoder = Encoder(sizes, name="encoder")
    return encoder(x, bias, deterministic, num_outputs=count).astype(jnp.float32)


def pool_gaussian(
    module: nn.Module,
    x: Float[Array, "b n d"],
    bias: Float[Array, "b n"],
    deterministic: bool,
) -> Gaussian:
    """Pools sequences into a Gaussian over (B, D) through a mu and a logvar token.

    The arguments are those of `pool`.
    """
    names = ("mu_token", "logvar_token")
    pooled = pool(module, names, x, bias, deterministic)
    return Gaussian(mu=pooled[:, 0], logvar=pooled[:, 1])
