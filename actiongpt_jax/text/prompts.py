"""Prompt functions: what a language model is asked about a phrase.

Source: Action-GPT (arXiv:2211.15603) section 3 and its Fig. 5, which compares
the four; `detail` is the method, the others say less about the body.
"""

from collections.abc import Mapping
from types import MappingProxyType

from actiongpt_jax.errors import InputError

# Part of every description's key: raise it when a template changes.
VERSION = "1"
DEFAULT = "detail"

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
    }
)


def fill(name: str, phrase: str) -> str:
    """Returns the prompt `name` for a phrase.

    Args:
        name: one of `TEMPLATES`.
        phrase: what is asked about; braces in it stay as they are.

    Raises:
        InputError: if there is no such prompt.
    """
    if name not in TEMPLATES:
        raise InputError(
            f"the prompt must be one of {', '.join(TEMPLATES)}, got {name!r}"
        )
    return TEMPLATES[name].replace("{phrase}", phrase)
