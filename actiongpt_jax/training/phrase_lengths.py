"""How long each phrase lasted in training, kept in the folder of the model.

The file has one row per phrase of the training split: the median number of frames, and
a unit vector of the phrase's own embedding, with which a phrase that was not in
training finds its nearest ones.
"""

import dataclasses
import pathlib

import numpy as np

from actiongpt_jax.config_fields import Config
from actiongpt_jax.data.batches.segments import segments
from actiongpt_jax.data.motion_store import open_store
from actiongpt_jax.errors import InputError
from actiongpt_jax.files.safetensors import open_tensors, write_tensors
from actiongpt_jax.shapes import check_shape
from actiongpt_jax.text.embeddings.store import open_embeddings

LENGTHS = "lengths.safetensors"
# An unknown phrase lasts as long as the median of this many nearest phrases.
_NEAREST = 5
_MOST = 100_000  # frames; more in a file means that it is damaged
_REMEDY = "delete it: lengths are then 3 seconds, or train again"


@dataclasses.dataclass(frozen=True)
class PhraseLengths:
    """The lengths of a training split's phrases.

    Attributes:
        phrases: the n phrases.
        frames: (n,) int32 median number of frames of each phrase, at the model's frame
            rate.
        vectors: (n, E) float16 unit vectors, the means of each phrase's token
            embeddings.
    """

    phrases: tuple[str, ...]
    frames: np.ndarray
    vectors: np.ndarray

    def known(self, phrase: str) -> int | None:
        """Returns the median length of a phrase in training; None if it was not."""
        if phrase in self.phrases:
            return int(self.frames[self.phrases.index(phrase)])
        return None

    def nearest(self, tokens: np.ndarray) -> int:
        """Returns the median length of the phrases nearest to another one.

        Args:
            tokens: (m, E) token embeddings of the other phrase.
        """
        scores = self.vectors.astype(np.float32) @ unit_mean(tokens)
        best = np.argsort(-scores, kind="stable")[:_NEAREST]
        return int(np.median(self.frames[best]))


def unit_mean(tokens: np.ndarray) -> np.ndarray:
    """Returns the (E,) float32 mean of (m, E) token embeddings, scaled to length 1."""
    mean = np.asarray(tokens, np.float32).mean(0)
    return mean / max(float(np.linalg.norm(mean)), 1e-12)


def measure_lengths(config: Config) -> PhraseLengths | None:
    """Measures the lengths of the phrases that a run trains on.

    Args:
        config: config of the run, with its stores.

    Returns:
        The lengths; None for a model of windows, whose motions have a single length,
        and if no phrase of the split is in the embedding store.
    """
    data = config.data
    if data.get("num_frames"):
        return None
    embeddings = open_embeddings(config.text.store)
    limits = data.min_frames, data.max_frames
    frames: dict[str, list[int]] = {}
    for item in segments(
        open_store(pathlib.Path(data.store)), data.train_split, data.labels, *limits
    ):
        frames.setdefault(item.phrase, []).append(item.end - item.start)
    phrases = [phrase for phrase in sorted(frames) if phrase in embeddings]
    if not phrases:
        return None
    vectors = [unit_mean(embeddings.tokens(phrase, "phrase")) for phrase in phrases]
    medians = [round(float(np.median(frames[phrase]))) for phrase in phrases]
    return PhraseLengths(
        tuple(phrases), np.array(medians, np.int32), np.array(vectors, np.float16)
    )


def write_lengths(folder: pathlib.Path, lengths: PhraseLengths) -> None:
    """Writes lengths into the folder of a model; the file is complete or absent."""
    text = np.frombuffer("\n".join(lengths.phrases).encode(), np.uint8)
    arrays = {"frames": lengths.frames, "vectors": lengths.vectors, "phrases": text}
    write_tensors(folder / LENGTHS, {name: [x] for name, x in arrays.items()}, {})


def read_lengths(folder: pathlib.Path) -> PhraseLengths | None:
    """Reads the lengths in the folder of a model; None if it has none.

    Raises:
        InputError: if the file is damaged.
    """
    path = folder / LENGTHS
    if not path.is_file():
        return None
    arrays, _ = open_tensors(path)
    if set(arrays) != {"frames", "vectors", "phrases"}:
        raise InputError(f"{path} must hold the lengths of phrases; {_REMEDY}")
    try:
        phrases = tuple(bytes(arrays["phrases"]).decode().split("\n"))
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is damaged; {_REMEDY}") from error
    sizes = check_shape(
        f"{path}: frames", arrays["frames"], f"{len(phrases)}", None, _REMEDY
    )
    check_shape(
        f"{path}: vectors", arrays["vectors"], f"{len(phrases)} E", sizes, _REMEDY
    )
    frames = np.asarray(arrays["frames"])
    if frames.dtype.kind not in "iu" or not ((frames > 0) & (frames <= _MOST)).all():
        raise InputError(f"{path}: lengths must be 1 to {_MOST} frames; {_REMEDY}")
    return PhraseLengths(phrases, frames, np.asarray(arrays["vectors"]))
