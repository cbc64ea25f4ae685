"""The texts of the gallery: words in colours, and commands for what is missing."""

import collections
import html
import re
import shlex
import sys
from collections.abc import Callable, Sequence

from actiongpt_jax.text.prompts import DEFAULT

# Words about the body; the paper's figures mark what an answer says about it.
BODY = re.compile(
    "(?:head|neck|face|chin|eye|torso|trunk|chest|spine|waist|hip|pelvis|shoulder|arm|"
    "elbow|forearm|wrist|hand|fist|palm|finger|leg|thigh|knee|calf|shin|ankle|heel|toe|"
    "body|limb)s?|bodies|calves|feet|foot|back",
    re.IGNORECASE,
)


def coloured(texts: Sequence[str]) -> str:
    """Lists texts; words of several texts have one colour, the others a second one."""
    counts = collections.Counter(
        word for text in texts for word in set(re.findall(r"\w+", text.lower()))
    )

    def kind(word: str) -> str:
        return "several" if counts[word.lower()] > 1 else "single"

    listed = "".join(f"<li>{_marked(text, kind)}</li>" for text in texts)
    legend = (
        '<p><span class="several">words of several descriptions</span>, '
        '<span class="single">words of only one</span></p>'
    )
    return f"{legend}<ol>{listed}</ol>"


def card(name: str, asked: str, answer: str) -> str:
    """Returns what is asked and what is answered, with words about the body marked."""

    def kind(word: str) -> str:
        return "body" if BODY.fullmatch(word) else ""

    told = _marked(answer, kind) or "no answer is known: the model reads the phrase"
    return (
        f'<div><h3>{html.escape(name)}</h3><p class="asked">{html.escape(asked)}</p>'
        f"<p>{told}</p></div>"
    )


def _marked(text: str, kind_of: Callable[[str], str]) -> str:
    """Returns HTML in which words have the class that `kind_of` gives them, if any."""
    parts = []
    for part in re.findall(r"\w+|\W+", text):
        kind = kind_of(part) if re.match(r"\w", part) else ""
        shown = html.escape(part)
        parts.append(f'<span class="{kind}">{shown}</span>' if kind else shown)
    return "".join(parts)


def print_missing(missing: list[str], prompt: str = DEFAULT) -> None:
    """Prints the commands that make the missing descriptions."""
    if not missing:
        return
    lines = " ".join(shlex.quote(phrase) for phrase in missing)
    about = "without descriptions, generated from the phrase itself"
    instead = "\nor name a language model that describes them now, with --describe-with"
    if prompt != DEFAULT:
        about, instead = f"without answers to the prompt {prompt!r}", ""
    print(
        f"{about}: {', '.join(missing)}; to describe them:\n"
        f"  printf '%s\\n' {lines} > phrases.txt\n"
        "  python -m actiongpt_jax.describe --phrases phrases.txt --model gpt-6-luna "
        f"--k 4{f' --prompt {prompt}' if prompt != DEFAULT else ''} "
        f"--out descriptions.jsonl{instead}",
        file=sys.stderr,
    )
