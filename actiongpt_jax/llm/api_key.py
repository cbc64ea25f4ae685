"""An API key that is sent to the server but never shown or stored."""

import math
import os
import re
from typing import Any

from actiongpt_jax.errors import InputError
from actiongpt_jax.text.answers import one_line

KEY = "OPENAI_API_KEY"
# Other variables from which the openai package makes headers.
_LINES_OF_HEADERS = "OPENAI_CUSTOM_HEADERS"
_HEADERS = ("OPENAI_ORG_ID", "OPENAI_PROJECT_ID", _LINES_OF_HEADERS)
_HIDDEN = "***"
# A key as a server may repeat it: whole, or with asterisks in the middle.
_KEY_LIKE = re.compile(r"\bsk-[\w*.-]{6,}")
# A local server's key may be any word or number. It is taken for a key only if it is
# longer than words are, or mixes letters with digits; a shorter one may be a part of
# any text.
_LONGER_THAN_WORDS = 20
_SHORTEST_KEY = 6
# In messages, which are not stored, shorter ones are replaced too, as separate words.
_SHORTEST_SHOWN = 4
# Deeper values of an answer's metadata are left out.
_DEPTH = 20


class Secret:
    """Holds a key; `str` and `repr` do not show it."""

    __slots__ = ("_is_key", "_value")

    def __init__(self, value: str):
        """Stores the key."""
        self._value = value
        plain = re.sub(r"[\W_]", "", value)
        mixed = not plain.isalpha() and not plain.isdigit()
        self._is_key = len(value) >= _LONGER_THAN_WORDS or (
            mixed and len(value) >= _SHORTEST_KEY
        )

    def reveal(self) -> str:
        """Returns the key; only the code that sends it calls this."""
        return self._value

    def scrub(self, text: str) -> str:
        """Replaces the key, and anything like a key, in a message to be shown."""
        text = self.scrub_prose(text)
        if len(self._value) < _SHORTEST_SHOWN:
            return text
        return re.sub(rf"(?<!\w){re.escape(self._value)}(?!\w)", _HIDDEN, text)

    def scrub_prose(self, text: str) -> str:
        """Replaces the key in text to be stored, unless it may be an ordinary word."""
        if self._is_key:
            text = text.replace(self._value, _HIDDEN)
        return _KEY_LIKE.sub(_HIDDEN, text)

    def storable(self, value: Any, depth: int = 0) -> Any:
        """Makes a JSON value of a server fit to be stored.

        Args:
            value: any JSON value, also with numbers that JSON does not have.
            depth: number of lists and objects around it.

        Returns:
            The value without the key, with valid Unicode and finite numbers; what
            cannot be stored is None.
        """
        if isinstance(value, str):
            return self.scrub_prose(one_line(value))
        if isinstance(value, float) and not math.isfinite(value):
            return None
        if isinstance(value, list | dict) and depth == _DEPTH:
            return None
        if isinstance(value, list):
            return [self.storable(item, depth + 1) for item in value]
        if isinstance(value, dict):
            return {
                self.storable(name): self.storable(item, depth + 1)
                for name, item in value.items()
            }
        return value

    def __repr__(self) -> str:
        """Returns a placeholder instead of the key."""
        return f"Secret({_HIDDEN})"


def read_key() -> str:
    """Returns the key from the environment variable.

    Raises:
        InputError: if it is missing, or if it or another variable that the openai
            package sends cannot be sent in an HTTP header.
    """
    key = os.environ.get(KEY, "").strip()
    if not key:
        raise InputError(
            f"the environment variable {KEY} must hold the key of the server, but is"
            f" not set: run `export {KEY}=...` (with any word for a local server that"
            " needs no key), or use --from-file FILE, which needs no key"
        )
    for name, value in ((KEY, key), *((n, os.environ.get(n, "")) for n in _HEADERS)):
        one_word = value.isprintable() and " " not in value
        if not value.isascii() or not (one_word or name == _LINES_OF_HEADERS):
            raise InputError(
                f"the environment variable {name} must hold one word of ASCII"
                " characters, but has spaces, line ends or other characters in it;"
                " copy it again"
            )
    return key
