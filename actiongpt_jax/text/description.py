"""One description of a phrase: its fields, its key and its JSON form."""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from actiongpt_jax.errors import InputError
from actiongpt_jax.text import prompts

# Writer of the texts of a `{phrase: [texts]}` file, which does not name a writer.
PUBLISHED = "published"


# Not frozen: that would take about 2 microseconds more per record, of 260,000 or more.
@dataclasses.dataclass(slots=True)
class Description:
    """One text that describes one phrase, with its origin.

    Attributes:
        phrase: the phrase that is described.
        index: number of the text among those of this phrase and setting.
        text: the description.
        prompt: name of the prompt function; see `text.prompts`.
        writer: name of the writer; for a language model, the name in the request.
        prompt_version: version of the prompt's template, None if unknown.
        model: name of the model in the server's answer; None for other writers.
        endpoint: address of the server.
        parameters: sampling parameters that the user set.
        finish_reason: why the text ended, in the server's words.
        usage: token counts of the call, which may have written several texts.
        time: time of writing, as text (ISO 8601) or as a number from a file.
        fingerprint: fingerprint of the server's configuration, if it sends one.
        template: template of a prompt that is not in `text.prompts`, else None.
        system: system prompt, if one was sent.
        call: id of the call, and its n, seed and token limit if they were sent.
        redo: the fault for which this text replaced an earlier one.
        key: identity of the record; computed from the fields above if not given.
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
        """Computes the key if it is missing."""
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
            self.key = key


def make_key(*identity: Any) -> str:
    """Returns the hash that identifies what was asked, not what was answered.

    Args:
        identity: JSON values: server and model, prompt and parameters, phrase, and the
            number of the text.
    """
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[
        :32
    ]


def ask_setting(
    version: str | None, parameters: Mapping[str, Any] | None, *more: Any
) -> str:
    """Returns, as JSON, the settings that must be equal in texts used together.

    Args:
        version: version of the prompt.
        parameters: sampling parameters.
        more: further JSON values that must be equal.
    """
    return json.dumps([version, parameters, *more], sort_keys=True)


_REQUIRED = ("phrase", "index", "text")
_TEXT, _NUMBER, _OBJECT = (str,), (int,), (dict,)
# Field -> types of its JSON values, in the order of `Description`; a bool counts as no
# number.
_KINDS: Mapping[str, tuple[type, ...]] = {
    "phrase": _TEXT,
    "index": _NUMBER,
    "text": _TEXT,
    "prompt": _TEXT,
    "writer": _TEXT,
    "prompt_version": (str, int),
    "model": _TEXT,
    "endpoint": _TEXT,
    "parameters": _OBJECT,
    "finish_reason": _TEXT,
    "usage": _OBJECT,
    "time": (str, int, float),
    "fingerprint": _TEXT,
    "template": _TEXT,
    "system": _TEXT,
    "call": _OBJECT,
    "redo": _TEXT,
    "key": _TEXT,
}
_NAMES = {str: "text", int: "a number", float: "a number", dict: "an object"}


def from_json(record: Any, where: str) -> Description:
    """Makes a description from one parsed JSON value.

    Args:
        record: the parsed JSON value.
        where: file and line, for the error message.

    Raises:
        InputError: if a field is missing or has the wrong type; the message names it.
    """
    if not isinstance(record, dict):
        raise InputError(
            f"{where} must be one JSON object with phrase, index and text, got a"
            f" {type(record).__name__}"
        )
    values: list[Any] = [*map(record.get, _KINDS)]
    wrong = _wrong_field((*map(type, values),))
    if wrong is not None:
        kinds = " or ".join(dict.fromkeys(_NAMES[kind] for kind in _KINDS[wrong]))
        value = json.dumps(record.get(wrong))[:60]
        raise InputError(f"{where}: the field {wrong!r} must be {kinds}, got {value}")
    _, index, _, prompt, writer, version, model, *_, key = values
    if index < 0:
        raise InputError(f"{where}: the field 'index' must be 0 or more, got {index}")
    if writer is None:
        writer = "unknown" if model is None else model
    values[3] = prompts.DEFAULT if prompt is None else prompt
    values[4] = writer
    values[5] = None if version is None else str(version)
    values[-1] = key or ""
    return checked(Description(*values), where)


@functools.lru_cache
def _wrong_field(kinds: tuple[type, ...]) -> str | None:
    """Returns the first field whose value has a wrong type; None if all are right."""
    for name, kind in zip(_KINDS, kinds, strict=True):
        missing = kind is type(None) and name not in _REQUIRED
        if not missing and kind not in _KINDS[name]:
            return name
    return None


def to_json(record: Description) -> str:
    """Returns one line of JSON; fields that are None are left out."""
    fields = {
        field.name: value
        for field in dataclasses.fields(record)
        if (value := getattr(record, field.name)) is not None
    }
    return json.dumps(fields, ensure_ascii=False) + "\n"


def checked(record: Description, where: str) -> Description:
    """Returns the record after checking its phrase and text.

    Raises:
        InputError: if the phrase is empty, or a text is not valid Unicode.
    """
    if not record.phrase.strip():
        raise InputError(f"{where}: the phrase must not be empty")
    for name in ("phrase", "text"):
        if getattr(record, name).isascii():
            continue
        try:
            getattr(record, name).encode()
        except UnicodeEncodeError as error:
            raise InputError(
                f"{where}: the {name} of {record.phrase!a} must be valid Unicode:"
                f" {error.reason} at {error.start}; repair or remove it"
            ) from error
    return record
