"""Where the tensors of the published PyTorch models lie in the variables here.

A layout maps a torch name to an `Entry`. The functions below are the parts from
which a model's layout is put together; each takes the torch prefix and the path.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

Path = tuple[str, ...]
Layout = dict[str, "Entry"]


@dataclasses.dataclass(frozen=True)
class Entry:
    """One torch tensor, cut along its first axis into leaves of the variables.

    Attributes:
        leaves: path of each leaf, collection first, and its share of the axis.
        transposed: torch's (out, in) against (in, out) here.
        optional: a buffer that a state dict may lack.
        row: torch's (1, n) against (n,) here.
    """

    leaves: tuple[tuple[Path, int], ...]
    transposed: bool = False
    optional: bool = False
    row: bool = False

    def split(self, tensor: np.ndarray) -> dict[Path, np.ndarray]:
        """Returns float32 copies of the leaves of a torch tensor."""
        total = sum(share for _, share in self.leaves)
        found, start = {}, 0
        for path, share in self.leaves:
            stop = start + len(tensor) * share // total
            part = tensor[0] if self.row else tensor[start:stop]
            found[path] = np.array(
                part.T if self.transposed else part, np.float32, order="C"
            )
            start = stop
        return found

    def join(self, leaves: Mapping[Path, Any]) -> np.ndarray:
        """Returns the torch tensor made of leaves."""
        parts = [np.asarray(leaves[path]) for path, _ in self.leaves]
        parts = [part.T if self.transposed else part for part in parts]
        joined = np.concatenate(parts)
        return np.ascontiguousarray(joined[None] if self.row else joined)

    def torch_shape(self, shapes: Mapping[Path, tuple[int, ...]]) -> tuple[int, ...]:
        """Returns the shape of `join` for leaves of those shapes."""
        parts = [shapes[path] for path, _ in self.leaves]
        parts = [part[::-1] if self.transposed else part for part in parts]
        shape = (sum(part[0] for part in parts), *parts[0][1:])
        return (1, *shape) if self.row else shape


def tensor(
    name: str, path: Path, transposed: bool = False, row: bool = False
) -> Layout:
    """A tensor that is one parameter."""
    return {name: Entry(((("params", *path), 1),), transposed, row=row)}


def linear(prefix: str, path: Path, out_in: bool = False) -> Layout:
    """torch.nn.Linear; `out_in`: the kernel lies here as in torch."""
    kernel = "kernel_out_in" if out_in else "kernel"
    return {
        **tensor(f"{prefix}.weight", (*path, kernel), not out_in),
        **tensor(f"{prefix}.bias", (*path, "bias")),
    }


def layer_norm(prefix: str, path: Path) -> Layout:
    """torch.nn.LayerNorm."""
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
    """torch.nn.TransformerEncoderLayer."""
    return {**_self_attention(prefix, path), **_feed_forward(prefix, path)}


def decoder_layer(prefix: str, path: Path) -> Layout:
    """torch.nn.TransformerDecoderLayer over one memory token.

    Queries and keys of its cross-attention, the first two thirds of the packed
    projection, do not act and lie in the collection `unused`.
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


def stack(
    layer: Callable[[str, Path], Layout], prefix: str, path: Path, num_layers: int
) -> Layout:
    """A torch stack without a final norm, of either kind of layer."""
    found = {}
    for i in range(num_layers):
        found |= layer(f"{prefix}.layers.{i}", (*path, f"layer_{i}"))
    return found


def positions(name: str, path: Path) -> Layout:
    """The sinusoids that torch stores; carried so that none of their bits changes."""
    return {name: Entry(((("buffers", *path, "pe"), 1),), optional=True)}


def pooling_encoder(
    prefix: str,
    path: Path,
    num_layers: int,
    embedding: tuple[str, str] = ("skel_embedding", "skel_embedding"),
    tokens: tuple[str, ...] = ("mu_token", "logvar_token"),
) -> Layout:
    """ACTOR's motion encoder and TEMOS's text encoder.

    Args:
        prefix: of the torch names, '' or ending in a dot.
        path: of the module here.
        num_layers: of its stack.
        embedding: torch name and name here of the layer before the stack.
        tokens: learned tokens in front.
    """
    found = {}
    for token in tokens:
        found |= tensor(prefix + token, (*path, token))
    return {
        **found,
        **linear(prefix + embedding[0], (*path, embedding[1])),
        **positions(f"{prefix}sequence_pos_encoding.pe", path),
        **stack(
            encoder_layer, f"{prefix}seqTransEncoder", (*path, "encoder"), num_layers
        ),
    }


def motion_decoder(prefix: str, path: Path, num_layers: int) -> Layout:
    """ACTOR's motion decoder; arguments as of `pooling_encoder`."""
    torch = f"{prefix}seqTransDecoder"
    return {
        **positions(f"{prefix}sequence_pos_encoding.pe", path),
        **stack(decoder_layer, torch, (*path, "decoder"), num_layers),
        **linear(f"{prefix}final_layer", (*path, "final_layer")),
    }


def temos(num_layers: int) -> Layout:
    """The whole of TEMOS."""
    text = {"embedding": ("projection.1", "projection")}
    return {
        **pooling_encoder("textencoder.", ("text_encoder",), num_layers, **text),
        **pooling_encoder("motionencoder.", ("motion_encoder",), num_layers),
        **motion_decoder("motiondecoder.", ("motion_decoder",), num_layers),
    }


def teach(num_layers: int) -> Layout:
    """The whole of TEACH."""
    prefix, path = "textencoder.", ("text_encoder",)
    text = {"embedding": ("projection.1", "projection")}
    return {
        **tensor(f"{prefix}mu_token", (*path, "mu_token")),
        **tensor(f"{prefix}logvar_token", (*path, "logvar_token")),
        **tensor(f"{prefix}seperation_token", (*path, "separation_token")),
        **pooling_encoder(prefix, path, num_layers, **text, tokens=()),
        **linear(f"{prefix}skel_embedding", (*path, "skel_embedding")),
        # A stack that the published code makes and never calls.
        **inert(
            stack(
                encoder_layer,
                f"{prefix}motionTransEncoder",
                (*path, "past_encoder"),
                num_layers,
            )
        ),
        **pooling_encoder("motionencoder.", ("motion_encoder",), num_layers),
        **motion_decoder("motiondecoder.", ("motion_decoder",), num_layers),
    }


def inert(layout: Layout) -> Layout:
    """The same tensors in the collection `unused`."""

    def moved(entry: Entry) -> Entry:
        leaves = tuple((("unused", *path[1:]), share) for path, share in entry.leaves)
        return dataclasses.replace(entry, leaves=leaves)

    return {name: moved(entry) for name, entry in layout.items()}


def motionclip(num_layers: int, encoder_tokens: int = 1) -> Layout:
    """The whole of MotionCLIP, with one learned token or two."""
    encoder, decoder = ("motion_encoder",), ("motion_decoder",)
    tokens = {"encoder.muQuery": "emb_token"}
    if encoder_tokens == 2:
        tokens = {"encoder.muQuery": "mu_token", "encoder.sigmaQuery": "logvar_token"}
    found = {}
    for name, token in tokens.items():
        found |= tensor(name, (*encoder, token), row=True)
    return {
        **found,
        **linear("encoder.skelEmbedding", (*encoder, "skel_embedding")),
        **positions("encoder.sequence_pos_encoder.pe", encoder),
        **stack(
            encoder_layer,
            "encoder.seqTransEncoder",
            (*encoder, "encoder"),
            num_layers,
        ),
        # A bias per class that the published code never reads.
        **inert(tensor("decoder.actionBiases", ("action_biases",))),
        **positions("decoder.sequence_pos_encoder.pe", decoder),
        **stack(
            decoder_layer,
            "decoder.seqTransDecoder",
            (*decoder, "decoder"),
            num_layers,
        ),
        **linear("decoder.finallayer", (*decoder, "final_layer")),
    }
