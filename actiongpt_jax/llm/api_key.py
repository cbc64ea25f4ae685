"""An API key that is sent to the server but never shown."""

import re

_HIDDEN = "***"
# A key as a server may repeat it: whole, or with asterisks in the middle.
_KEY_LIKE = re.compile(r"\bsk-[\w*.-]{6,}")
# A shorter key is replaced only where it is a separate word: a local server's key may
# be any word.
_SURELY_A_KEY = 12


class Secret:
    """Holds a key; `str` and `repr` do not show it."""

    __slots__ = ("_value",)

    def __init__(self, value: str):
        """Stores the key."""
        self._value = value

    def reveal(self) -> str:
        """Returns the key; only the code that sends it calls this."""
        return self._value

    def scrub(self, text: str) -> str:
        """Replaces the key, and anything like a key, in text to be shown or stored."""
        if len(self._value) >= _SURELY_A_KEY:
            text = text.replace(self._value, _HIDDEN)
        alone = rf"(?<!\w){re.escape(self._value)}(?!\w)"
        return _KEY_LIKE.sub(_HIDDEN, re.sub(alone, _HIDDEN, text))

    def scrub_prose(self, text: str) -> str:
        """Scrubs a description, unless the key is an ordinary word."""
        return text if self._value.isalpha() else self.scrub(text)

    def __repr__(self) -> str:
        """Returns a placeholder instead of the key."""
        return f"Secret({_HIDDEN})"
