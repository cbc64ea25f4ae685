"""Converts published PyTorch weights to variables of the models here, and back.

The model, its sizes and its number of layers are recognised by names and shapes alone.
"""

import dataclasses
import math
import os
from collections.abc import Callable, Mapping
from typing import Any

import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np

from actiongpt_jax.config import load_config
from actiongpt_jax.config_fields import Config
from actiongpt_jax.conversion.layout import Layout
from actiongpt_jax.conversion.recognise import MODELS, recognise
from actiongpt_jax.errors import InputError, list_names
from actiongpt_jax.files.pickle_objects import Foreign, plain
from actiongpt_jax.files.torch_reader import TorchFile
from actiongpt_jax.models.build import build
from actiongpt_jax.models.example import example_inputs
from actiongpt_jax.models.motionclip import TEXT_LATENTS
from actiongpt_jax.models.text_encoder import TEXT_MASKS
from actiongpt_jax.nn.positional import sinusoids

Variables = dict[str, Any]

# Number of rows in the position tables that the published modules store.
_MAX_POSITIONS = 5000
# Prefixes of the frozen language models inside the published checkpoints.
_SET_ASIDE = ("textencoder.text_model.", "clip_model.")
_MODULES = ("textencoder", "motionencoder", "motiondecoder")
# Override -> the allowed words, or None for a number; an override is known only for
# models whose config has the field.
_OVERRIDES = {
    "num_heads": None,
    "text_mask": TEXT_MASKS,
    "text_latent": TEXT_LATENTS,
    "dropout": None,
}


def load(path: str | os.PathLike, **overrides: Any) -> tuple[Config, Variables]:
    """Reads a checkpoint of PyTorch Lightning or a saved state dict.

    Args:
        path: path of the file.
        **overrides: see `from_state_dict`. They take precedence over the file's own
            hyper-parameters, of which only `num_heads` of the modules is used.

    Returns:
        (config, variables), as `from_state_dict` returns them.

    Raises:
        InputError: in the cases of `from_state_dict` and of
            `files.torch_reader.read_torch`.
    """
    published = open_published(path, **overrides)
    return published.config, jax.tree.map(jnp.asarray, published.variables)


@dataclasses.dataclass(frozen=True)
class Published:
    """The content of a published checkpoint.

    Attributes:
        config: full config of the model; see `from_state_dict`.
        variables: variables of the model as numpy arrays; see `from_state_dict`.
        settings: hyper-parameters of the run, as plain dicts, lists and values.
        facts: the other numbers and texts of the file: epoch, global_step, ...
        set_aside: number of tensors of a frozen language model that were left out.
    """

    config: Config
    variables: Variables
    settings: dict[str, Any]
    facts: dict[str, Any]
    set_aside: int


def open_published(path: str | os.PathLike, **overrides: Any) -> Published:
    """Reads a checkpoint with all its facts; memory holds little more than the weights.

    The arguments are those of `load`.
    """
    file, where = TorchFile(path), os.fspath(path)
    content = file.content
    if not isinstance(content, dict):
        raise InputError(
            f"{where} must hold a state dict, got"
            f" {content if isinstance(content, Foreign) else type(content).__name__}:"
            " give a model's checkpoint"
        )
    state, settings, facts = content, {}, {}
    if isinstance(content.get("state_dict"), dict):
        state = content["state_dict"]
        settings = plain(content.get("hyper_parameters"), where)
        settings = settings if isinstance(settings, dict) else {}
        overrides = _hyper_parameters(settings, where) | overrides
        facts = {k: v for k, v in content.items() if _is_fact(k, v)}
    config, variables = _convert(state, where, overrides, file.forget)
    aside = sum(str(name).startswith(_SET_ASIDE) for name in state)
    return Published(config, variables, settings, facts, aside)


def _is_fact(name: Any, value: Any) -> bool:
    is_number = type(value) in (int, float) and abs(value) < math.inf
    return type(name) is str and (is_number or type(value) is str)


def from_state_dict(
    state: Mapping[str, Any], **overrides: Any
) -> tuple[Config, Variables]:
    """Turns a state dict into a config and variables.

    Args:
        state: torch name -> numpy array. Buffers of positions may be missing; a frozen
            language model is left out.
        **overrides: `num_heads` (default 4, as in the published models; shapes do not
            determine it), `text_mask` (default 'bool'; weights trained by Action-GPT's
            published code on batches need 'shipped'), `text_latent` (default 'raw';
            MotionCLIP trained with the published normalize flags needs 'normalized'),
            `dropout`.

    Returns:
        A full config with the model's sizes and with the deviations of the published
        code that the weights were trained with; and the variables, float32 arrays in
        the collections `params`, `unused` (tensors that the model stores but does not
        use) and, if the state dict has them, `buffers`.

    Raises:
        InputError: if the model or an override is unknown, or tensors are missing,
            unexpected or of a wrong shape.
    """
    config, variables = _convert(state, "the state dict", overrides)
    return config, jax.tree.map(jnp.asarray, variables)


def to_state_dict(config: Config, variables: Variables) -> dict[str, np.ndarray]:
    """Turns variables back into a state dict with the published names and layouts.

    Args:
        config: config of the model.
        variables: collections `params` and `unused`; `buffers` are computed if they
            are missing.

    Returns:
        torch name -> array, in torch's order, without the language model.

    Raises:
        InputError: if there is no published form of the model, or variables are missing
            or unexpected.
    """
    sizes: Any = config.model
    if sizes.name not in MODELS:
        raise InputError(
            f"config.model.name must be one of {', '.join(MODELS)} for PyTorch weights,"
            f" got {sizes.name!r}"
        )
    layout, leaves = _layout(config), _flatten(variables)
    entries = {path: entry for entry in layout.values() for path, _ in entry.leaves}
    optional = {path for path, entry in entries.items() if entry.optional}
    _check_names(
        f"variables of {sizes.name} with {sizes.num_layers} layers",
        ["/".join(path) for path in entries if path not in leaves.keys() | optional],
        ["/".join(path) for path in leaves if path not in entries],
    )
    state = {}
    for name, entry in layout.items():
        if entry.leaves[0][0] in leaves:
            state[name] = entry.join(leaves)
        else:
            table = sinusoids(_MAX_POSITIONS, sizes.latent_dim)
            state[name] = np.asarray(table)[:, None]
    return state


def stored_buffers(config: Config, variables: Variables) -> dict[str, np.ndarray]:
    """Returns torch name -> array of the buffers that the state dict contained."""
    leaves = _flatten(variables)
    return {
        name: entry.join(leaves)
        for name, entry in _layout(config).items()
        if entry.optional and entry.leaves[0][0] in leaves
    }


def _layout(config: Config) -> Layout:
    model = MODELS[config.model.name]
    fields = ("num_layers", *model.variants)
    return model.layout(**{field: config.model[field] for field in fields})


def _convert(
    state: Mapping[str, Any],
    where: str,
    overrides: Mapping[str, Any],
    forget: Callable[[], None] = lambda: None,
) -> tuple[Config, Variables]:
    state = {k: v for k, v in state.items() if not str(k).startswith(_SET_ASIDE)}
    _check_floats(state, where)

    # Recognise the model, and check that it has all tensors of its layout.
    model_name = recognise(map(str, state), where)
    model = MODELS[model_name]
    structure = model.structure(state)
    layout = model.layout(**structure)
    what = f"{model_name} with {structure['num_layers']} layers"
    _check_names(
        f"{where}, taken for {what},",
        [n for n, entry in layout.items() if n not in state and not entry.optional],
        [name for name in state if name not in layout],
    )

    # Read its sizes from the shapes.
    config = load_config(model_name)
    try:
        config.update_from_flattened_dict(model.config_fields(state))
    except ValueError as error:
        raise InputError(
            f"{where}: tensors must have as many axes as in the published {model_name},"
            f" got other numbers of axes ({error})"
        ) from error
    _override(config, overrides, where)

    # Compare every shape with that of a model of these sizes, and copy the tensor.
    inputs = example_inputs(config)
    expected = jax.eval_shape(lambda: build(config).init(jax.random.key(0), *inputs))
    shapes = {path: leaf.shape for path, leaf in _flatten(expected).items()}
    leaves = {}
    for name, entry in layout.items():
        if name not in state:
            continue
        if entry.optional:
            _check_positions(state[name], config.model.latent_dim, name, where)
        elif state[name].shape != (shape := entry.torch_shape(shapes)):
            raise InputError(
                f"{where}: {name} must have shape {shape} to fit the other tensors,"
                f" got {state[name].shape}"
            )
        leaves |= entry.split(state[name])
        forget()
    return config, flax.traverse_util.unflatten_dict(leaves)


def _flatten(variables: Any) -> dict[tuple[str, ...], Any]:
    return flax.traverse_util.flatten_dict(variables)  # pyright: ignore


def _override(config: Config, overrides: Mapping[str, Any], where: str) -> None:
    known = [name for name in _OVERRIDES if name in config.model]
    for name, value in overrides.items():
        if name not in known:
            raise InputError(
                f"override {name!r} is unknown; known are {', '.join(known)}"
            )
        words = _OVERRIDES[name]
        if words is not None and value not in words:
            raise InputError(
                f"override {name} must be one of {', '.join(words)}, got {value!r}"
            )
    fields = {**config.model, **overrides}
    heads, width = fields["num_heads"], fields["latent_dim"]
    if not isinstance(heads, int) or heads < 1 or width % heads:
        raise InputError(
            f"{where}: num_heads must be a whole number that divides the width {width},"
            f" got {heads!r}; give the num_heads of the training run"
        )
    if not 0 <= fields["dropout"] < 1:
        raise InputError(
            f"override dropout must be in [0, 1), got {fields['dropout']!r}"
        )
    config.model.update(overrides)


def _check_floats(state: Mapping[str, Any], where: str) -> None:
    for name, tensor in state.items():
        is_array = isinstance(tensor, np.ndarray | jax.Array)
        if not is_array or not jnp.issubdtype(tensor.dtype, jnp.floating):
            raise InputError(
                f"{where}: {name} must be a numpy array of floats, got"
                f" {tensor.dtype if is_array else type(tensor).__name__}: give the"
                " model's state dict"
            )


def _check_names(what: str, missing: list[str], unexpected: list[str]) -> None:
    if missing or unexpected:
        raise InputError(
            f"{what} must hold exactly the tensors of that model; missing:"
            f" {list_names(missing, 12) or 'none'}; unexpected:"
            f" {list_names(unexpected, 12) or 'none'}"
        )


def _check_positions(tensor: np.ndarray, width: int, name: str, where: str) -> None:
    rows = len(tensor) if tensor.ndim else 0
    if tensor.shape != (rows, 1, width) or not 1 <= rows <= _MAX_POSITIONS:
        raise InputError(
            f"{where}: {name} must have shape ({_MAX_POSITIONS}, 1, {width}), got"
            f" {tensor.shape}"
        )
    # torch rounds angles of up to 5000 radians to float32, an error of 5e-4 at most.
    difference = np.abs(tensor[:, 0] - np.asarray(sinusoids(rows, width))).max()
    if not difference < 1e-3:
        raise InputError(
            f"{where}: {name} must be the sinusoids of the published code, because"
            f" they are computed here, got values that differ by {difference:.3g}"
        )


def _hyper_parameters(settings: dict[str, Any], where: str) -> dict[str, Any]:
    """Returns the overrides that a checkpoint's own settings state."""
    modules = [settings[m] for m in _MODULES if isinstance(settings.get(m), dict)]
    for module in modules:
        if module.get("activation", "gelu") != "gelu":
            raise InputError(
                f"{where}: the activation in hyper_parameters must be gelu, as in every"
                f" published model, got {module['activation']!r}"
            )
    heads = [module["num_heads"] for module in modules if "num_heads" in module]
    if any(number != heads[0] for number in heads):
        raise InputError(
            f"{where}: num_heads must be the same in all modules, got {heads} in"
            " hyper_parameters"
        )
    return {"num_heads": heads[0]} if heads else {}
