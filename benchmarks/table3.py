"""What do descriptions cost? Reproduces table 3 of the paper next to its figures.

    python benchmarks/table3.py
    python benchmarks/table3.py --model teach --steps 3 --save FILE
    python benchmarks/table3.py --small         # quick check with tiny sizes

Prints two JSON lines for each model and each kind of text, the phrase or k descriptions
of it, and one line with the number of trained parameters. `inside` embeds the texts
within every step like the published code; only this script does so. `precomputed` reads
stored embeddings, like training in this package. `train_s` is the time of 100 steps,
`epoch_s` that of an epoch of --items motions or pairs, `generate_s` the time to make
a batch of motions, for TEACH of one action each; all are made of the median of --steps
runs. `rise` is the ratio of the times with descriptions and with phrases, for ours and
for the paper. The paper's seconds are times per epoch on another machine, so only the
ratios can be compared. Descriptions add no trained parameter: the text model is frozen.

The text models are ours, with DistilBERT's or CLIP's full size and random weights;
motion and text are random. The variants of a model take turns. Run on a quiet machine.
"""

import argparse
import dataclasses
import json
import math
import statistics
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import paper
import steps

from actiongpt_jax.nn.parameters import count_parameters
from actiongpt_jax.nn.sizes import Sizes
from actiongpt_jax.text.aggregate import aggregate
from actiongpt_jax.text.encoders.bert import Bert
from actiongpt_jax.text.encoders.clip import ClipText
from actiongpt_jax.training.host_memory import keep_memory

TEXTS, PLACES = ("phrase", "descriptions"), ("precomputed", "inside")
SMALL = ("latent_dim=32", "num_layers=2", "ff_size=64")


@dataclasses.dataclass
class Variant:
    """One line of the table: a kind of text and where it is embedded."""

    text: str
    place: str
    train: steps.Program
    generate: steps.Program
    seconds: dict[str, list[float]]
    parameters: int


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    models = ("motionclip", "temos", "teach")
    parser.add_argument("--model", choices=models, nargs="+", default=models)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--k", type=int, default=4, help="descriptions per phrase")
    parser.add_argument(
        "--phrase_tokens", type=int, default=8, help="CLIP always uses 77"
    )
    parser.add_argument(
        "--tokens", type=int, default=128, help="tokens per description"
    )
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--steps", type=int, default=10, help="timed steps per variant")
    # The number of pairs is that of a training log published with Action-GPT's code.
    published = "motions or pairs of an epoch (default: TEACH's pairs of BABEL)"
    parser.add_argument("--items", type=int, default=15863, help=published)
    parser.add_argument("--small", action="store_true", help="tiny sizes")
    parser.add_argument("--save", help="write the results to this file as well")
    args = parser.parse_args()
    rows = []
    for model in args.model:
        rows += table(model, args)
        jax.clear_caches()
    if args.save:
        import record

        record.save(args.save, rows)


def table(model: str, args: argparse.Namespace) -> list[dict[str, Any]]:
    """Times the four variants of a model in turn, and prints their lines."""
    overrides = [f"--config.model.{size}" for size in SMALL] if args.small else []
    config = steps.published_config(model, args.dtype, overrides)
    text_model, variables = make_text_model(model, args.small)
    variants = [
        make_variant(config, args, text_model, variables, text, place)
        for text in TEXTS
        for place in PLACES
    ]
    for kind in ("train", "generate"):
        for turn in range(args.steps + 1):
            for variant in variants:
                program: steps.Program = getattr(variant, kind)
                started = time.perf_counter()
                jax.block_until_ready(program.run())
                # The first turn is a warm-up.
                if turn:
                    variant.seconds[kind].append(time.perf_counter() - started)
    rows, phrase = [], {}
    for variant in variants:
        took = {kind: statistics.median(s) for kind, s in variant.seconds.items()}
        row = {
            "model": model,
            "text": variant.text,
            "embedding": variant.place,
            "train_s": round(100 * took["train"], 2),
            "epoch_s": round(math.ceil(args.items / args.batch) * took["train"], 1),
            "generate_s": round(took["generate"], 4),
        }
        published = paper.TABLE3 if variant.place == "inside" else {}
        if (model, variant.text) in published:
            train, generate = published[model, variant.text]
            row["paper"] = {"train_s": train, "generate_s": generate}
        if variant.text == "phrase":
            phrase[variant.place] = took
        else:
            row["rise"] = {
                kind: round(took[kind] / phrase[variant.place][kind], 3)
                for kind in took
            }
            if published:
                row["paper"]["rise"] = {
                    kind: round(sum(more) / sum(less), 3)
                    for kind, more, less in zip(
                        ("train", "generate"),
                        published[model, "descriptions"],
                        published[model, "phrase"],
                        strict=True,
                    )
                }
        row |= {"batch": args.batch, "platform": jax.devices()[0].platform}
        rows.append(row)
    counts = {v.text: v.parameters for v in variants if v.place == "inside"}
    rows.append(
        {"model": model, "parameters": counts, "frozen": count_parameters(variables)}
    )
    for row in rows:
        print(json.dumps(row), flush=True)
    return rows


def make_text_model(model: str, small: bool) -> tuple[Any, Any]:
    """Returns the frozen text model of a published system, with random weights."""
    if model == "motionclip":
        text_model: Any = ClipText()
        if small:
            tiny = dataclasses.replace(text_model.sizes, latent_dim=32, num_layers=2)
            text_model = ClipText(sizes=tiny, projection=32)
    else:
        sizes = Sizes(latent_dim=768, ff_size=3072, num_heads=12, dropout=0.0)
        if small:
            sizes = Sizes(latent_dim=32, ff_size=64, num_layers=2, dropout=0.0)
        text_model = Bert(vocab_size=30522, max_positions=512, sizes=sizes)
    ids = jnp.ones((1, 4), jnp.int32)
    variables = jax.jit(text_model.init)(jax.random.key(0), ids, ids > 0)
    return text_model, variables


def make_variant(
    config: Any,
    args: argparse.Namespace,
    text_model: Any,
    variables: Any,
    text: str,
    place: str,
) -> Variant:
    """Compiles training and generation with one kind of text."""
    model = config.model.name
    clip, pair = model == "motionclip", model == "teach"
    frames = [60] if clip else [100, 105] if pair else [100]
    k = args.k if text == "descriptions" else 1
    length = args.tokens if text == "descriptions" else args.phrase_tokens
    if clip:
        # CLIP's texts are padded or truncated to its maximal length.
        length = text_model.max_positions
    if args.small:
        frames = [count // 5 for count in frames]
    parts = ("_0", "_1") if pair else ("",)
    rng = np.random.default_rng(0)
    shape = (len(frames), args.batch * k, length)
    ids = rng.integers(1, text_model.vocab_size - 1, shape).astype(np.int32)
    ids[..., -1] = text_model.vocab_size - 1
    named = {f"ids{part}": rows for part, rows in zip(parts, ids, strict=True)}

    def embed(batch: steps.Batch) -> steps.Batch:
        batch = dict(batch)
        weights = batch.pop("text_model")
        for part in parts:
            rows = batch.pop(f"ids{part}")
            states = text_model.apply(weights, rows, jnp.ones(rows.shape, bool))
            if clip:
                vectors = states.pooled
                batch["text"] = vectors.reshape(args.batch, k, -1).mean(1)
            else:
                tokens = states.tokens.reshape(args.batch, k, length, -1)
                batch[f"tokens{part}"] = aggregate(
                    tokens, jnp.ones(tokens.shape[:-1], bool)
                )[0]
        return batch

    width = (
        (1, config.model.latent_dim) if clip else (length, text_model.sizes.latent_dim)
    )
    tokens = np.zeros((len(frames), args.batch, *width), np.float32)
    lengths = np.array([[count] * args.batch for count in frames])
    batch = steps.random_batch(config, lengths, tokens)
    state = steps.fresh_state(config, batch)
    given, read = {**batch, **named, "text_model": variables}, embed
    if place == "precomputed":
        given, read = jax.device_get(jax.jit(embed)(given)), dict
    generation = steps.compile_generation(config, given, state.params, read)
    trained = count_parameters(state.params)  # the state is donated to the training
    training = steps.compile_training(config, given, state, read)
    seconds: dict[str, list[float]] = {"train": [], "generate": []}
    return Variant(text, place, training, generation, seconds, trained)


if __name__ == "__main__":
    keep_memory()
    main()
