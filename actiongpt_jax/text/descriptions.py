"""Descriptions of phrases on disk: JSONL, folders of JSONL, or published JSON.

Lines are only appended to a JSONL file. The last record with a key wins; a last line
that a kill truncated is reported and skipped. The published form is
`{phrase: [texts]}`.
"""

import json
import os
import pathlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from actiongpt_jax.errors import InputError
from actiongpt_jax.files.atomic import write_text
from actiongpt_jax.files.jsonl import Truncated
from actiongpt_jax.text.description import Description, ask_setting, to_json
from actiongpt_jax.text.description_files import (
    EMPTY,
    described,
    find_files,
    read_files,
)
from actiongpt_jax.text.prompts import DEFAULT as DEFAULT_PROMPT

# Where descriptions come from: a file or folder, or texts, {phrase: [texts]}.
DescriptionSource = str | os.PathLike[str] | Mapping[str, Sequence[str]]

_NAMED_AT_MOST = 5


class Descriptions(Mapping[str, Sequence[Description]]):
    """All descriptions of a file or folder: phrase -> records in order of index.

    Attributes:
        path: the file or folder that was read.
        truncated: `file:line` of every truncated last line, which was skipped.
    """

    def __init__(
        self,
        records: Iterable[Description],
        path: str | os.PathLike = "",
        truncated: Sequence[str] = (),
    ):
        """Keeps the last record of every key.

        Args:
            records: the records, in the order of the file.
            path: the file or folder that was read, for error messages.
            truncated: `file:line` of every truncated last line.
        """
        self.path = str(path)
        self.truncated = list(truncated)
        by_phrase: dict[str, dict[str, Description]] = {}
        for record in records:
            by_phrase.setdefault(record.phrase, {})[record.key] = record
        self._by_phrase = {
            phrase: sorted(of_key.values(), key=lambda record: record.index)
            for phrase, of_key in by_phrase.items()
        }

    def __getitem__(self, phrase: str) -> Sequence[Description]:
        """Returns all records of a phrase, for every prompt and by every writer."""
        return self._by_phrase[phrase]

    def __iter__(self) -> Iterator[str]:
        """Iterates over the phrases in the order of the file."""
        return iter(self._by_phrase)

    def __len__(self) -> int:
        """Returns the number of phrases."""
        return len(self._by_phrase)

    @property
    def prompts(self) -> list[str]:
        """Names of the prompts in the file, in the order of the file."""
        return list(dict.fromkeys(r.prompt for rs in self.values() for r in rs))

    def writers(self, prompt: str) -> list[str]:
        """Returns the writers of a prompt's descriptions, in the order of the file."""
        return list(
            dict.fromkeys(
                r.writer for rs in self.values() for r in rs if r.prompt == prompt
            )
        )

    def texts(self, phrase: str) -> list[str]:
        """Returns a phrase's texts for the first prompt and writer in the file."""
        records = self[phrase]
        first = records[0].prompt, records[0].writer
        return [r.text for r in records if (r.prompt, r.writer) == first]

    def select(
        self, prompt: str | None = None, writer: str | None = None, k: int = 1
    ) -> dict[str, list[Description]]:
        """Selects the descriptions of one prompt and writer, at least k per phrase.

        Args:
            prompt: name of the prompt; None takes the only prompt in the file, or
                'detail' if there are several.
            writer: name of the writer; None takes the first writer in the file.
            k: number of texts that every phrase must have; empty texts do not count.

        Returns:
            Every phrase of the file -> its records in order of index, k or more.

        Raises:
            InputError: if the prompt or writer does not occur, if a phrase has fewer
                than k texts, or if it has the same index with different settings.
        """
        known = self.prompts
        if prompt is None:
            prompt = known[0] if len(known) == 1 else DEFAULT_PROMPT
        if prompt not in known:
            raise InputError(
                f"{self.path} has no descriptions for the prompt {prompt!r}, only for"
                f" {', '.join(map(repr, known)) or 'no prompt'}; choose with --prompt"
            )
        writers = self.writers(prompt)
        writer = writers[0] if writer is None else writer
        if writer not in writers:
            raise InputError(
                f"{self.path} has no descriptions by {writer!r} for the prompt"
                f" {prompt!r}, only by {', '.join(map(repr, writers))};"
                " choose with --writer"
            )
        chosen = {
            phrase: self._of(phrase, prompt, writer) for phrase in self._by_phrase
        }
        short = [phrase for phrase, records in chosen.items() if len(records) < k]
        if short:
            named = ", ".join(
                f"{phrase!r} ({len(chosen[phrase])})"
                for phrase in short[:_NAMED_AT_MOST]
            )
            more = ", ..." if len(short) > _NAMED_AT_MOST else ""
            raise InputError(
                f"{self.path}: every phrase must have {k} descriptions by {writer!r}"
                f" for the prompt {prompt!r}, but {len(short)} of {len(chosen)} have"
                f" fewer: {named}{more}; describe these phrases, or use a smaller --k"
                + ("" if len(writers) == 1 else f" or another --writer of {writers}")
            )
        return chosen

    def _of(self, phrase: str, prompt: str, writer: str) -> list[Description]:
        of_index: dict[int, Description] = {}
        for record in self._by_phrase[phrase]:
            if (record.prompt, record.writer) != (prompt, writer):
                continue
            if not record.text.strip():
                continue
            other = of_index.get(record.index)
            if other is not None and _setting(other) != _setting(record):
                raise InputError(
                    f"{self.path}: description {record.index} of {phrase!r} by"
                    f" {writer!r} occurs with different settings ({_setting(other)} and"
                    f" {_setting(record)}); keep each setting in its own file"
                )
            of_index[record.index] = record
        return [of_index[index] for index in sorted(of_index)]


def _setting(record: Description) -> str:
    return ask_setting(record.prompt_version, record.parameters, record.endpoint)


def read_descriptions(source: DescriptionSource) -> Descriptions:
    """Reads a JSONL file, a folder of such files, a published JSON file, or a mapping.

    Args:
        source: a `*.jsonl` file; or a folder, whose `*.jsonl` files (or `*.json` files,
            if there are no others) are merged in the order of their names; or a
            `{phrase: [texts]}` JSON file; or such a mapping itself.

    Raises:
        FileNotFoundError: if the file does not exist.
        InputError: if a line or value is not a description. A truncated last line is
            skipped and listed in `Descriptions.truncated`.
    """
    truncated: list[Truncated] = []
    if isinstance(source, Mapping):
        where = "descriptions"
        records = [*described(source, where)]
    else:
        where = str(source)
        records = [*read_files(find_files(pathlib.Path(source)), truncated.append)]
    if not records:
        raise InputError(EMPTY.format(where))
    return Descriptions(records, where, [line.where for line in truncated])


def write_descriptions(
    path: str | os.PathLike, records: Iterable[Description]
) -> pathlib.Path:
    """Writes records as JSONL; fields that are None are left out.

    Args:
        path: the file to write; it is replaced as a whole, so that a reader never sees
            half a file.
        records: the records, in the order of the file.

    Returns:
        The path.
    """
    write_text(path, map(to_json, records))
    return pathlib.Path(path)


def write_published(
    path: str | os.PathLike,
    texts: Mapping[str, Sequence[str]] | Iterable[tuple[str, Sequence[str]]],
) -> pathlib.Path:
    """Writes the published form, `{phrase: [texts]}`.

    Args:
        path: the file to write; it is replaced as a whole.
        texts: phrase -> its texts, or (phrase, texts) one after the other.

    Returns:
        The path.
    """
    items: Any = texts.items() if isinstance(texts, Mapping) else texts

    def pieces() -> Iterator[str]:
        before = "{"
        for phrase, of_phrase in items:
            lines = ",".join(f"\n  {_quoted(text)}" for text in of_phrase)
            yield f"{before}\n {_quoted(phrase)}: [{lines}" + ("\n ]" if lines else "]")
            before = ","
        yield "{}\n" if before == "{" else "\n}\n"

    write_text(path, pieces())
    return pathlib.Path(path)


_quoted = json.JSONEncoder(ensure_ascii=False).encode
