"""What a workdir's model is, and whether all of its numbers are sound and used."""

import dataclasses
import json
import pathlib
from typing import Any

import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np

from actiongpt_jax.config_fields import Config, deviations
from actiongpt_jax.conversion.convert import RECORD
from actiongpt_jax.models.build import build
from actiongpt_jax.models.example import example_inputs
from actiongpt_jax.nn.parameters import count_parameters, parameter_hash
from actiongpt_jax.training import checkpoints

# It runs once: compiling takes far longer.
_QUICKLY: Any = {
    "xla_backend_optimization_level": 0,
    "xla_llvm_disable_expensive_passes": True,
}


@dataclasses.dataclass(frozen=True)
class Report:
    """A model's facts.

    Attributes:
        config: of its training.
        step: training steps done here.
        trained: number of parameters that act.
        stored: number of parameters with the inert ones of the published layout.
        hash: `nn.parameters.parameter_hash` of the variables that act.
        deviations: 'field = value' of what the published code does by accident and
            this model has switched on.
        normalized: whether its features are normalised.
        origin: what `convert` has recorded, or an empty dict.
        problems: sentences; none for a sound model.
    """

    config: Config
    step: int
    trained: int
    stored: int
    hash: str
    deviations: list[str]
    normalized: bool
    origin: dict[str, Any]
    problems: list[str]

    def facts(self) -> dict[str, str]:
        """Returns name -> value as shown to people."""
        model, text = self.config.model, self.config.text
        sizes = ("num_layers", "latent_dim", "ff_size", "num_heads", "nfeats")
        origin = self.origin
        weights = f"trained here for {self.step} steps"
        if origin:
            weights = f"{origin['source']} (sha256 {origin['sha256']}), converted"
            weights += f", {self.step} steps of training since" * bool(self.step)
        return {
            "model": model.name,
            "sizes": ", ".join(f"{name} {model[name]}" for name in sizes),
            "parameters": f"{self.trained:,} that act, {self.stored:,} as the authors "
            "count (with inert ones)",
            "hash of the parameters": self.hash,
            "weights": weights,
            "texts": f"{text.source}, k={text.k}, encoder {text.encoder}, width "
            f"{text.width}, aggregation {text.aggregation}",
            "features": "normalised" if self.normalized else "as they are",
            "deviations of the reference": ", ".join(self.deviations) or "none",
        }

    def card(self) -> str:
        """Returns a model card in Markdown."""
        facts = self.facts()
        rows = "\n".join(f"| {name} | {value} |" for name, value in facts.items())
        problems = "\n".join(f"- {problem}" for problem in self.problems)
        name, terms = self.config.model.name, "the terms of its training data apply"
        if self.origin:
            terms = "the terms of the authors' weights and of their data apply"
        return (
            f"# {name}\n\nText to motion (SMPL rotations at 30 fps); {terms}.\n\n"
            f"| | |\n|---|---|\n{rows}\n\n## Checks\n\n"
            f"{problems or 'Every array is finite and used.'}\n\n## Config\n\n"
            f"```json\n{json.dumps(self.config.to_dict(), indent=1)}\n```\n"
        )


def verify(workdir: str | pathlib.Path, which: str | int = "latest") -> Report:
    """Looks at a checkpoint and checks its numbers.

    An array is used if the gradient of the model's outputs by it is not all zero on a
    random batch.

    Args:
        workdir: of a training run or a conversion.
        which: 'latest', 'best' or a step.

    Raises:
        FileNotFoundError: if there is no checkpoint.
        InputError: if it is damaged.
    """
    workdir = pathlib.Path(workdir)
    restored = checkpoints.restore(workdir, which)
    if restored is None:
        raise FileNotFoundError(f"{workdir} has no checkpoint; give a workdir")
    config = restored.config
    params, unused = restored.state["params"], restored.state.get("unused") or {}
    mean, std = np.asarray(restored.normalizer.mean), restored.normalizer.std
    arrays = {
        **_named("params", params),
        **_named("unused", unused),
        **_named("normalizer", {"mean": mean, "std": std}),
    }
    problems = [
        f"{name} holds numbers that are not finite"
        for name, array in arrays.items()
        if not np.isfinite(array).all()
    ]
    problems += _misfits(config, {"params": params, "unused": unused})
    if not problems:
        problems = _idle(config, params)
    record = workdir / RECORD
    return Report(
        config=config,
        step=restored.step,
        trained=count_parameters(params),
        stored=count_parameters(params) + count_parameters(unused),
        hash=parameter_hash(restored.variables),
        deviations=deviations(config),
        normalized=bool(mean.any() or (np.asarray(std) != 1).any()),
        origin=json.loads(record.read_text()) if record.is_file() else {},
        problems=problems,
    )


def _named(collection: str, tree: Any) -> dict[str, np.ndarray]:
    flat: Any = flax.traverse_util.flatten_dict({collection: tree}, sep="/")
    return {name: np.asarray(array) for name, array in flat.items()}


def _misfits(config: Config, held: dict[str, Any]) -> list[str]:
    """Compares names and shapes with those of the config's model."""
    inputs = example_inputs(config)
    made: Any = jax.eval_shape(build(config).init, jax.random.key(0), *inputs)
    parts: Any = {part: made.get(part, {}) for part in ("params", "unused")}
    flat: Any = flax.traverse_util.flatten_dict(parts, sep="/")
    wanted = {name: leaf.shape for name, leaf in flat.items()}
    found = {
        name: array.shape
        for part, tree in held.items()
        for name, array in _named(part, tree).items()
    }
    return [
        *(f"{name} is missing" for name in sorted(wanted.keys() - found.keys())),
        *(f"{name} is not used" for name in sorted(found.keys() - wanted.keys())),
        *(
            f"{name} has shape {found[name]}, not {wanted[name]}"
            for name in sorted(wanted.keys() & found.keys())
            if found[name] != wanted[name]
        ),
    ]


def _idle(config: Config, params: Any) -> list[str]:
    """Names the arrays that change nothing."""
    model, inputs = build(config), example_inputs(config)

    def total(params: Any) -> jax.Array:
        outputs: Any = model.apply({"params": params}, *inputs)
        rng, found = np.random.default_rng(1), jnp.zeros(())
        for output in jax.tree.leaves(outputs):
            # Weights of their own, so that no two outputs cancel.
            weights = rng.standard_normal(output.shape, np.float32)
            found += (weights * output).sum()
        return found

    gradient = jax.jit(jax.grad(total), compiler_options=_QUICKLY)(params)
    found = _named("params", jax.device_get(gradient))
    return [f"{name} is not used" for name, array in found.items() if not array.any()]
