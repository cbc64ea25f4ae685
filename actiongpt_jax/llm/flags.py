"""The flags of the command line `describe`, and the request made from them."""

import argparse
import os
from typing import Any

from actiongpt_jax.cli import at_least, number
from actiongpt_jax.errors import InputError
from actiongpt_jax.files.reading import parse_json
from actiongpt_jax.llm.faults import REASONS
from actiongpt_jax.llm.provider import FileProvider
from actiongpt_jax.llm.request import OPENAI, PATHS, Request
from actiongpt_jax.text.prompts import DEFAULT, PRESETS, TEMPLATES, make_prompt

DEFAULT_K = 4
_PARAMETERS = ("temperature", "top_p", "max_tokens", "seed")


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds all flags of `describe` to a parser."""
    add = parser.add_argument_group("what to describe").add_argument
    add("--phrases", help="motion store, BABEL json or its folder, or a text file")
    add("--out", default="descriptions.jsonl", help="the cache: JSONL file or folder")
    add("--limit", type=at_least(1), help="number of phrases to take (default: all)")
    add("--shard", metavar="I/N", help="share of the phrases; --out must be a folder")
    redo = "ask again for texts with this fault"
    add("--redo", metavar="FAULT", help=f"{redo}: {', '.join(REASONS)}")

    add = parser.add_argument_group("what to ask").add_argument
    add("--model", help="name of the model on the server")
    add(
        "--k",
        type=int,
        help=f"descriptions per phrase (default: the preset's value, or {DEFAULT_K})",
    )
    prompts = f"{', '.join(TEMPLATES)}, or a text that contains {{phrase}}"
    add("--prompt", help=f"{prompts} (default: {DEFAULT})")
    words = "ask for complete sentences with at most this many words"
    add("--words", type=int, help=words)
    add("--preset", choices=PRESETS, help="settings of the paper or its published code")
    add("--temperature", type=number, help="sampling temperature, sent only if given")
    add("--top-p", type=number, help="sampling top_p, sent only if given")
    add("--max-tokens", type=int, help="token limit of one answer, sent only if given")
    add("--seed", type=int, help="sampling seed, sent only if given")
    other = "any other sampling parameter; may be repeated"
    add("--param", action="append", default=[], metavar="NAME=JSON", help=other)

    add = parser.add_argument_group("which server to ask").add_argument
    add("--endpoint", default="chat", help=f"API endpoint: {', '.join(PATHS)}")
    address = "address of the server up to /v1 (default: OPENAI_BASE_URL, else OpenAI)"
    add("--base-url", help=address)
    source = "read the descriptions from this file instead of asking a server"
    add("--from-file", "--import", metavar="FILE", help=source)
    add(
        "--writer",
        help="writer whose texts --from-file, --export, --report or --redo use",
    )
    add("--concurrency", type=int, default=16, help="largest number of calls at a time")
    add("--rpm", type=float, help="limit of calls per minute (default: none)")
    add("--timeout", type=float, default=120.0, help="time limit of a call, in seconds")
    cost = "limit in dollars; stop before a call that might exceed it"
    add("--max-cost", type=float, help=cost)
    prices = 'JSON {"model": {"input": $, "output": $}} per million tokens'
    add("--prices", help=f"{prices} (default: a built-in table)")
    mode = "ask now (online), or through the server's batch interface"
    add("--mode", choices=("online", "batch"), default="online", help=mode)
    steps = ("submit", "status", "collect")
    parser.add_argument("step", nargs="?", choices=steps, help="step of --mode batch")

    other = parser.add_argument_group("other actions, which ask for no descriptions")
    add = other.add_argument
    add("--dry-run", action="store_true", help="show what would be asked, and its cost")
    add("--check", action="store_true", help="check whether the server has the model")
    report = "list the faults in FILE (default: in --out)"
    add("--report", type=str, nargs="?", const="", metavar="FILE", help=report)
    most = "number of texts that --report lists for each fault; 0 lists all"
    add("--list", type=at_least(0), default=20, metavar="N", help=most)
    add("--encoder", help="tokenizer that counts word pieces for --report")
    pair = "compare two writers in --out, or two files"
    add("--diff", nargs=2, metavar=("A", "B"), help=pair)
    add("--export", metavar="FILE", help="write {phrase: [k texts]} json")


def make_request(args: argparse.Namespace) -> Request:
    """Makes the request from the flags; a flag overrides a value of the preset.

    Raises:
        InputError: for an impossible value, or if --model is missing.
    """
    if not args.model:
        raise InputError(
            "--model must name the language model; --check tells whether the server"
            " has it, and --from-file FILE needs no model"
        )
    preset = dict(PRESETS[args.preset]) if args.preset else {}
    prompt = args.prompt or preset.pop("prompt", DEFAULT)
    preset.pop("prompt", None)
    k = args.k if args.k is not None else preset.pop("k", DEFAULT_K)
    preset.pop("k", None)
    parameters = {
        name: value
        for name in _PARAMETERS
        if (value := getattr(args, name)) is not None
    }
    parameters |= dict(map(_read_parameter, args.param))
    if "max_tokens" in parameters:
        preset.pop("total_tokens", None)
    return Request(
        model=args.model,
        prompt=make_prompt(prompt, args.words),
        k=k,
        endpoint=args.endpoint,
        base_url=args.base_url or os.environ.get("OPENAI_BASE_URL") or OPENAI,
        parameters=preset | parameters,
    )


def follow_file(args: argparse.Namespace, source: FileProvider) -> None:
    """Sets model, prompt and k from a file where the flags do not set them."""
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
        return name, parse_json(value, "--param", "")
    except InputError:
        return name, value
