"""The state of submitted batches on disk, so that nothing is submitted twice.

Next to the cache `NAME.jsonl` is the folder `NAME.batch`. For every batch it holds the
file of requests that is uploaded and a file that says which phrase and texts each
request is for; `state.json` lists all batches.
"""

import dataclasses
import json
import os.path
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

from actiongpt_jax.files.atomic import write_json, write_text
from actiongpt_jax.files.jsonl import read_lines
from actiongpt_jax.files.reading import parsing, read_json
from actiongpt_jax.llm.request import Request
from actiongpt_jax.text.prompts import Prompt

# OpenAI's limits for one batch.
MAX_REQUESTS = 50_000
MAX_BYTES = 200_000_000
_FORMAT = 1


@dataclasses.dataclass
class Part:
    """One batch.

    Attributes:
        name: name of its file of requests.
        requests: number of requests in the batch.
        request: the fields of its `Request`, as JSON values.
        input_file_id: id of the uploaded file; None before the upload.
        batch_id: id of the batch; None before it is submitted.
        status: the status that the server last reported.
        done: whether the batch has ended and its answers were collected.
    """

    name: str
    requests: int
    request: dict[str, Any]
    input_file_id: str | None = None
    batch_id: str | None = None
    status: str = "written"
    done: bool = False

    def to_request(self) -> Request:
        """Returns the request that the batch was made from."""
        fields = dict(self.request)
        prompt = Prompt(**fields.pop("prompt"))
        return Request(prompt=prompt, **fields)


@dataclasses.dataclass(frozen=True, slots=True)
class RequestRow:
    """The phrase and the texts that one line of a batch asks for."""

    custom_id: str
    phrase: str
    indices: tuple[int, ...]


class BatchState:
    """The folder of a cache's batches; change it only while holding the cache's lock.

    Attributes:
        folder: the folder, next to the cache.
        parts: all batches, in the order in which they were made.
    """

    def __init__(self, cache_file: pathlib.Path):
        """Reads the state if its file exists.

        Raises:
            InputError: if the file is not a state of batches.
        """
        self.folder = cache_file.with_suffix(".batch")
        self.parts: list[Part] = []
        self._file = self.folder / "state.json"
        if not os.path.lexists(self._file):
            return
        document = read_json(self._file, "move the folder away to begin again")
        what = "a state of batches that `describe` wrote"
        with parsing(self._file, what, "move the folder away to begin again"):
            if document["format"] != _FORMAT:
                raise ValueError(f"its format is {document['format']}")
            self.parts = [Part(**part) for part in document["parts"]]
            for part in self.parts:
                part.to_request().key("", 0)

    def save(self) -> None:
        """Writes the state atomically: a reader never sees half a file."""
        parts = [dataclasses.asdict(part) for part in self.parts]
        write_json(self._file, {"format": _FORMAT, "parts": parts})

    def pending(self) -> set[str]:
        """Returns the keys of all descriptions that may still arrive."""
        keys = set()
        for part in self.parts:
            if not part.done:
                request = part.to_request()
                keys |= {
                    request.key(row.phrase, index)
                    for row in self.rows(part)
                    for index in row.indices
                }
        return keys

    def rows(self, part: Part) -> Iterator[RequestRow]:
        """Reads which phrase and texts each request of a part asks for."""
        remedy = f"move {self.folder} away to begin again"
        for line in read_lines(self.folder / f"{part.name}.wanted", remedy):
            with parsing(line.where, "a row that `describe` wrote", remedy):
                row = line.value
                texts = str(row["custom_id"]), str(row["phrase"])
                yield RequestRow(*texts, tuple(map(int, row["indices"])))

    def add(
        self,
        request: Request,
        gaps: Mapping[str, tuple[int, ...]],
        *,
        max_requests: int = MAX_REQUESTS,
        max_bytes: int = MAX_BYTES,
    ) -> list[Part]:
        """Writes files of requests for the gaps; they take effect with `save`.

        Args:
            request: model, prompt and parameters of the requests.
            gaps: phrase -> numbers of the missing texts.
            max_requests: most requests in one part.
            max_bytes: largest size of a part's file, in bytes.

        Returns:
            The new parts.
        """
        plain = dataclasses.asdict(request) | {"parameters": dict(request.parameters)}
        new_parts: list[Part] = []
        lines: list[str] = []
        row_lines: list[str] = []
        size = 0

        def end_part() -> None:
            name = f"part-{len(self.parts) + 1:05d}.jsonl"
            write_text(self.folder / name, lines)
            write_text(self.folder / f"{name}.wanted", row_lines)
            self.parts.append(Part(name, len(lines), plain))
            new_parts.append(self.parts[-1])

        for row in _rows(request, gaps):
            line = _line(request, row)
            length = len(line.encode())
            if lines and (len(lines) >= max_requests or size + length > max_bytes):
                end_part()
                lines, row_lines, size = [], [], 0
            lines.append(line)
            row_lines.append(json.dumps(dataclasses.asdict(row)) + "\n")
            size += length
        if lines:
            end_part()
        return new_parts


def _rows(
    request: Request, gaps: Mapping[str, tuple[int, ...]]
) -> Iterator[RequestRow]:
    for phrase, indices in gaps.items():
        groups = [indices] if request.at_once else [(index,) for index in indices]
        for group in groups:
            yield RequestRow(request.key(phrase, group[0]), phrase, tuple(group))


def _line(request: Request, row: RequestRow) -> str:
    document = {
        "custom_id": row.custom_id,
        "method": "POST",
        "url": request.batch_path,
        "body": request.body(row.phrase, len(row.indices)),
    }
    return json.dumps(document, ensure_ascii=False) + "\n"
