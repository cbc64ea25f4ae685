"""Published PyTorch weights to variables of the models here, and back.

The model, its sizes and its number of layers are read from names and shapes alone.
"""

import dataclasses
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
from actiongpt_jax.errors import InputError
from actiongpt_jax.files.pickle_objects import Foreign, plain
from actiongpt_jax.files.torch_reader import TorchFile
from actiongpt_jax.models.build import build
from actiongpt_jax.models.motionclip import TEXT_LATENTS
from actiongpt_jax.models.text_encoder import TEXT_MASKS
from actiongpt_jax.nn.positional import sinusoids

Variables = dict[str, Any]

# Rows of the position table that the published modules store.
_MAX_POSITIONS = 5000
# Frozen language models travel inside the published checkpoints.
_SET_ASIDE = ("textencoder.text_model.", "clip_model.")
_MODULES = ("textencoder", "motionencoder", "motiondecoder")
# Override -> the words that it may be, of the models that have the field.
_OVERRIDES = {
    "num_heads": None,
    "text_mask": TEXT_MASKS,
    "text_latent": TEXT_LATENTS,
    "dropout": None,
}


def load(path: str | os.PathLike, **overrides: Any) -> tuple[Config, Variables]:
    """Reads a checkpoint of PyTorch Lightning or a saved state dict.

    Args:
        path: of the file.
        **overrides: as in `from_state_dict`; they win over the file's own
            hyper-parameters, of which `num_heads` of the modules is used.

    Returns:
        As `from_state_dict`.

    Raises:
        InputError: as `from_state_dict` and `files.torch_reader.read_torch`.
    """
    published = open_published(path, **overrides)
    return published.config, jax.tree.map(jnp.asarray, published.variables)


@dataclasses.dataclass(frozen=True)
class Published:
    """What a checkpoint holds.

    Attributes:
        config: as of `from_state_dict`.
        variables: as of `from_state_dict`, but numpy arrays.
        settings: hyper-parameters of the run, as plain dicts, lists and values.
        facts: what else is told in numbers and texts: epoch, global_step, ...
        set_aside: number of tensors of a frozen language model, left out.
    """

    config: Config
    variables: Variables
    settings: dict[str, Any]
    facts: dict[str, Any]
    set_aside: int


def open_published(path: str | os.PathLike, **overrides: Any) -> Published:
    """Reads a checkpoint with all that it tells; arguments as of `load`.

    Little more than the model itself is held in memory.
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
        settings = plain(content.get("hyper_parameters"))
        settings = settings if isinstance(settings, dict) else {}
        overrides = _hyper_parameters(settings, where) | overrides
        facts = {k: v for k, v in content.items() if type(v) in (int, float, str)}
    config, variables = _convert(state, where, overrides, file.forget)
    aside = sum(str(name).startswith(_SET_ASIDE) for name in state)
    return Published(config, variables, settings, facts, aside)


def from_state_dict(
    state: Mapping[str, Any], **overrides: Any
) -> tuple[Config, Variables]:
    """Turns a state dict into a config and variables.

    Args:
        state: torch name -> numpy array. Buffers of positions may be there or not; a
            frozen language model inside is left out.
        **overrides: `num_heads` (4 by default, which is what the published models
            run; shapes do not tell), `text_mask` ('bool' by default; weights that
            were trained by Action-GPT's published code on batches want 'shipped'),
            `text_latent` ('raw' by default; MotionCLIP trained with one of the
            published normalize flags wants 'normalized'), `dropout`.

    Returns:
        config: a full config with the model's sizes, and the deviations of the
            published code that its weights were trained with.
        variables: float32 arrays in the collections `params`, `unused` (what
            the model carries without using it) and, where the state dict has them,
            `buffers`.

    Raises:
        InputError: if the model is not known, tensors are missing, unexpected or of
            a wrong shape, or an override is unknown.
    """
    config, variables = _convert(state, "the state dict", overrides)
    return config, jax.tree.map(jnp.asarray, variables)


def to_state_dict(config: Config, variables: Variables) -> dict[str, np.ndarray]:
    """Turns variables back into a state dict with the published names and layouts.

    Args:
        config: of the model.
        variables: with the collections `params` and `unused`; `buffers` are written
            as they are where present, else made.

    Returns:
        torch name -> array, in torch's order, without a language model.

    Raises:
        InputError: if the model has no published form, or variables are missing or
            unexpected.
    """
    sizes: Any = config.model
    if sizes.name not in MODELS:
        raise InputError(
            f"config.model.name must be one of {', '.join(MODELS)} for PyTorch weights,"
            f" got {sizes.name!r}"
        )
    layout, leaves = _layout(config), _flatten(variables)
    wanted = {path: entry for entry in layout.values() for path, _ in entry.leaves}
    missing = [
        p for p, entry in wanted.items() if p not in leaves and not entry.optional
    ]
    unexpected = [path for path in leaves if path not in wanted]
    if missing or unexpected:
        raise _mismatch(
            f"variables of {sizes.name} with {sizes.num_layers} layers",
            ["/".join(path) for path in missing],
            ["/".join(path) for path in unexpected],
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
    """Returns the buffers that a state dict had, by torch name."""
    leaves = _flatten(variables)
    return {
        name: entry.join(leaves)
        for name, entry in _layout(config).items()
        if entry.optional and entry.leaves[0][0] in leaves
    }


def _layout(config: Config) -> Layout:
    model = MODELS[config.model.name]
    variant = {field: config.model[field] for field in model.variants}
    return model.layout(config.model.num_layers, **variant)


def _convert(
    state: Mapping[str, Any],
    where: str,
    overrides: Mapping[str, Any],
    forget: Callable[[], None] = lambda: None,
) -> tuple[Config, Variables]:
    state = {k: v for k, v in state.items() if not str(k).startswith(_SET_ASIDE)}
    for name, tensor in state.items():
        array = isinstance(tensor, np.ndarray | jax.Array)
        if not array or not jnp.issubdtype(tensor.dtype, jnp.floating):
            raise InputError(
                f"{where}: {name} must be a numpy array of floats, got"
                f" {tensor.dtype if array else type(tensor).__name__}: give the model's"
                " state dict"
            )
    model_name = recognise(map(str, state), where)
    model = MODELS[model_name]
    num_layers = model.count_layers(state)
    variant = {field: read(state) for field, read in model.variants.items()}
    layout = model.layout(num_layers, **variant)
    missing = [
        n for n, entry in layout.items() if n not in state and not entry.optional
    ]
    unexpected = [name for name in state if name not in layout]
    if missing or unexpected:
        what = f"{where}, taken for {model_name} with {num_layers} layers,"
        raise _mismatch(what, missing, unexpected)

    try:
        fields, example = model.fields(state), model.example(state)
    except ValueError as error:
        raise InputError(
            f"{where}: tensors must have as many axes as in the published {model_name},"
            f" got others ({error})"
        ) from error
    fields["model"] |= {"name": model_name, "num_layers": num_layers, **variant}
    _override(fields["model"], overrides, where)
    config = load_config(model_name)
    with config.unlocked():
        config.update(fields)
    made = jax.eval_shape(lambda: build(config).init(jax.random.key(0), *example))
    shapes = {path: leaf.shape for path, leaf in _flatten(made).items()}
    leaves = {}
    for name, entry in layout.items():
        if name not in state:
            continue
        if entry.optional:
            _check_positions(state[name], fields["model"]["latent_dim"], name, where)
        elif state[name].shape != (expected := entry.torch_shape(shapes)):
            raise InputError(
                f"{where}: {name} must have shape {expected} beside the other tensors,"
                f" got {state[name].shape}"
            )
        leaves |= entry.split(state[name])
        forget()
    return config, flax.traverse_util.unflatten_dict(leaves)


def _flatten(variables: Any) -> dict[tuple[str, ...], Any]:
    return flax.traverse_util.flatten_dict(variables)  # pyright: ignore


def _override(fields: dict[str, Any], overrides: Mapping[str, Any], where: str) -> None:
    for name in overrides:
        if name not in _OVERRIDES or name not in fields:
            known = [known for known in _OVERRIDES if known in fields]
            raise InputError(
                f"override {name!r} is unknown; known are {', '.join(known)}"
            )
    fields |= overrides
    heads, width = fields["num_heads"], fields["latent_dim"]
    if not isinstance(heads, int) or heads < 1 or width % heads:
        raise InputError(
            f"{where}: num_heads must be a whole number that divides the width {width},"
            f" got {heads!r}: give the num_heads that it ran with"
        )
    for name, words in _OVERRIDES.items():
        if words is not None and fields.get(name, words[0]) not in words:
            raise InputError(
                f"override {name} must be one of {', '.join(words)}, got"
                f" {fields[name]!r}"
            )
    if not 0 <= fields["dropout"] < 1:
        raise InputError(
            f"override dropout must be in [0, 1), got {fields['dropout']!r}"
        )


def _mismatch(what: str, missing: list[str], unexpected: list[str]) -> InputError:
    def listed(names: list[str]) -> str:
        more = f" and {len(names) - 12} more" if len(names) > 12 else ""
        return (", ".join(map(str, names[:12])) or "none") + more

    return InputError(
        f"{what} must hold exactly the tensors of that model; missing:"
        f" {listed(missing)}; unexpected: {listed(unexpected)}"
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
            f"{where}: {name} must be the sinusoids of the published code, which are"
            f" computed here and not read, got values that differ by {difference:.3g}"
        )


def _hyper_parameters(found: Any, where: str) -> dict[str, Any]:
    """Returns the overrides that a checkpoint states itself."""
    found = found if isinstance(found, dict) else {}
    modules = [found[m] for m in _MODULES if isinstance(found.get(m), dict)]
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
