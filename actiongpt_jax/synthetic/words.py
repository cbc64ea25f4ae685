"""Reads and checks the words of the built-in corpus, `words.toml`."""

import functools
import importlib.resources
import re
import tomllib
from typing import Any

from actiongpt_jax.errors import InputError

# The fields with a sentence about a part of the body, in the usual order; `rest` is
# about the other arm and `pace` about the rhythm.
LIMBS = ("legs", "feet", "torso", "arms", "rest", "head", "pace")
REQUIRED = ("gist", "idea", "terse")


@functools.cache
def load_words() -> dict[str, dict[str, str]]:
    """Reads the sentence templates of each move.

    Returns:
        Move -> field -> template; the head of `words.toml` explains the fields.

    Raises:
        InputError: as in `parse_words`.
    """
    return parse_words(read_packaged("words.toml"))


def parse_words(text: str) -> dict[str, dict[str, str]]:
    """Parses and checks a table of words.

    Args:
        text: TOML like `words.toml`, whose head explains the fields.

    Returns:
        Move -> field -> template.

    Raises:
        InputError: if it is not TOML, or if a field is missing, unknown or not a valid
            template; the message names the move and the field.
    """
    words = parse_toml(text, "words.toml")
    for move, fields in words.items():
        if not {*REQUIRED} <= {*fields} <= {*REQUIRED, *LIMBS}:
            raise InputError(
                f"[{move}] in words.toml must have {', '.join(REQUIRED)} and may have"
                f" {', '.join(LIMBS)}, got {', '.join(fields)}"
            )
        for field, template in fields.items():
            plain = str(template).replace("{side}", "")
            if field != "terse":
                plain = re.sub(r"\[[^\[\]|]+(\|[^\[\]|]+)+\]", "", plain)
            if not isinstance(template, str) or re.search(r"[\[\]{}|]", plain):
                raise InputError(
                    f"{field} of [{move}] in words.toml must be text with no brackets"
                    " other than {side} and, except in terse, [a|b], got"
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
        name: name of the file, for error messages.

    Raises:
        InputError: if it is not TOML, or a top-level value is not a table.
    """
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{name} is not valid TOML: {error}") from error
    for key, table in tables.items():
        if not isinstance(table, dict):
            raise InputError(f"{key!r} in {name} must be a table, got {table!r}")
    return tables
