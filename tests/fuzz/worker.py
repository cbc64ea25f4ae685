"""Reads files in a process of its own, under limits, and says what came of each.

    python -m tests.fuzz.worker

For every line `READER<tab>PATH` of its input it prints a line of JSON with the outcome:
read, refused, traceback, hang or memory. A crash ends it.
"""

import contextlib
import faulthandler
import json
import os
import pathlib
import resource
import signal
import sys
import traceback
import warnings

import numpy as np

from actiongpt_jax.config import load_config
from actiongpt_jax.conversion import settings
from actiongpt_jax.conversion.from_torch import open_published
from actiongpt_jax.conversion.pack import read_figures
from actiongpt_jax.data.amass import read_amass
from actiongpt_jax.data.babel import label_frames, read_babel
from actiongpt_jax.data.batches.window_batches import read_images
from actiongpt_jax.data.batches.windows import Clip
from actiongpt_jax.data.captions import read_captions, read_humanml3d
from actiongpt_jax.data.mocap.acclaim import read_acclaim
from actiongpt_jax.data.mocap.joint_map import read_map
from actiongpt_jax.data.mocap.reader import read_mocap
from actiongpt_jax.data.motion import load_motion
from actiongpt_jax.data.motion_store import open_store
from actiongpt_jax.data.name_rule import apply_rule
from actiongpt_jax.data.phrases import read_phrases
from actiongpt_jax.data.store_writer import StoreWriter
from actiongpt_jax.data.table import annotate, read_table
from actiongpt_jax.errors import InputError
from actiongpt_jax.evaluation.journal import Journal
from actiongpt_jax.files.arrays import read_npy
from actiongpt_jax.files.safetensors import open_tensors
from actiongpt_jax.files.torch_reader import read_torch
from actiongpt_jax.geometry import body
from actiongpt_jax.llm.batch_state import BatchState
from actiongpt_jax.llm.budget import read_prices
from actiongpt_jax.llm.cache import DescriptionCache
from actiongpt_jax.text.descriptions import read_descriptions
from actiongpt_jax.text.embeddings.store import open_embeddings
from actiongpt_jax.text.encoders import loader
from actiongpt_jax.training import checkpoints
from actiongpt_jax.training.model_folder import read_model_folder
from actiongpt_jax.training.phrase_lengths import read_lengths
from actiongpt_jax.training.writers import MetricWriter

CPU_SECONDS, WALL_SECONDS = 10, 60  # the machine may be busy with other work
WEIGHTS = np.arange(64, dtype=np.float32).reshape(8, 8)  # in the seed's checkpoint
MEMORY = 1 << 30  # bytes by which one file may enlarge the process
LONGEST_MESSAGE = 2500


def motion_store(path):
    store = open_store(path.parent)
    assert store.report() and len(store.labels_by_sequence) == len(store.sequences)
    for number in range(len(store.sequences)):
        store.motion(number)


def embedding_store(path):
    store = open_embeddings(path.parent)
    for phrase in store.phrases:
        for source in ("descriptions", "phrase"):
            if store.has(phrase, source):
                store.tokens(phrase, source)
                store.pooled(phrase, source)
        for index in range(min(store.singles(phrase), 3)):
            store.tokens(phrase, index=index)


def babel(path):
    for annotation in read_babel(path.parent):
        label_frames(annotation, 90)


def published_settings(path):
    found = settings.find_settings(path.parent / "last.ckpt")
    settings.overrides_of(found)
    config = load_config("temos:debug").copy_and_resolve_references().unlock()
    settings.apply_settings(config, (found.values,), found.path)


def metrics(path):
    MetricWriter(path.parent, 3).close()


def journal(path):
    for row in Journal(path, {"step": 5}):
        row["key"].encode("utf-8", "surrogatepass")


def encoder(path):
    loader.load(path.parent).tokenizer(["walk forward", "x" * 100])


def batches(path):
    state = BatchState(path.parent.with_suffix(".jsonl"))
    state.pending()


def prepared(path):
    with StoreWriter(path.parents[1] / "store", {"a": "key", "b": "key"}):
        pass


def checkpoint(path):
    workdir = next(p.parent for p in path.parents if p.name == "checkpoints")
    restored = checkpoints.restore(workdir)
    if restored is not None:
        np.testing.assert_array_equal(restored.state["params"]["w"], WEIGHTS)


def mocap(path):
    if path.suffix == ".bvh":
        read_mocap(path)
    else:
        read_acclaim(path.with_suffix(".amc"))


def model_folder(path):
    read_model_folder(path.parent)


def lengths(path):
    read = read_lengths(path.parent)
    if read is not None:
        tokens = np.ones((3, read.vectors.shape[1]), np.float32)
        assert 1 <= read.nearest(tokens) <= 100_000


def images(path):
    read_images(path, [Clip("a-0", 0, ()), Clip("b-0", 1, ())])


def captions(path):
    annotate(read_captions(path.with_name("a.json"), path.parent))


def humanml3d(path):
    root = next(p for p in path.parents if p.name == "humanml3d")
    annotate(read_humanml3d(root))


def name_rule(path):
    apply_rule(path, path.parent)


READERS = {
    "motion store": motion_store,
    "embedding store": embedding_store,
    "AMASS": read_amass,
    "motion": load_motion,
    "BABEL": babel,
    "phrases": read_phrases,
    "table": read_table,
    "captions": captions,
    "HumanML3D": humanml3d,
    "name rule": name_rule,
    "joint map": read_map,
    "BVH, ASF, AMC": mocap,
    "descriptions": read_descriptions,
    "cache": lambda path: DescriptionCache(path, writable=False),
    "prices": read_prices,
    "batches": batches,
    "torch": read_torch,
    "published checkpoint": open_published,
    "settings": published_settings,
    "settings in opt.yaml": published_settings,
    "statistics": lambda path: read_npy(path, "try another"),
    "safetensors": open_tensors,
    "body": body.load,
    "encoder": encoder,
    "config": lambda path: load_config(str(path)),
    "checkpoint": checkpoint,
    "metrics": metrics,
    "journal": journal,
    "figures": lambda path: read_figures(path, "a hash"),
    "model folder": model_folder,
    "lengths of phrases": lengths,
    "image embeddings": images,
    "prepared": prepared,
}


class Late(BaseException):
    """A reader took too long."""


def outcome_of(reader: str, path: pathlib.Path) -> tuple[str, str]:
    """Returns (outcome, text) of one reader on one file."""

    def late(*_):
        raise Late

    for kind in (signal.SIGPROF, signal.SIGALRM):
        signal.signal(kind, late)
    before = peak()
    signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
    signal.setitimer(signal.ITIMER_REAL, WALL_SECONDS)
    # Ends the process if no Python code runs any more.
    faulthandler.dump_traceback_later(2 * WALL_SECONDS, exit=True)
    try:
        READERS[reader](path)
        outcome, text = "read", ""
    except (InputError, FileNotFoundError) as error:
        outcome, text = "refused", str(error)
        if isinstance(error.__cause__, MemoryError):
            outcome = "memory"
        elif not text.isprintable() or len(text) > LONGEST_MESSAGE:
            outcome = "message"
        elif "allow_pickle" in text:
            outcome = "message"
    except Late:
        outcome, text = "hang", traceback.format_exc()
    except MemoryError:
        outcome, text = "memory", traceback.format_exc()
    except BaseException:
        outcome, text = "traceback", traceback.format_exc()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        faulthandler.cancel_dump_traceback_later()
    if peak() - before > MEMORY:
        outcome = "memory"
    return outcome, text[-3000:]


def peak() -> int:
    """Returns the largest size that this process had in memory, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[0])
    most = pages * os.sysconf("SC_PAGE_SIZE") + 3 * MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    with contextlib.redirect_stdout(sys.stderr):
        for line in sys.stdin:
            reader, _, path = line.rstrip("\n").partition("\t")
            answers.write(json.dumps(outcome_of(reader, pathlib.Path(path))) + "\n")


if __name__ == "__main__":
    main()
