"""Cleans the answers of language models: one line, without thoughts and markup.

Reasoning models mark their thoughts, and some servers send the marks along with the
text. A text that still looks like thoughts is a fault (`llm.faults`).
"""

import re

_NAMES = (
    r"(?:think(?:ing)?|thoughts?|thought[_ ]process|reason(?:ing)?|reflection"
    r"|analysis|scratch_?pad|(?:inner[_ ])?monologue|chain[_ ]of[_ ]thought|cot)"
)
_ATTRIBUTES = r"(?:\s+[\w-]+\s*=[^<>]*)?"
# <think>, <seed:think>, <thinking type="x">, <|begin_of_thought|>, <|START_THINKING|>,
# and the channels of gpt-oss and Gemma. Descriptions may have words in brackets, so
# [THINK] counts only at the start.
_OPEN = re.compile(
    rf"<[|｜]?\s*(?:\w+[:_])?(?:(?:begin|start)[_ ](?:of[_ ])?)?{_NAMES}"
    rf"(?:_fast|_start)?{_ATTRIBUTES}\s*[|｜]?>|◁{_NAMES}▷|^\W*\[{_NAMES}\]"
    r"|<\|?channel\|?>|<unused94>"
    r"|^\s*analysis(?-i:(?=[A-Z]))",
    re.IGNORECASE,
)
_CLOSE = re.compile(
    rf"<[|｜]?\s*(?:/[|｜]?\s*(?:\w+[:_])?|end[_ ](?:of[_ ])?){_NAMES}\s*[|｜]?>"
    rf"|<[|｜]?{_NAMES}_end[|｜]?>|◁/{_NAMES}▷|\[/{_NAMES}\]"
    r"|<\|channel\|>\s*final\b[^<]*(?:<\|constrain\|>[^<]*)?<\|message\|>|<channel\|>"
    r"|<unused95>"
    r"|(?-i:assistantfinal)",
    re.IGNORECASE,
)
_ANY_TOKEN = r"<[|｜][^<>|｜]{1,40}[|｜]>"
# The tokens after which a model's answer is over.
_END = re.compile(
    r"<[|｜](?:im_end|return|eot|eot_id|eom_id|eos|end(?!_header)\w*|end▁[^|｜]*)[|｜]>"
    r"|</s>|<eos>|<end_of_turn>|\[/?INST\]",
    re.IGNORECASE,
)
_HEAD = re.compile(
    rf"^\s*(?:(?:{_ANY_TOKEN}|<s>|<bos>|<start_of_turn>)\s*(?:(?:assistant|model)\b)?"
    r"[:\s]*)+",
    re.IGNORECASE,
)
_REST = re.compile(
    rf"{_ANY_TOKEN}|</?s>|<(?:bos|eos|pad)>|<start_of_turn>"
    r"|</?(?:final_)?(?:answer|response|output|solution)>",
    re.IGNORECASE,
)
# Descriptions have no markup: whatever a tag means, its text is suspect.
_TAG = re.compile(r"(?:[<＜]|&lt;)/?[^\W\d_][\w:.-]*(?:\s[^<>]*)?/?(?:[>＞]|&gt;)|```")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")  # all of Unicode's category Cc
# How models begin when they think aloud without any mark.
_ALOUD = re.compile(
    r"^\W*(?:(?:okay|ok|alright|all right|hmm+|well|so|right|first)\b[,.!:]*\s+)*"
    r"(?:(?:the )?user(?:['’]s)? (?:wants|asks|asked|is asking|has asked|request|needs)"
    r"|(?:i|we)(?:['’]ll| (?:need|should|must|have|want|will|can)(?: to)?) (?:describe"
    r"|write|think|produce|generate|provide|answer|respond|consider|break|figure)\b"
    r"|let(?: me|['’]?s| us) (?:think|start|break|consider|see|describe|write|figure)\b"
    r"|(?:here(?:['’]s| is) (?:a|my|the) )?(?:thinking|thought|reasoning) process\b"
    r"|(?:thinking|thoughts?|reasoning|analysis)\W*:)",
    re.IGNORECASE,
)


def clean(text: str) -> str:
    """Puts an answer on one line and removes what is not part of the description.

    Only what follows the last closing mark of a thought is kept. The special tokens of
    chat templates, control characters and lone surrogates are removed; line ends and
    repeated spaces become one space.

    Args:
        text: the answer as the server sent it.

    Returns:
        The text; empty if a thought was begun and not ended.
    """
    if (
        "<" in text
        or "[" in text
        or "◁" in text
        or text.lstrip().startswith("analysis")
    ):
        text = _description(text)
    return one_line(text)


def one_line(text: str) -> str:
    """Returns a text as one line of valid Unicode, without control characters."""
    # Nothing to remove; finding that out takes less time than removing.
    if text.isprintable() and "  " not in text:
        return text.strip()
    text = text.encode("utf-8", "replace").decode()
    return " ".join(_CONTROLS.sub(" ", text).split())


def looks_like_thoughts(text: str) -> bool:
    """Returns whether a text has marks of thoughts, or begins like thinking aloud."""
    if _ALOUD.match(text):
        return True
    marked = any(sign in text for sign in ("<", "[", "◁", "＜", "&lt;", "```"))
    marked = marked or "assistantfinal" in text or text.startswith("analysis")
    return marked and any(p.search(text) for p in (_OPEN, _CLOSE, _END, _REST, _TAG))


def _description(text: str) -> str:
    if marks := [*_CLOSE.finditer(text)]:
        text = text[marks[-1].end() :]
    # A model that does not stop goes on with the next turn of the conversation.
    text = next((part for part in _END.split(text) if part.strip()), "")
    if _OPEN.search(text):
        return ""
    return _REST.sub(" ", _HEAD.sub("", text))
