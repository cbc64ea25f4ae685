"""Reads the texts out of a server's answer, whatever else the answer holds."""

import json
from typing import Any, NamedTuple

# Python refuses to read numbers with thousands of digits.
_MOST_DIGITS = 300


class Reply(NamedTuple):
    """One text of an answer, as the server sent it.

    Attributes:
        text: the text; empty if the server sent no text.
        reason: why the text ended, in the server's words.
        thoughts: whether the server sent thoughts apart from the text.
    """

    text: str = ""
    reason: str | None = None
    thoughts: bool = False


def parse(text: str) -> dict[str, Any] | None:
    """Returns the JSON object in a response's body; None if it is not one.

    Unlike a file, an answer may begin with a byte order mark, and may have numbers of
    any length and line ends within texts: its texts are paid for.
    """
    try:
        text = text.removeprefix("\ufeff")
        document = json.loads(text, parse_int=_whole, strict=False)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def as_dict(value: Any) -> dict[str, Any]:
    """Returns a JSON object, and an empty one for any other value."""
    return value if isinstance(value, dict) else {}


def read_replies(document: dict[str, Any], endpoint: str) -> list[Reply]:
    """Returns the texts of an answer; fields of an unknown form count as absent.

    Args:
        document: body of the response.
        endpoint: one of `llm.request.PATHS`.
    """
    if endpoint == "responses":
        items = _dicts(document.get("output"))
        return [_of_items(document, items)] if items else []
    return [
        _of_choice(choice, choice.get("message") if endpoint == "chat" else choice)
        for choice in _dicts(document.get("choices"))
    ]


def _of_choice(choice: dict[str, Any], message: Any) -> Reply:
    message = as_dict(message)
    reason = choice.get("finish_reason")
    text = _join(message.get("content") or message.get("text"))
    if not text and (refusal := _join(message.get("refusal"))):
        text, reason = refusal, "refusal"
    names = ("reasoning_content", "reasoning", "thinking")
    thoughts = any(_join(message.get(name)) for name in names)
    return Reply(text, None if reason is None else str(reason), thoughts)


def _of_items(document: dict[str, Any], items: list[dict[str, Any]]) -> Reply:
    parts = [
        part
        for item in items
        if item.get("type") == "message"
        for part in _dicts(item.get("content"))
    ]
    details = as_dict(document.get("incomplete_details"))
    reason = details.get("reason") or document.get("status")
    text = _join([part for part in parts if part.get("type") == "output_text"])
    if not text and (refusal := "".join(_join(part.get("refusal")) for part in parts)):
        text, reason = refusal, "refusal"
    return Reply(text, None if reason is None else str(reason))


def _join(content: Any) -> str:
    """Returns a text that is given as one string, or as a list of parts."""
    if isinstance(content, str):
        return content
    texts = (
        part.get("text")
        for part in _dicts(content)
        if part.get("type") in ("text", "output_text", None)
    )
    return "".join(text for text in texts if isinstance(text, str))


def _dicts(value: Any) -> list[dict[str, Any]]:
    items = value if isinstance(value, list) else []
    return [item for item in items if isinstance(item, dict)]


def _whole(digits: str) -> int | float:
    return int(digits) if len(digits) < _MOST_DIGITS else float(digits)
