"""Runs a command and kills it at one of its file operations.

    python -m tests.killed NUMBER COMMAND ARGUMENT ...

Operations are those of Python on files in the current folder: to open, rename, remove
or cut one, or to make a folder. Number 0 kills nothing and prints their number.
"""

import importlib
import os
import pathlib
import signal
import sys

from actiongpt_jax import cli

_EVENTS = {"open", "os.rename", "os.remove", "os.truncate", "os.mkdir"}


def main() -> None:
    """Runs the command of the command line."""
    number, name, *arguments = sys.argv[1:]
    command = importlib.import_module(f"actiongpt_jax.{name}")
    folder, count = f"{pathlib.Path.cwd()}{os.sep}", 0

    def watch(event: str, values: tuple) -> None:
        nonlocal count
        if event not in _EVENTS or not isinstance(values[0], str | os.PathLike):
            return
        if os.path.abspath(values[0]).startswith(folder):
            count += 1
            if count == int(number):
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    sys.argv[1:] = arguments
    cli.run(command.main)
    if number == "0":
        print(f"\noperations: {count}")


if __name__ == "__main__":
    main()
