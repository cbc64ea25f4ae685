"""Reads YAML of numbers, texts, lists and mappings, without running anything in it."""

import os
from typing import Any

import yaml

from actiongpt_jax.errors import InputError
from actiongpt_jax.files.pickle_objects import plain
from actiongpt_jax.files.reading import parsing, read_text

_MOST_CHARACTERS = 200_000  # YAML is parsed slowly; the authors' files have 10,000


def read_yaml(path: str | os.PathLike, remedy: str) -> Any:
    """Reads a file of YAML, or of JSON, which is YAML.

    Args:
        path: the file.
        remedy: what the user can do about a damaged file.

    Returns:
        Dicts, lists, texts, numbers and None; tuples become lists, and dates texts.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if the file is not such YAML, is long, or describes far more than a
            settings file does.
    """
    text = read_text(path, remedy)
    if len(text) > _MOST_CHARACTERS:
        raise InputError(
            f"{path} must have at most {_MOST_CHARACTERS} characters, got {len(text)};"
            f" {remedy}"
        )
    with parsing(path, "plain YAML or JSON", remedy):
        return plain(yaml.load(text, _Plain), path)


class _Plain(yaml.SafeLoader):
    """Loads numbers, texts, lists, dicts, and tuples (as lists), and nothing else."""

    def flatten_mapping(self, node):
        """Refuses to merge mappings, which can make a short file huge."""
        if any(name.tag == "tag:yaml.org,2002:merge" for name, _ in node.value):
            raise ValueError("mappings to merge (<<)")


_Plain.add_constructor(
    "tag:yaml.org,2002:python/tuple",
    lambda loader, node: loader.construct_sequence(node, deep=True),  # pyright: ignore
)
