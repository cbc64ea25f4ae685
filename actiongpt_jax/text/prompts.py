"""Prompt functions: the texts that ask a language model to describe a phrase.

Source: Action-GPT (arXiv:2211.15603) section 3 and its Fig. 5, which compares
`action`, `person`, `movements` and `detail`. The paper uses `detail`; the others yield
less about the body. Its Fig. 4 shows that the phrase alone (`phrase`) fails.
`reference` is the prompt that the published code sends.
"""

import dataclasses
import hashlib
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from actiongpt_jax.errors import InputError

# This is part of every description's key: raise it when a template changes.
VERSION = "1"
DEFAULT = "detail"
_SLOT = "{phrase}"

TEMPLATES: Mapping[str, str] = MappingProxyType(
    {
        "action": "Describe the action {phrase}",
        "person": "Describe a person performing the action {phrase}",
        "movements": (
            "Describe a person's body movements who is performing the action {phrase}"
        ),
        "detail": (
            "Describe a person's body movements who is performing the action {phrase}"
            " in detail"
        ),
        "phrase": "{phrase}",
        "reference": (
            "Describe a person's body movements who is performing the action {phrase}"
            " in details"
        ),
    }
)

# Settings that belong together; a flag overrides a value of its preset.
PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        # Section 4 of the paper: 140 tokens for the prompt and the answer together.
        "paper": {
            "prompt": "detail",
            "k": 4,
            "temperature": 0.5,
            "top_p": 1.0,
            "total_tokens": 140,
        },
        # The settings of the published code.
        "published": {
            "prompt": "reference",
            "k": 4,
            "temperature": 0.5,
            "top_p": 1.0,
            "max_tokens": 128,
            "frequency_penalty": 0.0,
            "presence_penalty": 0.0,
        },
    }
)


@dataclasses.dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt function.

    Attributes:
        name: a name in `TEMPLATES`, or one that the user chose.
        template: the text to send, with `{phrase}` in place of the phrase.
        system: the system prompt; None sends no system prompt.
    """

    name: str
    template: str
    system: str | None = None

    @property
    def version(self) -> str:
        """Version that changes whenever a word that is sent changes."""
        is_custom = TEMPLATES.get(self.name) != self.template
        version = _digest(self.template) if is_custom else VERSION
        return version if self.system is None else f"{version}+{_digest(self.system)}"

    def fill(self, phrase: str) -> str:
        """Returns the prompt for a phrase; braces in the phrase are kept."""
        return self.template.replace(_SLOT, phrase)


def make_prompt(spec: str, words: int | None = None) -> Prompt:
    """Finds a prompt by its name, or makes one from a template.

    Args:
        spec: a name in `TEMPLATES`, a template with `{phrase}`, or `name=template`.
        words: word limit; a system prompt asks for complete sentences with at most
            this many words. None sends no system prompt.

    Raises:
        InputError: for an unknown name, invalid text, or a word limit below 1.
    """
    if words is not None and words < 1:
        raise InputError(f"the word limit (--words) must be 1 or more, got {words}")
    if spec.encode(errors="replace").decode() != spec:
        raise InputError(
            f"the prompt must be valid text, but has bytes that are not UTF-8: {spec!a}"
        )
    system = None if words is None else complete_sentences(words)
    if _SLOT not in spec:
        if spec not in TEMPLATES:
            raise InputError(
                f"the prompt must be one of {', '.join(TEMPLATES)}, or your own"
                f" template that contains {_SLOT}, got {spec!r}"
            )
        return Prompt(spec, TEMPLATES[spec], system)
    named = re.fullmatch(r"([\w-]+)=(.*)", spec, re.DOTALL)
    name, template = named.groups() if named else (f"custom-{_digest(spec)}", spec)
    if TEMPLATES.get(name, template) != template:
        raise InputError(
            f"your own prompt must not be called {name!r}, because the library has a"
            f" prompt of that name (it has {', '.join(TEMPLATES)}); choose another name"
            " before the ="
        )
    return Prompt(name, template, system)


def complete_sentences(words: int) -> str:
    """Returns a system prompt that asks for complete sentences within a word limit.

    Args:
        words: word limit. English text has about 1.35 word pieces per word, so 55
            words fit CLIP's 77 word pieces and 375 words fit DistilBERT's 512.
    """
    return (
        "Answer in one paragraph of plain, complete sentences about the body, its"
        f" limbs and their order of movement, with no more than {words} words in all."
        " Do not repeat the question, do not use lists, and finish the last sentence."
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
