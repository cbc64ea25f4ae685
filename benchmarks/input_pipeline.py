"""How fast are batches made, and does memory stay constant?

    python benchmarks/input_pipeline.py
    python benchmarks/input_pipeline.py --data STORE --text EMBEDDINGS [--save FILE]

Prints one JSON line per case. `load` reads raw batches. `pipeline` is the time that
training waits for a batch from the background thread, including the transfer to the
device. `model_batch` is the encoding of a batch on the device, a part of the step.
Times are per batch. `rss_mb` is the process's own memory after a warm-up and at the
end; mapped pages of the stores belong to the system and are not counted. The script
makes temporary stores of random motion and text, first with segments of `--frames`
frames, then with segments whose lengths are distributed like BABEL's. If --data and
--text are given, their training segments follow. Run on a quiet machine.
"""

import argparse
import json
import pathlib
import statistics
import tempfile
import time

import jax
import numpy as np
import record

from actiongpt_jax.data.batches.plan import BatchPlan
from actiongpt_jax.data.batches.prefetch import prefetch
from actiongpt_jax.data.batches.segment_batches import (
    SegmentBatches,
    fit_features,
    model_batch,
)
from actiongpt_jax.data.batches.segments import Segment, segments
from actiongpt_jax.data.motion_store import MotionStore, open_store
from actiongpt_jax.data.motion_store import Sequence as SequenceRow
from actiongpt_jax.structs import TextFeatures
from actiongpt_jax.text.embeddings.builder import Settings, build_embedding_store
from actiongpt_jax.text.embeddings.store import EmbeddingStore, open_embeddings
from actiongpt_jax.text.encoders.loader import PretrainedEncoder
from actiongpt_jax.text.encoders.tokenizer import Pieces, Tokenizer

WARM_UP = 200  # batches
SEQUENCE_FRAMES = 2000
NUM_PHRASES = 500


class RandomTokenizer(Tokenizer):
    """A tokenizer that returns the number of word pieces that the text names."""

    def __init__(self):
        """Creates the tokenizer without files."""
        self.limit, self.pad_id = 512, 0

    def __call__(self, texts):
        """Returns word pieces with meaningless ids."""
        return [Pieces(np.zeros(int(text.split()[-1]), np.int32)) for text in texts]


class RandomEncoder(PretrainedEncoder):
    """A text encoder that returns random states of a given width."""

    tokenizer = RandomTokenizer()  # pyright: ignore[reportAssignmentType]
    weight_hash = "random"  # pyright: ignore[reportAssignmentType]

    def __init__(self, width):
        """Creates the encoder without weights."""
        self.name, self.limit, self.width = "random", 512, width
        self.variant = {}
        self._rng = np.random.default_rng(0)

    def encode(self, input_ids, attention_mask=None, token_type_ids=None):
        """Returns states drawn from a uniform distribution."""
        shape = (*input_ids.shape, self.width)
        return TextFeatures(jax.numpy.asarray(self._rng.random(shape, np.float32)))


def make_motion(folder, num_frames):
    """Writes smooth random motion and maps the files, as `open_store` does."""
    rng = np.random.default_rng(0)
    maps = {}
    for name, shape in (("rotations", (22, 3)), ("translation", (3,))):
        steps = rng.standard_normal((num_frames, *shape), np.float32)
        np.save(folder / f"{name}.npy", np.cumsum(0.02 * steps, 0))
        maps[name] = np.load(folder / f"{name}.npy", mmap_mode="r")
    rows = [
        SequenceRow(
            str(start), start, SEQUENCE_FRAMES, "train", str(start), "", 30.0, 30.0, 0.0
        )
        for start in range(0, num_frames - SEQUENCE_FRAMES + 1, SEQUENCE_FRAMES)
    ]
    return MotionStore(folder, **maps, hands=None, sequences=rows, labels=[], meta={})


def make_text(path, tokens, width):
    """Writes an embedding store of phrases with at most `tokens` tokens."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(tokens * 5 // 8, tokens + 1, NUM_PHRASES)
    lengths[0] = tokens
    # The last word of a text is its number of word pieces; see `RandomTokenizer`.
    texts = {f"phrase {i} 4": [f"text {n}"] for i, n in enumerate(lengths)}
    settings = Settings(k=1, aggregation="masked_mean")
    build_embedding_store(
        path, texts, RandomEncoder(width), settings, texts_per_shard=128
    )
    return open_embeddings(path)


def cut(store: MotionStore, phrases, lengths):
    """Cuts a store into consecutive segments of the given lengths."""
    items, sequence, start = [], 0, 0
    for i, length in enumerate(lengths):
        if start + length > store.sequences[sequence].length:
            sequence, start = (sequence + 1) % len(store.sequences), 0
        phrase = phrases[i % len(phrases)]
        end = start + int(length)
        items.append(Segment(str(i), sequence, start, end, phrase))
        start = end
    return items


def own_memory():
    """Returns the megabytes of this process's memory that are not backed by files."""
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(
        "/proc/self/status has no RssAnon; run this on Linux 4.5 or later"
    )


def measure(case, batches: SegmentBatches, produce, count, extra):
    """Measures the time per batch of `produce(steps)`; prints and returns a row."""
    shapes, times, start_mb = [], [], 0.0
    stream = iter(produce(range(WARM_UP + count)))
    for step in range(WARM_UP + count):
        if step == WARM_UP:
            start_mb = own_memory()
        started = time.perf_counter()
        raw = next(stream)
        times.append(time.perf_counter() - started)
        shapes.append(raw["rotations"].shape[1])
        del raw
    times = times[WARM_UP:]
    frames = set(shapes)
    row = {
        "case": case,
        "batch": batches.plan.batch_size,
        "frames": shapes[0] if len(frames) == 1 else sorted(frames),
        "tokens": batches.num_tokens,
        "batches": count,
        "batches_per_s": round(count / sum(times), 1),
        "ms_median": round(1e3 * statistics.median(times), 3),
        "ms_min": round(1e3 * min(times), 3),
        "ms_max": round(1e3 * max(times), 3),
        "padding": round(batches.plan.padding, 4),
        "rss_mb_start": round(start_mb, 1),
        "rss_mb_end": round(own_memory(), 1),
        **extra,
    }
    print(json.dumps(row), flush=True)
    return row


def run_cases(name, store, items, embeddings: EmbeddingStore, args):
    """Measures the three stages on one set of segments; returns three rows."""
    lengths = np.array([item.end - item.start for item in items])
    started = time.perf_counter()
    plan = BatchPlan(lengths, args.batch, seed=0)
    plan_s = round(time.perf_counter() - started, 4)
    batches = SegmentBatches(store, items, embeddings, plan)
    extra = {"items": len(items), "plan_s": plan_s}

    def place(step):
        return jax.device_put(batches.load(step))

    def pipeline(steps):
        for raw in prefetch(place, steps):
            yield jax.block_until_ready(raw)

    def load(steps):
        return map(batches.load, steps)

    rows = [
        measure(f"load_{name}", batches, load, args.batches, extra),
        measure(f"pipeline_{name}", batches, pipeline, args.batches, extra),
    ]

    normalizer = fit_features(batches)
    convert = jax.jit(model_batch)
    raws = {}
    for step in range(plan.batches_per_epoch):
        if plan.batch(step)[1] not in raws:
            raws[plan.batch(step)[1]] = place(step)
    for raw in raws.values():
        jax.block_until_ready(convert(raw, normalizer))

    def encode(steps):
        for step in steps:
            raw = raws[plan.batch(step)[1]]
            jax.block_until_ready(convert(raw, normalizer))
            yield raw

    count = min(args.batches, 200)
    return [*rows, measure(f"model_batch_{name}", batches, encode, count, extra)]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", help="motion store; requires --text")
    parser.add_argument("--text", help="embedding store of its phrases")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--store_frames", type=int, default=200_000)
    parser.add_argument("--batches", type=int, default=2000)
    parser.add_argument("--save", help="write the results to this file as well")
    args = parser.parse_args()
    if bool(args.data) != bool(args.text):
        parser.error("--data and --text must be given together")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        store = make_motion(pathlib.Path(folder), args.store_frames)
        text = make_text(pathlib.Path(folder, "text"), args.tokens, args.width)
        equal = np.full(args.store_frames // args.frames, args.frames)
        rows += run_cases("equal", store, cut(store, text.phrases, equal), text, args)
        # Roughly the median and spread of the lengths of BABEL's action segments.
        rng = np.random.default_rng(0)
        mixed = rng.lognormal(np.log(60), 0.8, len(equal)).clip(15, 750).astype(int)
        rows += run_cases("mixed", store, cut(store, text.phrases, mixed), text, args)
    if args.data:
        store, text = open_store(args.data), open_embeddings(args.text)
        rows += run_cases("given", store, segments(store, "train"), text, args)
    if args.save:
        record.save(args.save, rows, seed=0)


if __name__ == "__main__":
    main()
