"""Shows objects of early layers in a notebook.

The code that draws an object is in a later layer, which the object's module must not
import. Therefore the package's `__init__`, which knows all layers, registers the
function that draws it; that function is imported when it is needed.
"""

import importlib
import sys
from collections.abc import Sequence
from typing import Any

_RENDERERS: dict[str, tuple[str, str]] = {}


def register(kind: str, module: str, function: str) -> None:
    """Names the function that turns objects of a class into HTML.

    A notebook then also shows a list or a tuple of such objects as one comparison.

    Args:
        kind: name of the class.
        module: full name of the function's module.
        function: name of the function, which takes a list of objects and returns HTML.
    """
    _RENDERERS[kind] = module, function
    # IPython knows how to show a list; it has been imported if this is a notebook.
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if shell is not None:
        html = shell.display_formatter.formatters["text/html"]
        for container in (list, tuple):
            html.for_type(container, _several_to_html)


def to_html(values: Sequence[Any]) -> str:
    """Returns objects of one class as HTML, through its registered function."""
    module, function = _RENDERERS[type(values[0]).__name__]
    return getattr(importlib.import_module(module), function)(values)


def _several_to_html(values: Sequence[Any]) -> str | None:
    """Returns a container of objects as HTML; None for one that holds anything else."""
    kinds = {type(value).__name__ for value in values}
    return to_html(values) if len(kinds) == 1 and kinds <= _RENDERERS.keys() else None
