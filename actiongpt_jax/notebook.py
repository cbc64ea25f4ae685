"""Shows objects of early layers in a notebook.

The code that draws an object is in a later layer, which the object's module must not
import. Therefore the package's `__init__`, which knows all layers, registers the
function that draws it; that function is imported when it is needed.
"""

import importlib
from typing import Any

_RENDERERS: dict[str, tuple[str, str]] = {}


def register(kind: str, module: str, function: str) -> None:
    """Names the function that turns an object of a class into HTML.

    Args:
        kind: name of the class.
        module: full name of the function's module.
        function: name of the function, which takes the object and returns HTML.
    """
    _RENDERERS[kind] = module, function


def to_html(value: Any) -> str:
    """Returns an object as HTML, through the function registered for its class."""
    module, function = _RENDERERS[type(value).__name__]
    return getattr(importlib.import_module(module), function)(value)
