"""Derives the texts of motion files from their names, by a rule."""

import os
import pathlib
import re
from typing import Any

from actiongpt_jax.data.table import Row, make_row
from actiongpt_jax.errors import InputError
from actiongpt_jax.files.yaml_reader import read_yaml

_TEXTS = ("text", "subject", "split", "category")
_RULE = (
    "{} must have a pattern that is a regular expression, a text, and if wanted words "
    "{{group: {{found: text}}}}, subject, split and category; correct the file"
)


def apply_rule(path: str | os.PathLike, motions: str | os.PathLike) -> list[Row]:
    """Derives a table from the names of the motion files in a folder.

    Args:
        path: JSON or YAML with `pattern`, a regular expression with named groups that
            the file names without ending match; `text`, in which `{group}` stands for
            a group; `words`, {group: {what it matches: what to write}}; and, if wanted,
            `subject`, `split` and `category` like `text`. A group without words is
            written with spaces for `-` and `_`.
        motions: the folder.

    Returns:
        A row for every npz file that matches.

    Raises:
        InputError: if the rule is invalid, or no file matches.
    """
    path = pathlib.Path(path)
    rule = _read_rule(path)
    words = rule.get("words") or {}
    rows = []
    root = pathlib.Path(motions)
    for file in sorted(root.rglob("*.npz")):
        match = rule["pattern"].fullmatch(file.stem)
        if match is None:
            continue
        groups = {}
        for group, found in match.groupdict(default="").items():
            table = words.get(group)
            if table is not None and found not in table:
                raise InputError(
                    f"{path}: the words of {group} must have {found!r}, which "
                    f"{file.name} has; add it"
                )
            plain = re.sub("[-_]+", " ", found)
            groups[group] = plain if table is None else table[found]
        try:
            texts = {
                key: re.sub(
                    r"\{(\w+)\}", lambda name, groups=groups: groups[name[1]], rule[key]
                )
                for key in _TEXTS
                if key in rule
            }
        except KeyError as error:
            raise InputError(
                f"{path}: text, subject, split and category may name the groups "
                f"{', '.join(groups) or 'of the pattern'} only, got {error}; correct "
                "the file"
            ) from error
        rows.append(
            make_row(str(file), {"file": file.relative_to(root).as_posix(), **texts})
        )
    if not rows:
        raise InputError(
            f"{path}: the pattern must match names of npz files below {root}, but "
            "matches none; correct it, or make the files with `prepare motion`"
        )
    return rows


def _read_rule(path: pathlib.Path) -> dict[str, Any]:
    rule = read_yaml(path, "correct the file")
    try:
        pattern = re.compile(rule["pattern"])
        texts = [rule[key] for key in _TEXTS if key in rule]
        tables = (rule.get("words") or {}).values()
        valid = "text" in rule and all(isinstance(text, str) for text in texts)
        valid = valid and all(isinstance(table, dict) for table in tables)
    except (KeyError, TypeError, AttributeError, ValueError, re.error) as error:
        raise InputError(_RULE.format(path)) from error
    if not valid:
        raise InputError(_RULE.format(path))
    words = {
        group: {str(found): str(text or "") for found, text in table.items()}
        for group, table in (rule.get("words") or {}).items()
    }
    return {**rule, "pattern": pattern, "words": words}
