"""Our side of the comparison that `versus_torch.py` runs."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import steps
from workload import Runner, Workload

from actiongpt_jax.config_fields import Config
from actiongpt_jax.conversion.from_torch import from_state_dict, to_state_dict
from actiongpt_jax.geometry.skeletons import SMPL22
from actiongpt_jax.inference.latents import text_latents
from actiongpt_jax.models.build import build
from actiongpt_jax.models.family import FAMILIES
from actiongpt_jax.text import encoders
from actiongpt_jax.text.aggregate import aggregate
from actiongpt_jax.training.host_memory import keep_memory
from actiongpt_jax.training.step import TrainState, make_optimizer
from actiongpt_jax.training.tasks import TASKS

_OUTPUTS = ("z_", "features_", "latent", "poses")


def prepare(work: Workload) -> tuple[dict[str, Any], dict[str, float]]:
    """Embeds random texts with the folder's text model, and draws all other inputs.

    Writes the batch, texts, noise, body and weights to files that both sides read.

    Returns:
        The fields of the model's config, and term name -> weight of the loss.
    """
    rng = np.random.default_rng(work.seed)
    encoder = encoders.load(str(work.text_folder))
    config = _config(work)
    tokens, masks, arrays, frames = [], [], {}, []
    for part, longest in zip(work.parts, (work.frames, work.frames_1), strict=False):
        ids, mask = _texts(work, rng)
        arrays |= {f"ids{part}": ids, f"id_mask{part}": mask}
        features = encoder.encode(ids, mask)
        if work.clip:
            vectors = np.asarray(features.pooled)
            vectors = vectors.reshape(work.batch, work.k, -1).mean(1)[:, None]
            result = vectors, np.ones(vectors.shape[:2], bool)
        else:
            states = np.asarray(features.tokens)
            states = states.reshape(work.batch, work.k, *states.shape[1:])
            result = aggregate(
                states, mask.reshape(work.batch, work.k, -1), "reference_mean"
            )
        tokens.append(result[0])
        masks.append(result[1])
        shortest = longest // 2 if work.padded else longest
        lengths = rng.integers(shortest, longest + 1, work.batch)
        lengths[0] = longest
        frames.append(lengths)
    batch = steps.random_batch(config, np.array(frames), np.array(tokens), work.seed)
    for part, mask in zip(work.parts, masks, strict=True):
        if not work.clip:
            batch[f"token_mask{part}"] = np.asarray(mask)
    names = FAMILIES[work.model].noise
    shape = (work.batch, config.model.latent_dim)
    noise = {name: rng.standard_normal(shape, np.float32) for name in names}
    body = {"offsets": np.array(SMPL22.offsets, np.float32), "parents": SMPL22.parents}
    state = steps.fresh_state(config, batch, work.seed)
    variables = {"params": state.params, "unused": state.unused}
    files: dict[str, dict[str, Any]] = {
        "batch": batch,
        "texts": arrays,
        "noise": noise,
        "body": body,
        "weights": to_state_dict(config, variables),
    }
    for name, content in files.items():
        np.savez(work.file(name), **content)
    return config.model.to_dict(), TASKS[work.model](config).weights()


def check(work: Workload) -> dict[str, np.ndarray]:
    """Computes every array that must agree with the peer, in float32 without dropout.

    Returns:
        name -> array; names start with outputs/, terms/, gradients/ (followed by the
        parameter's name in torch) or texts/.
    """
    config = _config(work, "float32")
    model, batch, state = build(config), saved_batch(work), saved_state(work, config)
    noise = dict(np.load(work.file("noise")))
    terms_fn, weights = (
        TASKS[work.model](config).terms(None),
        TASKS[work.model](config).weights(),
    )

    @jax.jit
    @functools.partial(jax.value_and_grad, has_aux=True)
    def loss(params):
        outputs: Any = model.apply({"params": params}, batch, noise)
        terms = terms_fn(outputs, batch)
        means = {name: total / count for name, (total, count) in terms.items()}
        return sum(weights[name] * mean for name, mean in means.items()), (
            {n: a for n, a in vars(outputs).items() if n.startswith(_OUTPUTS)},
            means,
        )

    @jax.jit
    def generate(params):
        tokens, token_mask, frame_mask = steps.generation_inputs(config, batch)
        variables = {"params": params}
        first = next(iter(noise.values()), None)
        latent = text_latents(model, variables, tokens, token_mask, first)
        return model.apply(variables, latent, frame_mask, method="decode")

    with jax.default_matmul_precision("highest"):
        (total, (outputs, terms)), gradients = loss(state.params)
        generated = generate(state.params)
    inert = jax.tree.map(jnp.zeros_like, state.unused)
    result = {f"outputs/{n}": a for n, a in outputs.items() if a is not None}
    result |= {f"terms/{name}": array for name, array in terms.items()}
    result |= {"terms/total": total, "outputs/generated": generated}
    by_torch_name = to_state_dict(config, {"params": gradients, "unused": inert})
    result |= {
        f"gradients/{name}": array
        for name, array in by_torch_name.items()
        if not name.endswith(".pe")
    }
    for part in work.parts:
        if work.clip:
            result["texts/vectors"] = batch["text"]
        else:
            mask = batch[f"token_mask{part}"][..., None]
            result[f"texts/states{part}"] = np.where(mask, batch[f"tokens{part}"], 0)
    return {name: np.asarray(array) for name, array in result.items()}


def make(work: Workload, case: str) -> Runner:
    """Compiles a training step or generation; `closing` measures the machine."""
    if case != "generate":  # like the train command
        keep_memory()
    device = jax.devices()[0]
    config, batch = _config(work), saved_batch(work)
    state = saved_state(work, config)
    forward, generation = steps.textbook_flops(
        config, work.batch, work.frames, work.frames_1, work.tokens, work.text[0]
    )
    with steps.products_in(work.dtype):
        if case == "generate":
            flops = generation
            program = steps.compile_generation(config, batch, state.params)
        else:
            flops = 3 * forward
            program = steps.compile_training(config, batch, state)
    del state
    cost: Any = program.compiled.cost_analysis()
    facts = {
        "platform": device.platform,
        "device": device.device_kind,
        "jax": jax.__version__,
        "compile_s": round(program.compile_s, 1),
        "flops": flops,
        "bytes": int((cost or {}).get("bytes accessed", 0)),
    }

    def closing() -> dict[str, Any]:
        peak = (device.memory_stats() or {}).get("peak_bytes_in_use")
        with steps.products_in(work.dtype) as dtype:
            rate = steps.matmul_rate(dtype=dtype)
        return {
            "device_mib": None if peak is None else peak >> 20,
            "gemm_gflops": round(rate, 1),
            "bandwidth_gb_s": round(steps.bandwidth(), 1),
        }

    return Runner(program.run, jax.block_until_ready, facts, closing)


def saved_batch(work: Workload) -> steps.Batch:
    """Returns the batch that `prepare` wrote."""
    return dict(np.load(work.file("batch")))


def saved_state(work: Workload, config: Config) -> TrainState:
    """Returns a training state at step 0 with the weights that both sides use."""
    stored = dict(np.load(work.file("weights")))
    _, variables = from_state_dict(stored, num_heads=config.model.num_heads)
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=variables["params"],
        unused=variables["unused"],
        opt_state=make_optimizer(config).init(variables["params"]),
        rng=jax.random.PRNGKey(work.seed),
    )


def _config(work: Workload, precision: str | None = None) -> Config:
    dtype, _ = steps.PRECISIONS[precision or work.dtype]
    return steps.published_config(work.model, dtype, work.overrides)


def _texts(work: Workload, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draws (B k, N) word pieces, with the highest id at a text's end, and a mask."""
    count, vocabulary = work.batch * work.k, work.text[-1]
    shortest = work.tokens // 2 if work.padded else work.tokens
    lengths = rng.integers(shortest, work.tokens + 1, count)
    lengths[0] = work.tokens
    places = np.arange(work.tokens)
    ids = rng.integers(1, vocabulary - 2, (count, work.tokens))
    ids = np.where(places == lengths[:, None] - 1, vocabulary - 1, ids)
    mask = places < lengths[:, None]
    return np.where(mask, ids, 0), mask.astype(np.int64)
