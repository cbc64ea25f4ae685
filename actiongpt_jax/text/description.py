"""One description of a phrase: its fields, its key, and its form in JSON."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from actiongpt_jax.errors import InputError
from actiongpt_jax.text import prompts

# Writer of a `{phrase: [texts]}` file, which does not say who wrote it.
PUBLISHED = "published"


@dataclasses.dataclass(frozen=True, slots=True)
class Description:
    """One text about one phrase, with where it came from.

    Attributes:
        phrase: what is described.
        index: its number among the descriptions of this phrase and setting.
        text: the description.
        prompt: name of the prompt function, see `text.prompts`.
        writer: who wrote it; for a language model, the name by which it was asked.
        prompt_version: version of the prompt's template, None where unknown.
        model: the model as returned by its server, None for other writers.
        endpoint: address of the server.
        parameters: sampling parameters that the user set.
        finish_reason: why the text ended, as the server said.
        usage: token counts of the call, which may have written several texts.
        time: when it was written, as text.
        fingerprint: of the server's set-up, where it gives one.
        template: of a prompt that is not among `text.prompts`.
        system: system prompt, if one was sent.
        call: the call itself: its id, and n, seed and limit where it had them.
        redo: the fault for which an earlier text was replaced.
        key: identity of the record; made from the fields above if not given.
    """

    phrase: str
    index: int
    text: str
    prompt: str = prompts.DEFAULT
    writer: str = PUBLISHED
    prompt_version: str | None = None
    model: str | None = None
    endpoint: str | None = None
    parameters: Mapping[str, Any] | None = None
    finish_reason: str | None = None
    usage: Mapping[str, Any] | None = None
    time: str | float | None = None
    fingerprint: str | None = None
    template: str | None = None
    system: str | None = None
    call: Mapping[str, Any] | None = None
    redo: str | None = None
    key: str = ""

    def __post_init__(self):
        """Fills in the key."""
        if not self.key:
            key = make_key(
                self.endpoint,
                self.writer,
                self.model,
                self.prompt,
                self.prompt_version,
                self.parameters,
                self.phrase,
                self.index,
            )
            object.__setattr__(self, "key", key)


def make_key(*asked: Any) -> str:
    """Returns the hash that identifies what was asked, not what was answered.

    Args:
        asked: JSON values: whom, how, about what, and the number of the text.
    """
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:32]


def ask_setting(
    version: str | None, parameters: Mapping[str, Any] | None, *more: Any
) -> str:
    """Returns what must be equal in texts that are used together, as JSON.

    Args:
        version: version of the prompt.
        parameters: sampling parameters.
        more: JSON values that must be equal, too.
    """
    return json.dumps([version, parameters, *more], sort_keys=True)


_REQUIRED = ("phrase", "index", "text")
_KINDS = {
    "phrase": str,
    "index": int,
    "text": str,
    "prompt": str,
    "prompt_version": (str, int),
    "model": str,
    "writer": str,
    "endpoint": str,
    "parameters": dict,
    "finish_reason": str,
    "usage": dict,
    "time": (str, int, float),
    "fingerprint": str,
    "template": str,
    "system": str,
    "call": dict,
    "redo": str,
    "key": str,
}


def from_json(record: Any, where: str) -> Description:
    """Makes a description of one parsed JSON value.

    Args:
        record: what the JSON held.
        where: file and line, for the error.

    Raises:
        InputError: naming the field that is missing or of the wrong kind.
    """
    if not isinstance(record, dict):
        raise InputError(
            f"{where} must be one JSON object with phrase, index and text, got a"
            f" {type(record).__name__}"
        )
    for name, kind in _KINDS.items():
        value = record.get(name)
        if value is None and name not in _REQUIRED:
            continue
        if not isinstance(value, kind) or isinstance(value, bool):
            raise InputError(
                f"{where}: the field {name!r} must be"
                f" {'a number' if kind is int else 'text' if kind is str else kind},"
                f" got {json.dumps(value)[:60]}"
            )
    if record["index"] < 0:
        raise InputError(
            f"{where}: the field 'index' must be 0 or more, got {record['index']}"
        )
    given = {name: record[name] for name in _KINDS if record.get(name) is not None}
    given.setdefault("writer", given.get("model", "unknown"))
    if "prompt_version" in given:
        given["prompt_version"] = str(given["prompt_version"])
    return checked(Description(**given), where)


def to_json(record: Description) -> str:
    """Returns one line of JSON; fields that are None are left out."""
    fields = {
        field.name: value
        for field in dataclasses.fields(record)
        if (value := getattr(record, field.name)) is not None
    }
    return json.dumps(fields, ensure_ascii=False) + "\n"


def checked(record: Description, where: str) -> Description:
    """Returns the record; raises InputError if a text cannot be encoded."""
    if not record.phrase.strip():
        raise InputError(f"{where}: the phrase must not be empty")
    for name in ("phrase", "text"):
        try:
            getattr(record, name).encode()
        except UnicodeEncodeError as error:
            raise InputError(
                f"{where}: the {name} of {record.phrase!a} must be valid Unicode:"
                f" {error.reason} at {error.start}; repair or remove it"
            ) from error
    return record
