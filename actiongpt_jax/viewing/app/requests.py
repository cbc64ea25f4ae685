"""What a user may ask the local page for, checked field by field."""

import dataclasses
from typing import Any

from actiongpt_jax.errors import InputError

MOST_ACTIONS, MOST_SAMPLES, MOST_DESCRIPTIONS = 12, 8, 16
MOST_SECONDS, LEAST_SECONDS = 20.0, 0.1  # of one action
MOST_SECONDS_IN_ALL = 60.0
MOST_LETTERS = {"phrase": 500, "description": 4000}
MOST_FACT = 10.0


@dataclasses.dataclass(frozen=True)
class Action:
    """One action to generate.

    Attributes:
        phrase: what to do.
        seconds: how long.
        descriptions: texts to read in place of those known; None for those.
    """

    phrase: str
    seconds: float
    descriptions: tuple[str, ...] | None = None


@dataclasses.dataclass(frozen=True)
class Order:
    """What to generate.

    Attributes:
        actions: in order of time.
        samples: how many motions.
        seed: of the draws.
        fact: scale of the latents' deviation from their means.
    """

    actions: tuple[Action, ...]
    samples: int = 1
    seed: int = 0
    fact: float = 1.0


def parse_order(content: Any) -> Order:
    """Checks an order as it comes from a browser.

    Args:
        content: parsed JSON.

    Raises:
        InputError: one sentence naming the field and its limits.
    """
    _fields(content, "the order", {"actions"}, {"samples", "seed", "fact"})
    given = content["actions"]
    if not isinstance(given, list) or not 1 <= len(given) <= MOST_ACTIONS:
        raise InputError(f"actions must be a list of 1 to {MOST_ACTIONS}")
    actions = tuple(_action(action, i) for i, action in enumerate(given, 1))
    total = sum(action.seconds for action in actions)
    if total > MOST_SECONDS_IN_ALL:
        raise InputError(
            f"all actions together must last at most {MOST_SECONDS_IN_ALL:g} seconds, "
            f"got {total:g}; shorten them"
        )
    return Order(
        actions,
        samples=int(_number(content, "samples", 1, 1, MOST_SAMPLES, whole=True)),
        seed=int(_number(content, "seed", 0, 0, 2**32 - 1, whole=True)),
        fact=_number(content, "fact", 1.0, 0.0, MOST_FACT),
    )


def _action(content: Any, number: int) -> Action:
    where = f"action {number}"
    _fields(content, where, {"phrase", "seconds"}, {"descriptions"})
    phrase = " ".join(_text(content["phrase"], "phrase", where).split())
    seconds = _number(content, "seconds", 3.0, LEAST_SECONDS, MOST_SECONDS, where=where)
    texts = content.get("descriptions")
    if texts is None:
        return Action(phrase, seconds)
    if not isinstance(texts, list) or len(texts) > MOST_DESCRIPTIONS:
        raise InputError(
            f"{where}: descriptions must be a list of at most {MOST_DESCRIPTIONS} texts"
        )
    checked = tuple(_text(text, "description", where) for text in texts)
    return Action(phrase, seconds, checked or None)


def _fields(content: Any, where: str, needed: set[str], known: set[str]) -> None:
    if not isinstance(content, dict):
        raise InputError(f"{where} must be a JSON object")
    missing, unknown = needed - content.keys(), content.keys() - needed - known
    if missing or unknown:
        said = [f"lacks {name}" for name in sorted(missing)]
        said += [f"has the unknown field {name[:40]!r}" for name in sorted(unknown)]
        raise InputError(
            f"{where} {' and '.join(said)}; its fields are "
            f"{', '.join(sorted(needed | known))}"
        )


def _text(value: Any, kind: str, where: str) -> str:
    most = MOST_LETTERS[kind]
    if not isinstance(value, str) or not value.strip() or len(value) > most:
        got = f"{len(value)} letters" if isinstance(value, str) else "no text"
        raise InputError(
            f"{where}: a {kind} must be text of 1 to {most} letters, got {got}"
        )
    return value.encode("utf-8", "replace").decode().strip()


def _number(
    content: dict,
    name: str,
    default: float,
    low: float,
    high: float,
    whole: bool = False,
    where: str = "",
) -> float:
    value = content.get(name, default)
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    # NaN compares as false.
    if not (number and low <= value <= high and (not whole or value == int(value))):
        place = f"{where}: " if where else ""
        kind = "a whole number" if whole else "a finite number"
        raise InputError(
            f"{place}{name} must be {kind} from {low:g} to {high:.10g}, got "
            f"{str(value)[:40]}"
        )
    return value
