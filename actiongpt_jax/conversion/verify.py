"""Reports a workdir's model, and checks that its arrays are finite and used."""

import dataclasses
import json
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from actiongpt_jax.config_fields import Config, deviations
from actiongpt_jax.conversion.convert import RECORD
from actiongpt_jax.files.reading import read_json
from actiongpt_jax.inference.pretrained import find_model
from actiongpt_jax.models.build import build
from actiongpt_jax.models.example import (
    example_inputs,
    flat_names,
    variable_shapes,
)
from actiongpt_jax.nn.parameters import count_parameters, parameter_hash
from actiongpt_jax.training import checkpoints

# The gradient is computed once, so short compilation matters more than speed.
_QUICKLY: Any = {
    "xla_backend_optimization_level": 0,
    "xla_llvm_disable_expensive_passes": True,
}


@dataclasses.dataclass(frozen=True)
class Report:
    """The facts about a model.

    Attributes:
        config: config of its training.
        step: number of training steps done, since a conversion if there was one.
        trained: number of parameters that have an effect.
        stored: number of parameters including the inert ones of the published layout.
        hash: `nn.parameters.parameter_hash` of the parameters that have an effect.
        deviations: 'field=value' of the published code's accidents that are switched on
            in this model.
        normalized: whether its features are normalised.
        origin: the record that `convert` wrote; empty for any other model.
        problems: sentences about its faults; empty for a sound model.
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
        """Returns name -> value, as text for people."""
        model, text = self.config.model, self.config.text
        sizes = ("num_layers", "latent_dim", "ff_size", "num_heads", "nfeats")
        origin = self.origin
        weights = f"trained for {self.step} steps"
        if origin:
            weights = f"{origin['source']} (sha256 {origin['sha256']}), converted"
            weights += f", {self.step} steps of training since" * bool(self.step)
        return {
            "model": model.name,
            "sizes": ", ".join(f"{name} {model[name]}" for name in sizes),
            "parameters": f"{self.trained:,} with an effect, {self.stored:,} with the "
            "inert ones of the published layout",
            "hash of the parameters": self.hash,
            "weights": weights,
            "texts": f"{text.source}, k={text.k}, encoder {text.encoder}, width "
            f"{text.width}, aggregation {text.aggregation}",
            "features": "normalised" if self.normalized else "not normalised",
            "frames per second": f"{self.config.data.framerate:g}",
            "accidents of the published code": ", ".join(self.deviations) or "none",
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
            f"# {name}\n\nText to motion (SMPL rotations at "
            f"{facts['frames per second']} fps); {terms}.\n\n"
            f"| | |\n|---|---|\n{rows}\n\n## Checks\n\n"
            f"{problems or 'Every array is finite and used.'}\n\n## Config\n\n"
            f"```json\n{json.dumps(self.config.to_dict(), indent=1)}\n```\n"
        )


def verify(workdir: str | pathlib.Path, which: str | int = "latest") -> Report:
    """Reports on a checkpoint and checks its arrays.

    An array counts as used if, on a random batch, the gradient of the model's outputs
    with respect to it is not zero everywhere.

    Args:
        workdir: folder or name of a model; see `inference.trained.load_model`.
        which: 'latest', 'best' or a step.

    Raises:
        FileNotFoundError: if there is no checkpoint.
        InputError: if the checkpoint is damaged, or there is no model of that name.
    """
    workdir = find_model(workdir)
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
    # A model folder has no inert arrays.
    held = {"unused": unused} if "unused" in restored.state else {}
    problems += _misfits(config, {"params": params, **held})
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
        origin=read_json(record, "convert it again") if record.is_file() else {},
        problems=problems,
    )


def _named(collection: str, tree: Any) -> dict[str, np.ndarray]:
    named = flat_names({collection: tree})
    return {name: np.asarray(array) for name, array in named.items()}


def _misfits(config: Config, held: dict[str, Any]) -> list[str]:
    """Lists differences between the arrays and those of the config's model."""
    expected = {
        name: shape
        for name, shape in variable_shapes(config).items()
        if name.partition("/")[0] in held
    }
    stored = {
        name: array.shape
        for part, tree in held.items()
        for name, array in _named(part, tree).items()
    }
    return [
        *(f"{name} is missing" for name in sorted(expected.keys() - stored.keys())),
        *(f"{name} is not used" for name in sorted(stored.keys() - expected.keys())),
        *(
            f"{name} has shape {stored[name]}, not {expected[name]}"
            for name in sorted(expected.keys() & stored.keys())
            if stored[name] != expected[name]
        ),
    ]


def _idle(config: Config, params: Any) -> list[str]:
    """Lists the arrays that have no effect on the outputs."""
    model, inputs = build(config), example_inputs(config)

    def total(params: Any) -> jax.Array:
        outputs: Any = model.apply({"params": params}, *inputs)
        rng, weighted = np.random.default_rng(1), jnp.zeros(())
        for output in jax.tree.leaves(outputs):
            # Random weights, so that no two outputs cancel.
            weights = rng.standard_normal(output.shape, np.float32)
            weighted += (weights * output).sum()
        return weighted

    gradient = jax.jit(jax.grad(total), compiler_options=_QUICKLY)(params)
    arrays = _named("params", jax.device_get(gradient))
    return [f"{name} is not used" for name, array in arrays.items() if not array.any()]
