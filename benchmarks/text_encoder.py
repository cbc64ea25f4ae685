"""How fast are texts encoded, and how does that compare with PyTorch?

    python benchmarks/text_encoder.py
    python benchmarks/text_encoder.py --peer --save benchmarks/results/NAME.json

Uses a model of DistilBERT-base's size with random weights in float32. There are two
cases with one JSON line each: `full`, a batch of 64 texts of 128 tokens; and `mixed`,
texts of 60 to 110 tokens, the length of descriptions. In `mixed`, ours runs
`encode_pieces` (batches of similar length) and the peer runs batches of 64 padded to
the longest of all texts. `tokens_per_s` counts real tokens. `--peer` runs Hugging
Face's DistilBertModel with the same weights in the same process, taking turns with
ours. `ratio` is how many times faster ours is; `ratio_of_cores` is the same ratio for
CPU seconds over all cores (less disturbed by other programs, but busy waiting counts as
work); `largest_difference` is the largest difference between the states. `--peer`
requires `pip install 'actiongpt_jax[peers]'`. Run on a quiet machine.
"""

import argparse
import json
import os
import pathlib
import statistics
import tempfile
import time
from collections.abc import Callable
from typing import Any

import record

SIZES = {"dim": 768, "n_layers": 6, "n_heads": 12, "hidden_dim": 3072}
VOCABULARY, POSITIONS = 30522, 512
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def write_folder(folder, seed):
    """Writes a Hugging Face model folder with random weights of DistilBERT's size."""
    import numpy as np
    from safetensors.numpy import save_file

    rng = np.random.default_rng(seed)
    width, inner = SIZES["dim"], SIZES["hidden_dim"]

    def draw(*shape):
        return 0.02 * rng.standard_normal(shape, np.float32)

    sd = {
        "embeddings.word_embeddings.weight": draw(VOCABULARY, width),
        "embeddings.position_embeddings.weight": draw(POSITIONS, width),
    }
    norms = ["embeddings.LayerNorm"]
    for i in range(SIZES["n_layers"]):
        start = f"transformer.layer.{i}."
        shapes = {f"attention.{part}_lin": (width, width) for part in "qkv"}
        shapes |= {"attention.out_lin": (width, width)}
        shapes |= {"ffn.lin1": (inner, width), "ffn.lin2": (width, inner)}
        for name, shape in shapes.items():
            sd[f"{start}{name}.weight"] = draw(*shape)
            sd[f"{start}{name}.bias"] = draw(shape[0])
        norms += [f"{start}sa_layer_norm", f"{start}output_layer_norm"]
    for name in norms:
        sd[f"{name}.weight"] = np.ones(width, np.float32)
        sd[f"{name}.bias"] = np.zeros(width, np.float32)
    save_file(sd, folder / "model.safetensors", {"format": "pt"})
    config = {
        "model_type": "distilbert",
        "vocab_size": VOCABULARY,
        "max_position_embeddings": POSITIONS,
        "activation": "gelu",
        **SIZES,
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "vocab.txt").write_text("\n".join(SPECIAL) + "\n")


def load_peer(folder):
    """Returns PyTorch's `encode(ids, mask)` with the folder's weights, and versions."""
    import torch  # pyright: ignore[reportMissingImports]
    from transformers import DistilBertModel

    model = DistilBertModel.from_pretrained(folder).eval()

    def encode(ids, mask):
        with torch.inference_mode():
            states = model(torch.from_numpy(ids), torch.from_numpy(mask))
        return states.last_hidden_state.numpy()

    return encode, {"torch": torch.__version__, "threads": torch.get_num_threads()}


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


def report(case, tokens, times, difference, machine):
    row = {"case": case, "tokens": tokens}
    medians = {}
    for name, taken in times.items():
        medians[name] = {unit: statistics.median(taken[unit]) for unit in taken}
        row[name] = {
            "tokens_per_s": round(tokens / medians[name]["seconds"]),
            **{unit: [round(s, 3) for s in taken[unit]] for unit in taken},
        }
    if "peer" in times:
        for name, unit in (("ratio", "seconds"), ("ratio_of_cores", "core_seconds")):
            row[name] = round(medians["peer"][unit] / medians["ours"][unit], 3)
        row["largest_difference"] = difference
    row |= {"load_average": round(os.getloadavg()[0], 2), **machine}
    print(json.dumps(row), flush=True)
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", action="store_true", help="compare with PyTorch")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument(
        "--texts", type=int, default=256, help="number of texts in `mixed`"
    )
    parser.add_argument("--shortest", type=int, default=60)
    parser.add_argument("--longest", type=int, default=110)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save", help="write the results to this file as well")
    args = parser.parse_args()

    import jax
    import numpy as np

    from actiongpt_jax.text import encoders
    from actiongpt_jax.text.embeddings.encode import encode_pieces
    from actiongpt_jax.text.encoders.tokenizer import Pieces

    rng = np.random.default_rng(args.seed)
    machine = {"jax": jax.__version__, "cores": len(os.sched_getaffinity(0))}
    peer = None
    with tempfile.TemporaryDirectory() as folder:
        write_folder(pathlib.Path(folder), args.seed)
        encoder = encoders.load(folder)
        _ = encoder.tokenizer
        if args.peer:
            peer, versions = load_peer(folder)
            machine |= versions

    first_id = len(SPECIAL)
    ids = rng.integers(first_id, VOCABULARY, (args.batch, args.tokens))
    mask = np.ones(ids.shape, np.int64)
    sides = {"ours": lambda: np.asarray(encoder.encode(ids, mask).tokens)}
    if peer is not None:
        sides["peer"] = lambda: peer(ids, mask)
    times, states = measure(sides, args.rounds)
    gap = float(abs(states["ours"] - states["peer"]).max()) if peer else None
    rows = [report("full", ids.size, times, gap, machine)]

    lengths = rng.integers(args.shortest, args.longest + 1, args.texts)
    pieces = [
        Pieces(rng.integers(first_id, VOCABULARY, n).astype(np.int32)) for n in lengths
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
    rows.append(report("mixed", int(lengths.sum()), times, gap, machine))
    if args.save:
        record.save(args.save, rows, dtype="float32", seed=args.seed)


if __name__ == "__main__":
    main()
