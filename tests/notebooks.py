"""Runs notebooks in a kernel of their own that imports this checkout."""

import os
import pathlib

import nbclient
from nbformat import NotebookNode

REPO = pathlib.Path(__file__).resolve().parents[1]


def execute(notebook: NotebookNode, folder: str | os.PathLike) -> None:
    """Executes a notebook, whose cells then hold their outputs.

    Args:
        notebook: the notebook to execute.
        folder: working folder of the kernel.
    """
    search = os.pathsep.join([str(REPO), os.environ.get("PYTHONPATH", "")])
    client = nbclient.NotebookClient(
        notebook,
        timeout=600,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute(env={**os.environ, "PYTHONPATH": search})
