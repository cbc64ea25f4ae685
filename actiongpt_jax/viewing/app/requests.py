"""Requests that the local page sends, checked field by field."""

import dataclasses
from typing import Any

from actiongpt_jax.errors import InputError

_MAX_ACTIONS, _MAX_DESCRIPTIONS = 12, 16
_MAX_SECONDS = 60.0  # total length of all actions
_MAX_LETTERS = {"phrase": 500, "description": 4000}
_RANGES = {
    "seconds": (0.1, 20.0),  # length of one action
    "samples": (1, 8),
    "seed": (0, 2**32 - 1),
    "fact": (0.0, 10.0),
}
_WHOLE = ("samples", "seed")


@dataclasses.dataclass(frozen=True)
class ActionRequest:
    """One action to generate.

    Attributes:
        phrase: text of the action, such as "walk forward".
        seconds: length of the action.
        descriptions: texts that the model reads instead of the known descriptions;
            None uses the known ones, and with none the model reads the phrase itself.
    """

    phrase: str
    seconds: float
    descriptions: tuple[str, ...] | None = None


@dataclasses.dataclass(frozen=True)
class GenerationRequest:
    """A checked request to generate motions.

    Attributes:
        actions: actions in temporal order.
        samples: number of motions to generate from the same actions.
        seed: seed of the random draws.
        fact: factor that scales the latents' deviation from their means.
        describe: whether a language model describes phrases without descriptions.
    """

    actions: tuple[ActionRequest, ...]
    samples: int = 1
    seed: int = 0
    fact: float = 1.0
    describe: bool = False


def parse_request(content: Any) -> GenerationRequest:
    """Checks and converts a request that a browser sent.

    Args:
        content: the request's body as parsed JSON.

    Raises:
        InputError: if a field is missing, unknown or out of its limits.
    """
    others = {"samples", "seed", "fact", "describe"}
    _check_fields(content, "the request", {"actions"}, others)
    describe = content.get("describe", False)
    if not isinstance(describe, bool):
        raise InputError(f"describe must be true or false, got {str(describe)[:40]}")
    unchecked = content["actions"]
    if not isinstance(unchecked, list) or not 1 <= len(unchecked) <= _MAX_ACTIONS:
        raise InputError(f"actions must be a list of 1 to {_MAX_ACTIONS} actions")
    actions = tuple(
        _parse_action(action, f"action {number}: ")
        for number, action in enumerate(unchecked, 1)
    )
    total = sum(action.seconds for action in actions)
    if total > _MAX_SECONDS:
        raise InputError(
            f"all actions together must last at most {_MAX_SECONDS:g} seconds, got "
            f"{total:g}; shorten them"
        )
    return GenerationRequest(
        actions,
        samples=int(_number(content.get("samples", 1), "samples")),
        seed=int(_number(content.get("seed", 0), "seed")),
        fact=_number(content.get("fact", 1.0), "fact"),
        describe=describe,
    )


def _parse_action(content: Any, where: str) -> ActionRequest:
    _check_fields(content, where[:-2], {"phrase", "seconds"}, {"descriptions"})
    phrase = " ".join(_text(content["phrase"], "phrase", where).split())
    seconds = _number(content["seconds"], "seconds", where)
    texts = content.get("descriptions")
    if texts is None:
        return ActionRequest(phrase, seconds)
    if not isinstance(texts, list) or len(texts) > _MAX_DESCRIPTIONS:
        raise InputError(
            f"{where}descriptions must be a list of at most {_MAX_DESCRIPTIONS} texts"
        )
    descriptions = tuple(_text(text, "description", where) for text in texts)
    return ActionRequest(phrase, seconds, descriptions)


def _check_fields(
    content: Any, where: str, needed: set[str], optional: set[str]
) -> None:
    if not isinstance(content, dict):
        raise InputError(f"{where} must be a JSON object")
    missing, unknown = needed - content.keys(), content.keys() - needed - optional
    if missing or unknown:
        faults = [f"lacks the field {name!r}" for name in sorted(missing)]
        faults += [f"has the unknown field {name[:40]!r}" for name in sorted(unknown)]
        raise InputError(
            f"{where} {' and '.join(faults)}; its fields are "
            f"{', '.join(sorted(needed | optional))}"
        )


def _text(value: Any, kind: str, where: str) -> str:
    most = _MAX_LETTERS[kind]
    if not isinstance(value, str) or not value.strip() or len(value) > most:
        text = isinstance(value, str)
        got = f"{len(value)} characters" if text else type(value).__name__
        raise InputError(
            f"{where}a {kind} must be text of 1 to {most} characters, got {got}"
        )
    return value.encode("utf-8", "replace").decode().strip()


def _number(value: Any, name: str, where: str = "") -> float:
    (low, high), whole = _RANGES[name], name in _WHOLE
    # Comparisons with NaN are false; a bool does not count as a number.
    in_range = type(value) in (int, float) and low <= value <= high
    if not in_range or (whole and value != int(value)):
        kind = "a whole number" if whole else "a finite number"
        raise InputError(
            f"{where}{name} must be {kind} from {low:g} to {high:.10g}, got "
            f"{str(value)[:40]}"
        )
    return value
