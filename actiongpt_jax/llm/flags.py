"""Flags of the command line `describe`, and the request they stand for."""

import argparse
import json
import os
from typing import Any

from actiongpt_jax.cli import at_least
from actiongpt_jax.errors import InputError
from actiongpt_jax.llm.faults import REASONS
from actiongpt_jax.llm.provider import FileProvider
from actiongpt_jax.llm.request import OPENAI, PATHS, Request
from actiongpt_jax.text.prompts import DEFAULT, PRESETS, TEMPLATES, make_prompt

DEFAULT_K = 4
_PARAMETERS = ("temperature", "top_p", "max_tokens", "seed")


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds all flags."""
    add = parser.add_argument_group("what to describe").add_argument
    add("--phrases", help="motion store, BABEL json or its folder, or a text file")
    add("--out", default="descriptions.jsonl", help="the cache: JSONL file or folder")
    add(
        "--limit",
        type=at_least(1),
        help="take only this many phrases, the first (default: all)",
    )
    add(
        "--shard",
        metavar="I/N",
        help="take only this share of the phrases, 1/N to N/N; --out is a folder then "
        "(default: all)",
    )
    add(
        "--redo",
        metavar="REASON",
        help=f"ask again for texts with a fault: {', '.join(REASONS)}",
    )

    add = parser.add_argument_group("what to ask").add_argument
    add("--model", help="name that the server has for the model")
    add(
        "--k",
        type=int,
        help=f"descriptions per phrase (default: that of the preset, else {DEFAULT_K})",
    )
    add(
        "--prompt",
        help=f"{', '.join(TEMPLATES)}, or text with {{phrase}} (default: that of the "
        f"preset, else {DEFAULT})",
    )
    add(
        "--words",
        type=int,
        help="words of an answer, at most, in complete sentences (default: no limit)",
    )
    add("--preset", choices=PRESETS, help="settings of the paper or its published code")
    unset = "(default: not sent)"
    add("--temperature", type=float, help=f"randomness of the answers {unset}")
    add(
        "--top-p",
        type=float,
        help=f"probability mass that tokens are drawn from {unset}",
    )
    add("--max-tokens", type=int, help=f"limit of one answer, in tokens {unset}")
    add("--seed", type=int, help=f"seed of the server's draws {unset}")
    add(
        "--param",
        action="append",
        default=[],
        metavar="NAME=JSON",
        help="any other parameter of the server; may be repeated",
    )

    add = parser.add_argument_group("whom to ask").add_argument
    add("--endpoint", default="chat", help=f"interface: {', '.join(PATHS)}")
    add(
        "--base-url",
        help="address up to /v1 (default: OPENAI_BASE_URL, else that of OpenAI)",
    )
    add(
        "--from-file",
        "--import",
        metavar="FILE",
        help="ask no server: take the descriptions from this file",
    )
    add(
        "--writer",
        help="writer whose texts are meant, with --from-file, --export, --report and "
        "--redo (default: the first, or all)",
    )
    add("--concurrency", type=int, default=16, help="calls at the same time, at most")
    add("--rpm", type=float, help="calls per minute, at most (default: no limit)")
    add("--timeout", type=float, default=120.0, help="time limit of a call, in seconds")
    add(
        "--max-cost",
        type=float,
        help="dollars; stops before a call that exceeds it (default: no limit)",
    )
    add(
        "--prices",
        help='JSON {"model": {"input": $, "output": $}}, dollars per million tokens '
        "(default: a built-in table)",
    )
    add(
        "--mode",
        choices=("online", "batch"),
        default="online",
        help="whether to ask now or through the server's batch interface",
    )
    steps = ("submit", "status", "collect")
    parser.add_argument("step", nargs="?", choices=steps, help="step of --mode batch")

    add = parser.add_argument_group("in place of asking").add_argument
    add("--dry-run", action="store_true", help="show what would be asked, and its cost")
    add("--check", action="store_true", help="ask whether the server has the model")
    add(
        "--report",
        nargs="?",
        const="",
        metavar="FILE",
        help="list faults in FILE, or in --out without one",
    )
    add(
        "--encoder",
        help="encoder whose tokenizer counts word pieces for --report (default: "
        "estimate them)",
    )
    add(
        "--diff",
        nargs=2,
        metavar=("A", "B"),
        help="compare two writers in --out, or two files",
    )
    add("--export", metavar="FILE", help="write {phrase: [k texts]} json")


def make_request(args: argparse.Namespace) -> Request:
    """Makes the request that the flags stand for; a preset's values come last.

    Raises:
        InputError: for a value that is not possible, or without a model.
    """
    if not args.model:
        raise InputError(
            "--model must name the language model; --check tells whether the server"
            " has it, and --from-file FILE takes descriptions without any"
        )
    preset = dict(PRESETS[args.preset]) if args.preset else {}
    prompt = args.prompt or preset.pop("prompt", DEFAULT)
    preset.pop("prompt", None)
    k = args.k if args.k is not None else preset.pop("k", DEFAULT_K)
    preset.pop("k", None)
    given = {
        name: value
        for name in _PARAMETERS
        if (value := getattr(args, name)) is not None
    }
    given |= dict(map(_read_parameter, args.param))
    if "max_tokens" in given:
        preset.pop("total_tokens", None)
    return Request(
        model=args.model,
        prompt=make_prompt(prompt, args.words),
        k=k,
        endpoint=args.endpoint,
        base_url=args.base_url or os.environ.get("OPENAI_BASE_URL") or OPENAI,
        parameters=preset | given,
    )


def follow_file(args: argparse.Namespace, source: FileProvider) -> None:
    """Takes from a file what flags leave open: writer, prompt, and how many texts."""
    args.model = args.model or source.writer
    args.prompt = args.prompt or source.prompt
    args.k = args.k or max(map(len, source.texts.values()), default=1)


def _read_parameter(spec: str) -> tuple[str, Any]:
    name, equals, value = spec.partition("=")
    if not equals or not name.isidentifier():
        raise InputError(
            f"--param must be NAME=VALUE, such as reasoning_effort=none, got {spec!r}"
        )
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
