"""How objects of early layers show themselves in a notebook.

What draws them lies in a later layer, which they may not import: the package's
`__init__`, which knows all layers, names the function, and it is imported when needed.
"""

import importlib
from typing import Any

_RENDERERS: dict[str, tuple[str, str]] = {}


def register(kind: str, module: str, function: str) -> None:
    """Names the function that turns an object of a class into HTML.

    Args:
        kind: name of the class.
        module: full name of the module that holds the function.
        function: its name; called with the object, it returns HTML.
    """
    _RENDERERS[kind] = module, function


def to_html(value: Any) -> str:
    """Returns an object as HTML, through the function registered for its class."""
    module, function = _RENDERERS[type(value).__name__]
    return getattr(importlib.import_module(module), function)(value)
