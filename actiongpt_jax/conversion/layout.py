"""Maps the tensors of the published PyTorch models to the variables of the models here.

A layout maps a torch name to an `Entry`. The functions below return the layouts of
parts, down to a single tensor, and of whole models. The `prefix` of a part is the
beginning of its torch names, and its `path` is the place of its parameters here.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

Path = tuple[str, ...]
Layout = dict[str, "Entry"]

# Torch name -> name here, for the tokens that are pooled into a Gaussian.
_GAUSSIAN_TOKENS = {"mu_token": "mu_token", "logvar_token": "logvar_token"}


@dataclasses.dataclass(frozen=True)
class Entry:
    """One torch tensor, which is split along its first axis into leaves.

    Attributes:
        leaves: (path, share) of each leaf of the variables: its path, with the
            collection first, and its share of the axis.
        transposed: whether torch stores (out, in), and the variables (in, out).
        optional: whether the tensor is a buffer that a state dict may lack.
        row: whether torch stores (1, n), and the variables (n,).
    """

    leaves: tuple[tuple[Path, int], ...]
    transposed: bool = False
    optional: bool = False
    row: bool = False

    def split(self, tensor: np.ndarray) -> dict[Path, np.ndarray]:
        """Returns float32 copies of the leaves of a torch tensor."""
        total = sum(share for _, share in self.leaves)
        leaves, start = {}, 0
        for path, share in self.leaves:
            stop = start + len(tensor) * share // total
            part = tensor[0] if self.row else tensor[start:stop]
            part = part.T if self.transposed else part
            leaves[path] = np.array(part, np.float32, order="C")
            start = stop
        return leaves

    def join(self, leaves: Mapping[Path, Any]) -> np.ndarray:
        """Returns the torch tensor made from leaves."""
        parts = [np.asarray(leaves[path]) for path, _ in self.leaves]
        parts = [part.T if self.transposed else part for part in parts]
        joined = np.concatenate(parts)
        return np.ascontiguousarray(joined[None] if self.row else joined)

    def torch_shape(self, shapes: Mapping[Path, tuple[int, ...]]) -> tuple[int, ...]:
        """Returns the shape of the torch tensor, given the shapes of its leaves."""
        parts = [shapes[path] for path, _ in self.leaves]
        parts = [part[::-1] if self.transposed else part for part in parts]
        shape = (sum(part[0] for part in parts), *parts[0][1:])
        return (1, *shape) if self.row else shape


def tensor(
    name: str, path: Path, transposed: bool = False, row: bool = False
) -> Layout:
    """Layout of a tensor that is one parameter."""
    return {name: Entry(((("params", *path), 1),), transposed, row=row)}


def linear(prefix: str, path: Path, out_in: bool = False) -> Layout:
    """Layout of torch.nn.Linear; with `out_in` the kernel is (out, in), as in torch."""
    kernel = "kernel_out_in" if out_in else "kernel"
    return {
        **tensor(f"{prefix}.weight", (*path, kernel), not out_in),
        **tensor(f"{prefix}.bias", (*path, "bias")),
    }


def layer_norm(prefix: str, path: Path) -> Layout:
    """Layout of torch.nn.LayerNorm."""
    return {
        **tensor(f"{prefix}.weight", (*path, "scale")),
        **tensor(f"{prefix}.bias", (*path, "bias")),
    }


def _self_attention(prefix: str, path: Path) -> Layout:
    attention = (*path, "self_attn")
    return {
        **tensor(f"{prefix}.self_attn.in_proj_weight", (*attention, "in_kernel"), True),
        **tensor(f"{prefix}.self_attn.in_proj_bias", (*attention, "in_bias")),
        **linear(f"{prefix}.self_attn.out_proj", (*attention, "out")),
    }


def _feed_forward(prefix: str, path: Path) -> Layout:
    return {
        **linear(f"{prefix}.linear1", (*path, "ff", "linear1")),
        **linear(f"{prefix}.linear2", (*path, "ff", "linear2"), out_in=True),
        **layer_norm(f"{prefix}.norm1", (*path, "norm1")),
        **layer_norm(f"{prefix}.norm2", (*path, "norm2")),
    }


def encoder_layer(prefix: str, path: Path) -> Layout:
    """Layout of torch.nn.TransformerEncoderLayer."""
    return {**_self_attention(prefix, path), **_feed_forward(prefix, path)}


def decoder_layer(prefix: str, path: Path) -> Layout:
    """Layout of torch.nn.TransformerDecoderLayer over one memory token.

    Queries and keys of its cross-attention, the first two thirds of the packed
    projection, have no effect and are in the collection `unused`.
    """
    cross, torch = (*path, "cross_attn"), f"{prefix}.multihead_attn"

    def packed(name: str) -> tuple[tuple[Path, int], ...]:
        return (("unused", *cross, name), 2), (("params", *cross, f"value_{name}"), 1)

    return {
        **_self_attention(prefix, path),
        f"{torch}.in_proj_weight": Entry(packed("kernel"), transposed=True),
        f"{torch}.in_proj_bias": Entry(packed("bias")),
        **tensor(f"{torch}.out_proj.weight", (*cross, "out_kernel"), True),
        **tensor(f"{torch}.out_proj.bias", (*cross, "out_bias")),
        **_feed_forward(prefix, path),
        **layer_norm(f"{prefix}.norm3", (*path, "norm3")),
    }


def encoder_stack(prefix: str, path: Path, num_layers: int) -> Layout:
    """Layout of torch.nn.TransformerEncoder without a final norm."""
    layout = {}
    for i in range(num_layers):
        layout |= encoder_layer(f"{prefix}.layers.{i}", (*path, f"layer_{i}"))
    return layout


def positions(name: str, path: Path) -> Layout:
    """Layout of the stored sinusoids; they are kept for exact round trips."""
    return {name: Entry(((("buffers", *path, "pe"), 1),), optional=True)}


def inert(layout: Layout) -> Layout:
    """Moves a layout's leaves to the collection `unused`."""

    def moved(entry: Entry) -> Entry:
        leaves = tuple((("unused", *path[1:]), share) for path, share in entry.leaves)
        return dataclasses.replace(entry, leaves=leaves)

    return {name: moved(entry) for name, entry in layout.items()}


def pooling_encoder(
    prefix: str,
    path: Path,
    num_layers: int,
    *,
    tokens: Mapping[str, str] = _GAUSSIAN_TOKENS,
    row: bool = False,
    embedding: tuple[str, str] = ("skel_embedding", "skel_embedding"),
    pos_encoding: str = "sequence_pos_encoding",
) -> Layout:
    """Layout of ACTOR's motion encoder and TEMOS's text encoder.

    Args:
        prefix: beginning of the torch names; it is '' or ends in a dot.
        path: path of the module here.
        num_layers: number of layers of its stack.
        tokens: torch name -> name here, for the learned tokens before the sequence.
        row: whether torch stores these tokens as (1, n).
        embedding: torch name, and name here, of the layer before the stack.
        pos_encoding: torch name of the module that holds the sinusoids.
    """
    layout = {}
    for name, token in tokens.items():
        layout |= tensor(prefix + name, (*path, token), row=row)
    return {
        **layout,
        **linear(prefix + embedding[0], (*path, embedding[1])),
        **positions(f"{prefix}{pos_encoding}.pe", path),
        **encoder_stack(f"{prefix}seqTransEncoder", (*path, "encoder"), num_layers),
    }


def motion_decoder(
    prefix: str,
    path: Path,
    num_layers: int,
    *,
    final_layer: str = "final_layer",
    pos_encoding: str = "sequence_pos_encoding",
) -> Layout:
    """Layout of ACTOR's motion decoder.

    Args:
        prefix: beginning of the torch names; it is '' or ends in a dot.
        path: path of the module here.
        num_layers: number of layers of its stack.
        final_layer: torch name of the layer after the stack.
        pos_encoding: torch name of the module that holds the sinusoids.
    """
    layout = positions(f"{prefix}{pos_encoding}.pe", path)
    for i in range(num_layers):
        torch = f"{prefix}seqTransDecoder.layers.{i}"
        layout |= decoder_layer(torch, (*path, "decoder", f"layer_{i}"))
    return layout | linear(prefix + final_layer, (*path, "final_layer"))


def temos(num_layers: int) -> Layout:
    """Layout of the whole TEMOS model."""
    return {
        **pooling_encoder(
            "textencoder.",
            ("text_encoder",),
            num_layers,
            embedding=("projection.1", "projection"),
        ),
        **pooling_encoder("motionencoder.", ("motion_encoder",), num_layers),
        **motion_decoder("motiondecoder.", ("motion_decoder",), num_layers),
    }


def teach(num_layers: int) -> Layout:
    """Layout of the whole TEACH model: TEMOS, and the parts that read past frames."""
    prefix, path = "textencoder.", ("text_encoder",)
    # A stack that the published code creates but never calls.
    past_encoder = encoder_stack(
        f"{prefix}motionTransEncoder", (*path, "past_encoder"), num_layers
    )
    return {
        **pooling_encoder(
            prefix,
            path,
            num_layers,
            tokens=_GAUSSIAN_TOKENS | {"seperation_token": "separation_token"},
            embedding=("projection.1", "projection"),
        ),
        **linear(f"{prefix}skel_embedding", (*path, "skel_embedding")),
        **inert(past_encoder),
        **pooling_encoder("motionencoder.", ("motion_encoder",), num_layers),
        **motion_decoder("motiondecoder.", ("motion_decoder",), num_layers),
    }


def motionclip(num_layers: int, encoder_tokens: int = 1) -> Layout:
    """Layout of the whole MotionCLIP model, with one or two learned tokens."""
    tokens = {"muQuery": "emb_token"}
    if encoder_tokens == 2:
        tokens = {"muQuery": "mu_token", "sigmaQuery": "logvar_token"}
    return {
        **pooling_encoder(
            "encoder.",
            ("motion_encoder",),
            num_layers,
            tokens=tokens,
            row=True,
            embedding=("skelEmbedding", "skel_embedding"),
            pos_encoding="sequence_pos_encoder",
        ),
        # A bias per class that the published code never reads.
        **inert(tensor("decoder.actionBiases", ("action_biases",))),
        **motion_decoder(
            "decoder.",
            ("motion_decoder",),
            num_layers,
            final_layer="finallayer",
            pos_encoding="sequence_pos_encoder",
        ),
    }
