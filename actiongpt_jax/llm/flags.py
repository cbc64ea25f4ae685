"""Flags of the command line `describe`, and the request they stand for."""

import argparse
import json
import os
from typing import Any

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
    add("--limit", type=int, help="only the first so many phrases")
    add("--shard", metavar="I/N", help="only this share of the phrases; --out: folder")
    add("--redo", metavar="REASON", help=f"ask again: {', '.join(REASONS)}")

    add = parser.add_argument_group("what to ask").add_argument
    add("--model", help="by the server's name for it")
    add("--k", type=int, help=f"descriptions a phrase ({DEFAULT_K})")
    add("--prompt", help=f"{', '.join(TEMPLATES)} ({DEFAULT}), or text with {{phrase}}")
    add(
        "--words", type=int, help="ask for complete sentences, of at most so many words"
    )
    add("--preset", choices=PRESETS, help="settings of the paper or its published code")
    add("--temperature", type=float, help="sent only if given, as all of these")
    add("--top-p", type=float)
    add("--max-tokens", type=int, help="limit of one answer")
    add("--seed", type=int)
    add("--param", action="append", default=[], metavar="NAME=JSON", help="any other")

    add = parser.add_argument_group("whom to ask").add_argument
    add("--endpoint", default="chat", help=f"{', '.join(PATHS)} (chat)")
    add("--base-url", help="address up to /v1 (OPENAI_BASE_URL, else OpenAI)")
    add(
        "--from-file",
        "--import",
        metavar="FILE",
        help="ask nobody: take them from here",
    )
    add("--writer", help="of --from-file, --export, --report, --redo: whose texts")
    add("--concurrency", type=int, default=16, help="calls at once (16)")
    add("--rpm", type=float, help="calls a minute, at most")
    add("--timeout", type=float, default=120.0, help="seconds for one call (120)")
    add("--max-cost", type=float, help="dollars; stop before a call that exceeds it")
    add("--prices", help='JSON {"model": {"input": $, "output": $ a million tokens}}')
    add("--mode", choices=("online", "batch"), default="online")
    steps = ("submit", "status", "collect")
    parser.add_argument("step", nargs="?", choices=steps, help="of --mode batch")

    add = parser.add_argument_group("in place of asking").add_argument
    add("--dry-run", action="store_true", help="what would be asked, and its cost")
    add("--check", action="store_true", help="does the server have the model?")
    add("--report", nargs="?", const="", metavar="FILE", help="faults in --out or FILE")
    add("--encoder", help="of --report: count word pieces with its tokenizer")
    add(
        "--diff", nargs=2, metavar=("A", "B"), help="two writers in --out, or two files"
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
