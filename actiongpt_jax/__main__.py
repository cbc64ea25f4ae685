"""Lists the commands, or runs one: `python -m actiongpt_jax train --config teach:demo`.

`actiongpt train ...` and `python -m actiongpt_jax.train ...` do the same.
"""

import ast
import difflib
import importlib.resources
import runpy
import sys
from collections.abc import Sequence

from actiongpt_jax import cli
from actiongpt_jax.errors import InputError

# In the order in which they are typically used.
COMMANDS = (
    "prepare",
    "describe",
    "embed",
    "train",
    "generate",
    "edit",
    "evaluate",
    "render",
    "app",
    "convert",
    "verify",
    "pack",
    "demo",
)


def main() -> None:
    """Runs the command that the first argument names, as `python -m` would."""
    arguments = sys.argv[1:]
    if arguments and arguments[0] in COMMANDS:
        name = arguments[0]
        sys.argv = [sys.argv[0], *arguments[1:]]
        runpy.run_module(f"actiongpt_jax.{name}", run_name="__main__")
    else:
        cli.run(list_commands)


def list_commands(argv: Sequence[str]) -> None:
    """Prints one line for every command.

    Args:
        argv: no arguments, or a flag for help.

    Raises:
        InputError: for other arguments; names the commands with a similar spelling.
    """
    if argv and argv[0] not in ("-h", "--help"):
        near = difflib.get_close_matches(argv[0], COMMANDS)
        hint = f"did you mean {' or '.join(near)}?" if near else ", ".join(COMMANDS)
        raise InputError(f"command {argv[0]!r} is unknown; {hint}")
    width = max(map(len, COMMANDS))
    print("usage: actiongpt COMMAND ..., or python -m actiongpt_jax.COMMAND ...\n")
    for name in COMMANDS:
        print(f"  {name:<{width}}  {_first_line(name)}")
    print("\n`actiongpt COMMAND --help` explains a command.")


def _first_line(name: str) -> str:
    """Returns the first line of a command's docstring, without importing it."""
    source = importlib.resources.files("actiongpt_jax") / f"{name}.py"
    return (ast.get_docstring(ast.parse(source.read_text("utf-8"))) or "").splitlines()[
        0
    ]


if __name__ == "__main__":
    main()
