"""The words of the built-in corpus: `words.toml`, read and checked."""

import functools
import importlib.resources
import re
import tomllib
from typing import Any

from actiongpt_jax.errors import InputError

# What may be said of a limb, in the usual order; `rest` is about the other arm.
LIMBS = ("legs", "feet", "torso", "arms", "rest", "head", "pace")
REQUIRED = ("gist", "idea", "terse")


@functools.cache
def load_words() -> dict[str, dict[str, str]]:
    """Reads what the corpus says about each move.

    Returns:
        Move -> field -> template; the head of `words.toml` explains the fields.

    Raises:
        InputError: as `parse_words`.
    """
    return parse_words(read_packaged("words.toml"))


def parse_words(text: str) -> dict[str, dict[str, str]]:
    """Parses and checks a table of words.

    Args:
        text: TOML as in `words.toml`.

    Returns:
        Move -> field -> template.

    Raises:
        InputError: if it is not TOML, or if a field is missing, unknown or not a
            template; names the move and the field.
    """
    words = parse_toml(text, "words.toml")
    for move, fields in words.items():
        if not {*REQUIRED} <= {*fields} <= {*REQUIRED, *LIMBS}:
            raise InputError(
                f"[{move}] in words.toml must have {', '.join(REQUIRED)} and may have"
                f" {', '.join(LIMBS)}; it has {', '.join(fields)}"
            )
        for field, template in fields.items():
            plain = str(template).replace("{side}", "")
            if field != "terse":
                plain = re.sub(r"\[[^\[\]|]+(\|[^\[\]|]+)+\]", "", plain)
            if not isinstance(template, str) or re.search(r"[\[\]{}|]", plain):
                raise InputError(
                    f"{field} of [{move}] in words.toml must be text with no brackets"
                    " other than {side} and, except in terse, [a|b]; it is"
                    f" {template!r}"
                )
    return words


def read_packaged(name: str) -> str:
    """Reads a text file that is installed with this package."""
    folder = importlib.resources.files("actiongpt_jax.synthetic")
    return folder.joinpath(name).read_text("utf-8")


def parse_toml(text: str, name: str) -> dict[str, dict[str, Any]]:
    """Parses TOML that consists of tables only.

    Args:
        text: the TOML.
        name: name of the file, for errors.

    Raises:
        InputError: if it is something else.
    """
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{name} is not valid TOML: {error}") from error
    for key, table in tables.items():
        if not isinstance(table, dict):
            raise InputError(f"{key!r} in {name} must be a table, is {table!r}")
    return tables
