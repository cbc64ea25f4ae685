"""What the text encoder and the motion encoder share: learned tokens that pool."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from actiongpt_jax.nn.attention import Dense
from actiongpt_jax.nn.dropout import dropout, dropout_seeds
from actiongpt_jax.nn.positional import sinusoids
from actiongpt_jax.nn.transformer import Encoder
from actiongpt_jax.structs import Gaussian


def project(
    module: nn.Module, x: Float[Array, "b n e"], name: str
) -> Float[Array, "b n d"]:
    """Maps the last axis to the latent's width through a dense layer of `module`."""
    batch, length, width = x.shape
    dense = Dense(module.latent_dim, dtype=module.dtype, name=name, parent=module)
    return dense(x.reshape(batch * length, width)).reshape(batch, length, -1)


def add_positions(
    module: nn.Module, x: Float[Array, "b n d"], deterministic: bool
) -> Float[Array, "b n d"]:
    """Adds positions 0 .. N-1 to (B, N, D), then applies the module's dropout."""
    x = x + sinusoids(x.shape[1], module.latent_dim).astype(module.dtype)
    if not deterministic and module.dropout > 0:
        x = dropout(x, dropout_seeds(module, 1)[0], module.dropout)
    return x


def pool_gaussian(
    module: nn.Module,
    tokens: Float[Array, "b n d"],
    bias: Float[Array, "b m"],
    deterministic: bool,
) -> Gaussian:
    """Puts mu and logvar tokens first, adds positions, encodes, reads them off.

    Args:
        module: the Linen module inside whose `__call__` this runs; it owns the
            tokens and the stack and gives the sizes.
        tokens: (B, N, D).
        bias: (B, N + 2) for the attention logits.
        deterministic: no dropout.

    Returns:
        Gaussian over (B, D), float32.
    """
    heads = [
        module.param(name, nn.initializers.normal(1.0), (module.latent_dim,))
        for name in ("mu_token", "logvar_token")
    ]
    pooled = pool(module, heads, tokens, bias, deterministic)
    return Gaussian(mu=pooled[:, 0], logvar=pooled[:, 1])


def pool(
    module: nn.Module,
    heads: list[jax.Array],
    tokens: Float[Array, "b n d"],
    bias: Float[Array, "b m"],
    deterministic: bool,
) -> Float[Array, "b h d"]:
    """Encodes [heads, tokens] with positions; returns the heads' outputs, float32."""
    batch, width = len(tokens), module.latent_dim
    first = jnp.broadcast_to(jnp.stack(heads), (batch, len(heads), width))
    x = jnp.concatenate([first.astype(module.dtype), tokens], axis=1)
    x = add_positions(module, x, deterministic)
    encoder = Encoder(
        module.num_layers,
        module.num_heads,
        module.ff_size,
        module.dropout,
        dtype=module.dtype,
        name="encoder",
        parent=module,
    )
    return encoder(x, bias, deterministic, len(heads)).astype(jnp.float32)
