"""A key that is used but never shown."""

import re

_HIDDEN = "***"
# What a server may echo of a key, whole or with its middle starred.
_KEY_LIKE = re.compile(r"\bsk-[\w*.-]{6,}")
# Shorter ones are replaced only where they stand alone: a local server's key may be
# any word.
_SURELY_A_KEY = 12


class Secret:
    """Holds a key; its text forms do not show it."""

    __slots__ = ("_value",)

    def __init__(self, value: str):
        """Takes the key."""
        self._value = value

    def reveal(self) -> str:
        """Returns the key, for the one place that sends it."""
        return self._value

    def scrub(self, text: str) -> str:
        """Replaces the key, and what looks like one, in what is shown or kept."""
        if len(self._value) >= _SURELY_A_KEY:
            text = text.replace(self._value, _HIDDEN)
        alone = rf"(?<!\w){re.escape(self._value)}(?!\w)"
        return _KEY_LIKE.sub(_HIDDEN, re.sub(alone, _HIDDEN, text))

    def scrub_prose(self, text: str) -> str:
        """The same for descriptions, in which a word is no key."""
        return text if self._value.isalpha() else self.scrub(text)

    def __repr__(self) -> str:
        """Shows that there is a key, not which."""
        return f"Secret({_HIDDEN})"
