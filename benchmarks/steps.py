"""Compiles training steps and generation of any model, on random data."""

import contextlib
import dataclasses
import functools
import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from actiongpt_jax.config import load_config
from actiongpt_jax.config_fields import Config
from actiongpt_jax.inference.latents import text_latents
from actiongpt_jax.models.build import build
from actiongpt_jax.models.family import family_of
from actiongpt_jax.training.parallel import DataParallel
from actiongpt_jax.training.step import (
    TrainState,
    create_state,
    make_optimizer,
    make_train_step,
)
from actiongpt_jax.training.tasks import task_of

Batch = dict[str, Any]
# Number of past frames that TEACH's text encoder reads, and DistilBERT's width.
PAST, TEXT = 5, 768
# Name -> dtype of a model's products and JAX's name of their precision. JAX's default
# for float32 on GPUs is TF32; CPUs compute tf32 like float32.
PRECISIONS = {
    "float32": ("float32", "highest"),
    "tf32": ("float32", "tensorfloat32"),
    "bfloat16": ("bfloat16", "default"),
}


@dataclasses.dataclass
class Program:
    """A compiled training step or generation.

    Attributes:
        run: runs the program once, without waiting for the result.
        compile_s: time of the compilation, seconds.
        compiled: the compiled object of jax.
    """

    run: Callable[[], Any]
    compile_s: float
    compiled: Any


def published_config(name: str, dtype: str, overrides: Sequence[str] = ()) -> Config:
    """Returns the full-size config of a model with matrix products in `dtype`."""
    path = os.path.join(os.path.dirname(__file__), "..", "configs", f"{name}.py")
    return load_config(path, [f"--config.train.dtype={dtype}", *overrides])


def random_batch(
    config: Config, frames: np.ndarray, tokens: np.ndarray, seed: int = 0
) -> Batch:
    """Draws a random batch in the form of training.

    Args:
        config: config of the model.
        frames: (A, B) number of frames of each motion; A is 2 for TEACH, else 1.
        tokens: (A, B, N, E) embedded tokens of each text; for MotionCLIP (1, B, 1, D).
        seed: seed of the random motions.
    """
    rng, batch = np.random.default_rng(seed), {}
    family = family_of(config)
    for part, lengths, states in zip(family.suffixes, frames, tokens, strict=True):
        mask = np.arange(lengths.max()) < lengths[:, None]
        values = rng.standard_normal((*mask.shape, config.model.nfeats), np.float32)
        features = np.where(mask[..., None], values, np.float32(0))
        batch |= {f"frame_mask{part}": mask}
        if family.pooled_text:
            batch |= {"poses": features, "text": states[:, 0]}
        else:
            batch |= {
                f"features{part}": features,
                f"tokens{part}": states,
                f"token_mask{part}": np.ones(states.shape[:2], bool),
            }
    return batch | {"index": np.arange(frames.shape[1], dtype=np.int32)}


def fresh_state(config: Config, batch: Batch, seed: int = 0) -> TrainState:
    """Returns a training state with random weights and a new optimizer state."""
    names, size = family_of(config).noise, len(batch["index"])
    noise = {name: jnp.zeros((size, config.model.latent_dim)) for name in names}
    return create_state(build(config), make_optimizer(config), batch, noise, seed)


def compile_training(
    config: Config,
    batch: Batch,
    state: TrainState,
    read: Callable[[Batch], Batch] = lambda batch: batch,
) -> Program:
    """Compiles the training step with dropout; each run continues the previous one.

    Args:
        config: config of the model.
        batch: input of `read`.
        state: state to start from; its buffers are donated and cannot be used later.
        read: batch -> batch of the model; it runs inside the step.
    """
    task, parallel = task_of(config), DataParallel(len(batch["index"]))
    step = make_train_step(
        build(config),
        task.terms(parallel.axis_name),
        task.weights(),
        make_optimizer(config),
        family_of(config).noise,
        parallel.axis_name,
    )
    state, placed = parallel.place_state(state), parallel.place_batch(batch)
    started = time.perf_counter()
    compiled: Any = parallel.compile(
        lambda state, batch: step(state, read(batch)), donate_state=True
    )
    compiled = compiled.lower(state, placed).compile()
    compile_s = time.perf_counter() - started

    def run():
        nonlocal state
        state, metrics = compiled(state, placed)
        return state, metrics

    return Program(run, compile_s, compiled)


def generation_inputs(config: Config, batch: Batch) -> tuple[Any, Any, Any]:
    """Returns the tokens, token mask and frame mask of a batch's first actions."""
    family = family_of(config)
    if family.pooled_text:
        tokens = batch["text"][:, None]
        return tokens, np.ones(tokens.shape[:2], bool), batch["frame_mask"]
    part = family.suffixes[0]
    names = ("tokens", "token_mask", "frame_mask")
    tokens, token_mask, frame_mask = (batch[name + part] for name in names)
    return tokens, token_mask, frame_mask


def compile_generation(
    config: Config,
    batch: Batch,
    params: Any,
    read: Callable[[Batch], Batch] = lambda batch: batch,
) -> Program:
    """Compiles generation: encode the texts of the first actions, sample, decode.

    Args:
        config: config of the model.
        batch: input of `read`.
        params: parameters of the model.
        read: batch -> batch of the model; it runs inside the generation.
    """
    model = build(config)
    variables = jax.device_put(jax.tree.map(np.asarray, {"params": params}))

    @jax.jit
    def generate(variables, batch, rng):
        tokens, token_mask, frame_mask = generation_inputs(config, read(batch))
        noise = jax.random.normal(rng, (len(tokens), config.model.latent_dim))
        latent = text_latents(model, variables, tokens, token_mask, noise)
        return model.apply(variables, latent, frame_mask, method="decode")

    inputs = (batch, jax.random.key(0))
    started = time.perf_counter()
    compiled = generate.lower(variables, *inputs).compile()
    compile_s = time.perf_counter() - started
    return Program(lambda: compiled(variables, *inputs), compile_s, compiled)


def textbook_flops(config, batch, frames, frames_1, tokens, text=TEXT):
    """Returns FLOPs of matrix products: (forward pass, generation of one action)."""
    model, sizes = config.model.name, config.model
    width, layers, nfeats = sizes.latent_dim, sizes.num_layers, sizes.nfeats

    def stack(length):
        # Attention to the decoder's single memory token is not counted: with one key
        # its weight is always 1, so queries and keys have no effect.
        per_token = 2 * width * (4 * width + 2 * sizes.ff_size)
        return layers * (length * per_token + 4 * length * length * width)

    project = 2 * tokens * text * width

    def read_motion(count, extra=2):
        return 2 * count * nfeats * width + stack(count + extra)

    def write(count):
        return stack(count) + 2 * count * width * nfeats

    if model == "motionclip":
        write_all = batch * write(frames)
        return write_all + batch * read_motion(frames, sizes.encoder_tokens), write_all
    if model == "temos":
        read = project + stack(tokens + 2)
        training = read + read_motion(frames) + 2 * write(frames)
    else:
        read = project + stack(tokens + 3)
        past = 2 * PAST * nfeats * width + stack(PAST)
        training = read + project + past + stack(tokens + 3 + PAST)
        for count in (frames, frames_1):
            training += read_motion(count) + 2 * write(count)
    return batch * training, batch * (read + write(frames))


@contextlib.contextmanager
def products_in(precision: str) -> Iterator[str]:
    """Lets the block's programs compute matrix products as PRECISIONS says.

    Yields:
        The dtype of the products, for `published_config`.
    """
    dtype, matmul = PRECISIONS[precision]
    with jax.default_matmul_precision(matmul):
        yield dtype


def matmul_rate(
    size: int | None = None, repeats: int = 3, dtype: str = "float32"
) -> float:
    """Returns the median GFLOP/s of products of two `size` x `size` matrices.

    Args:
        size: rows of a matrix; None takes 8192 on accelerators and 2048 on CPUs.
        repeats: number of timings.
        dtype: type of the matrices.
    """
    a = jax.random.normal(
        jax.random.key(1), (size or _large(8192, 2048),) * 2, jnp.dtype(dtype)
    )
    return 2 * len(a) ** 3 / _seconds(_product, a, repeats) / 1e9


def bandwidth(repeats: int = 3) -> float:
    """Returns the median GB/s of reading and writing an array once."""
    a = jnp.ones(_large(1 << 29, 1 << 26), jnp.float32)
    size = 2 * a.nbytes
    # In place, because otherwise the cost of newly mapped memory would be measured.
    return size / _seconds(_increment, a, repeats, carry=True) / 1e9


def _large(accelerator: int, cpu: int) -> int:
    return cpu if jax.devices()[0].platform == "cpu" else accelerator


def _seconds(run: Callable[[Any], Any], a: Any, repeats: int, carry=False) -> float:
    """Returns the median time of a call; `carry` feeds each result to the next."""
    # A launch costs a GPU a tenth of such a call; several are queued to hide it.
    inner, times = _large(10, 1), []
    for number in range(1 + repeats):
        started = time.perf_counter()
        for _ in range(inner):
            result = run(a)
            a = result if carry else a
        jax.block_until_ready(result)
        if number:  # the first includes the compilation
            times.append((time.perf_counter() - started) / inner)
    return statistics.median(times)


@jax.jit
def _product(a):
    return a @ a


@functools.partial(jax.jit, donate_argnums=0)
def _increment(a):
    return a + 1
