r"""How fast are texts encoded, and how does that compare with PyTorch?

    python benchmarks/text_encoder.py
    python benchmarks/text_encoder.py --peer --save benchmarks/results/NAME.json
    python benchmarks/text_encoder.py --peer --encoder distilbert clip \
        --dtype float32 bfloat16 --batch 128 --texts 4096       # on a GPU
    python benchmarks/text_encoder.py --small       # quick check with tiny sizes

Uses models of the sizes of DistilBERT-base and CLIP's text half (ViT-B/32), with random
weights. There is one JSON line per case:

    full     a batch of 64 texts of 128 tokens (77 for CLIP)
    mixed    texts of 60 to 110 tokens (at most 77), the length of descriptions
    babel    how long BABEL's 65,000 phrases with 4 texts of 128 tokens (77) each take
             at the rate of `mixed`, without reading and writing files

In `mixed`, ours runs `encode_pieces` (batches of similar length) and the peer runs
batches of 64 padded to the longest of all texts; both end with arrays on the host.
`tokens_per_s` counts real tokens. `embed` always encodes in float32, on GPUs without
TF32; with `--dtype bfloat16`, the same module multiplies in bfloat16, which tells what
the exact states cost.

`--peer` runs Hugging Face's model with the same weights on the same device in the same
process, taking turns with ours, under autocast for bfloat16. `ratio` is how many times
faster ours is; `ratio_of_cores` is the same ratio for CPU seconds over all cores (less
disturbed by other programs, but busy waiting counts as work); `largest_difference` is
the largest difference between the states. `--peer` requires
`pip install 'actiongpt_jax[peers]'`. Run on a quiet machine.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import record

# Both sides share one GPU. Must be set before jax starts.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")


@dataclasses.dataclass(frozen=True)
class Kind:
    """Sizes of a text model, and the names in its Hugging Face folder.

    Attributes:
        width: width of the states.
        layers: number of layers.
        heads: number of attention heads.
        vocabulary: number of word pieces.
        positions: length of the longest text, in word pieces.
        names: what -> key of config.json or name of a tensor.
        config: further fields of config.json.
    """

    width: int
    layers: int
    heads: int
    vocabulary: int
    positions: int
    names: dict[str, Any]
    config: dict[str, Any]


KINDS = {
    "distilbert": Kind(
        width=768,
        layers=6,
        heads=12,
        vocabulary=30522,
        positions=512,
        names={
            "sizes": ("dim", "hidden_dim", "n_layers", "n_heads"),
            "words": "embeddings.word_embeddings",
            "places": "embeddings.position_embeddings",
            "layer": "transformer.layer",
            "attention": [f"attention.{part}_lin" for part in ("q", "k", "v", "out")],
            "feed_forward": ("ffn.lin1", "ffn.lin2"),
            "layer_norms": ("sa_layer_norm", "output_layer_norm"),
            "norm": "embeddings.LayerNorm",
        },
        config={"model_type": "distilbert", "activation": "gelu"},
    ),
    "clip": Kind(
        width=512,
        layers=12,
        heads=8,
        vocabulary=49408,
        positions=77,
        names={
            "sizes": (
                "hidden_size",
                "intermediate_size",
                "num_hidden_layers",
                "num_attention_heads",
            ),
            "words": "text_model.embeddings.token_embedding",
            "places": "text_model.embeddings.position_embedding",
            "layer": "text_model.encoder.layers",
            "attention": [f"self_attn.{part}_proj" for part in ("q", "k", "v", "out")],
            "feed_forward": ("mlp.fc1", "mlp.fc2"),
            "layer_norms": ("layer_norm1", "layer_norm2"),
            "norm": "text_model.final_layer_norm",
            "projection": "text_projection",
        },
        config={"model_type": "clip_text_model", "hidden_act": "quick_gelu"},
    ),
}
# Dividing by these makes a model and its texts tiny.
SMALLER, SHORTER = 16, 4
SPECIAL = 5  # ids of special word pieces, which come first
BABEL_TEXTS, BABEL_TOKENS = 65_000 * 4, 128


def write_folder(folder: pathlib.Path, kind: Kind, seed: int) -> None:
    """Writes a Hugging Face model folder with random weights."""
    from safetensors.numpy import save_file

    rng = np.random.default_rng(seed)
    width, inner, names = kind.width, 4 * kind.width, kind.names

    def draw(*shape):
        return 0.02 * rng.standard_normal(shape, np.float32)

    tensors = {
        f"{names['words']}.weight": draw(kind.vocabulary, width),
        f"{names['places']}.weight": draw(kind.positions, width),
    }
    norms = [names["norm"]]
    first, second = names["feed_forward"]
    for i in range(kind.layers):
        start = f"{names['layer']}.{i}."
        shapes = {name: (width, width) for name in names["attention"]}
        shapes |= {first: (inner, width), second: (width, inner)}
        for name, shape in shapes.items():
            tensors[f"{start}{name}.weight"] = draw(*shape)
            tensors[f"{start}{name}.bias"] = draw(shape[0])
        norms += [start + name for name in names["layer_norms"]]
    for name in norms:
        tensors[f"{name}.weight"] = np.ones(width, np.float32)
        tensors[f"{name}.bias"] = np.zeros(width, np.float32)
    config = kind.config | {"vocab_size": kind.vocabulary}
    config |= {"max_position_embeddings": kind.positions}
    sizes = width, inner, kind.layers, kind.heads
    config |= dict(zip(names["sizes"], sizes, strict=True))
    if "projection" in names:
        tensors[f"{names['projection']}.weight"] = draw(width, width)
        config |= {"projection_dim": width, "eos_token_id": kind.vocabulary - 1}
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config))


def load_ours(folder: pathlib.Path, dtype: str) -> Any:
    """Returns our encoder with the folder's weights and products in `dtype`."""
    from actiongpt_jax.text import encoders
    from actiongpt_jax.text.encoders.loader import PretrainedEncoder

    loaded = encoders.load(folder)
    module: Any = loaded.module
    encoder: Any = PretrainedEncoder(
        loaded.name,
        loaded.folder,
        module.clone(sizes=dataclasses.replace(module.sizes, dtype=dtype)),
        loaded.variables,
        vocab_size=module.vocab_size,
        limit=loaded.limit,
        width=loaded.width,
    )
    encoder.tokenizer = UnusedTokenizer()
    return encoder


class UnusedTokenizer:
    """Stands in for a tokenizer where only the id of the padding is read."""

    pad_id = 0


def load_peer(folder: pathlib.Path, dtype: str) -> tuple[Callable, dict[str, Any]]:
    """Returns PyTorch's `encode(ids, mask)` with the folder's weights, and versions."""
    import torch  # pyright: ignore[reportMissingImports]
    from transformers import CLIPTextModel, DistilBertModel

    distilbert = json.loads((folder / "config.json").read_text()).get("dim")
    model = (DistilBertModel if distilbert else CLIPTextModel).from_pretrained(folder)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = model.eval().to(device)
    half = torch.autocast(device.type, torch.bfloat16, dtype == "bfloat16")

    def encode(ids, mask):
        with torch.inference_mode(), half:
            inputs = (torch.from_numpy(array).to(device) for array in (ids, mask))
            states = model(*inputs).last_hidden_state
        return states.float().cpu().numpy()

    versions = {"torch": torch.__version__, "threads": torch.get_num_threads()}
    return encode, {**versions, "peer_device": device.type}


def measure(sides: dict[str, Callable[[], Any]], rounds: int):
    """Times functions that take turns; returns the times and the first results."""
    results = {name: run() for name, run in sides.items()}
    times = {name: {"seconds": [], "core_seconds": []} for name in sides}
    clocks = {"seconds": time.perf_counter, "core_seconds": time.process_time}
    for _ in range(rounds):
        for name, run in sides.items():
            started = {unit: clock() for unit, clock in clocks.items()}
            run()
            for unit, clock in clocks.items():
                times[name][unit].append(clock() - started[unit])
    return times, results


def report(
    case: str, tokens: int, times: dict[str, Any], difference: float | None
) -> dict[str, Any]:
    """Returns the row of a case from the times of `measure`."""
    row: dict[str, Any] = {"case": case, "tokens": tokens}
    medians = {}
    for name, taken in times.items():
        medians[name] = {unit: statistics.median(taken[unit]) for unit in taken}
        row[name] = {
            "tokens_per_s": round(tokens / medians[name]["seconds"]),
            **{unit: [round(s, 4) for s in taken[unit]] for unit in taken},
        }
    if "peer" in times:
        for name, unit in (("ratio", "seconds"), ("ratio_of_cores", "core_seconds")):
            row[name] = round(medians["peer"][unit] / medians["ours"][unit], 3)
        row["largest_difference"] = difference
    return row | {"load_average": round(os.getloadavg()[0], 2)}


def run(kind: Kind, dtype: str, args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Measures all cases of one encoder in one precision."""
    import jax

    from actiongpt_jax.text.embeddings.encode import encode_pieces
    from actiongpt_jax.text.encoders.tokenizer import Pieces

    rng = np.random.default_rng(args.seed)
    machine = {"jax": jax.__version__, "device": jax.devices()[0].device_kind}
    machine["cores"] = len(os.sched_getaffinity(0))
    peer = None
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        write_folder(folder, kind, args.seed)
        encoder = load_ours(folder, dtype)
        if args.peer:
            peer, versions = load_peer(folder, dtype)
            machine |= versions

        shape = (args.batch, min(args.tokens, kind.positions))
    ids = rng.integers(SPECIAL, kind.vocabulary, shape)
    mask = np.ones(ids.shape, np.int64)
    sides = {"ours": lambda: np.asarray(encoder.encode(ids, mask).tokens)}
    if peer is not None:
        sides["peer"] = lambda: peer(ids, mask)
    times, states = measure(sides, args.rounds)
    gap = float(abs(states["ours"] - states["peer"]).max()) if peer else None
    yield {**report("full", ids.size, times, gap), **machine}

    longest = min(args.longest, kind.positions)
    lengths = rng.integers(min(args.shortest, longest), longest + 1, args.texts)
    pieces = [
        Pieces(rng.integers(SPECIAL, kind.vocabulary, n).astype(np.int32))
        for n in lengths
    ]
    padded = np.zeros((args.texts, lengths.max()), np.int64)
    for row, text in zip(padded, pieces, strict=True):
        row[: len(text.ids)] = text.ids
    real = (padded != 0).astype(np.int64)

    sides = {"ours": lambda: encode_pieces(encoder, pieces)}
    if peer is not None:
        starts = range(0, args.texts, args.batch)
        batches = [slice(start, start + args.batch) for start in starts]
        sides["peer"] = lambda: [peer(padded[b], real[b]) for b in batches]
    times, states = measure(sides, args.rounds)
    gap = None
    if peer is not None:
        theirs = (text for batch in states["peer"] for text in batch)
        gap = max(
            float(abs(embedding.tokens - other[: len(embedding.tokens)]).max())
            for embedding, other in zip(states["ours"], theirs, strict=True)
        )
    mixed = report("mixed", int(lengths.sum()), times, gap)
    yield {**mixed, **machine}

    tokens = BABEL_TEXTS * min(BABEL_TOKENS, kind.positions)
    minutes = {
        f"{name}_minutes": round(tokens / mixed[name]["tokens_per_s"] / 60, 2)
        for name in times
    }
    yield {"case": "babel", "texts": BABEL_TEXTS, "tokens": tokens, **minutes}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peer", action="store_true", help="compare with PyTorch")
    parser.add_argument(
        "--encoder", choices=list(KINDS), nargs="+", default=["distilbert"]
    )
    parser.add_argument(
        "--dtype", choices=("float32", "bfloat16"), nargs="+", default=["float32"]
    )
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument(
        "--texts", type=int, default=256, help="number of texts in `mixed`"
    )
    parser.add_argument("--shortest", type=int, default=60)
    parser.add_argument("--longest", type=int, default=110)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--small", action="store_true", help="tiny sizes, 2 rounds")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save", help="write the results to this file as well")
    args = parser.parse_args()
    kinds = {name: KINDS[name] for name in args.encoder}
    if args.small:
        kinds = {name: smaller(kind) for name, kind in kinds.items()}
        args.rounds = 2
        for name in ("batch", "tokens", "texts", "shortest", "longest"):
            setattr(args, name, max(1, getattr(args, name) // SHORTER))
    rows = (
        {"encoder": name, "dtype": dtype, **row}
        for name, kind in kinds.items()
        for dtype in args.dtype
        for row in run(kind, dtype, args)
    )
    record.report(rows, args.save, seed=args.seed)


def smaller(kind: Kind) -> Kind:
    """Returns a tiny model of the same kind."""
    heads, width = kind.heads // 4, kind.width // SMALLER
    vocabulary = kind.vocabulary // SMALLER
    return dataclasses.replace(
        kind, width=width, layers=2, heads=heads, vocabulary=vocabulary
    )


if __name__ == "__main__":
    main()
