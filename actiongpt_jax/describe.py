"""Asks a language model to describe phrases and stores every answer in a cache.

    python -m actiongpt_jax.describe --phrases STORE --model M --k 4 --out FILE.jsonl

The key is read from the environment variable OPENAI_API_KEY.
"""

import argparse
import asyncio
from collections.abc import Sequence

from actiongpt_jax import cli
from actiongpt_jax.errors import InputError
from actiongpt_jax.files.shard import Shard, parse_shard
from actiongpt_jax.llm import flags


def make_parser() -> cli.Parser:
    """Returns the parser of the command line."""
    parser = cli.command_parser("describe", __doc__)
    flags.add_flags(parser)
    return parser


def main(argv: Sequence[str]) -> None:
    """Reads the flags, then asks the model or reports on existing descriptions."""
    args = make_parser().parse_args(argv)
    if (args.step is not None) != (args.mode == "batch"):
        raise InputError(
            "--mode batch must be given together with one of the steps submit, status"
            " and collect"
        )

    from actiongpt_jax.llm import reports

    shard = parse_shard(args.shard)
    if args.report is not None:
        print("\n".join(reports.report_lines(args)))
        return
    if args.diff:
        print("\n".join(reports.diff_lines(args)))
        return
    if args.export:
        print("\n".join(reports.export_lines(args)))
        return
    # These import the openai package, which takes a second.
    from actiongpt_jax.llm import batch_steps
    from actiongpt_jax.llm.openai_provider import check_model

    if args.check:
        print(asyncio.run(check_model(flags.make_request(args), args.timeout)))
    elif args.step == "status":
        batch_steps.show_status(args.out, shard, args.timeout)
    elif args.step == "collect":
        batch_steps.collect(args.out, shard, args.timeout, args.prices)
    else:
        _describe(args, shard)


def _describe(args: argparse.Namespace, shard: Shard | None) -> None:
    from actiongpt_jax.data.phrases import read_phrases
    from actiongpt_jax.llm import batch_steps
    from actiongpt_jax.llm.budget import Budget, find_price, read_prices
    from actiongpt_jax.llm.faults import parse_reasons
    from actiongpt_jax.llm.job import Job, of_shard, preview, run_job
    from actiongpt_jax.llm.openai_provider import OpenAIProvider
    from actiongpt_jax.llm.pacing import Pace
    from actiongpt_jax.llm.provider import FileProvider
    from actiongpt_jax.text.descriptions import read_descriptions

    source = None
    phrases: list[str] = read_phrases(args.phrases) if args.phrases else []
    if args.from_file:
        source = FileProvider(read_descriptions(args.from_file), args.writer)
        phrases = phrases or list(source.texts)
        flags.follow_file(args, source)
    if not phrases and not args.redo:
        raise InputError("give --phrases: a motion store, BABEL's json or a text file")
    request = flags.make_request(args)
    phrases = of_shard(phrases, shard)[: args.limit]
    redo = parse_reasons(args.redo) if args.redo is not None else []
    job = Job(request, phrases, args.out, shard, redo, args.writer, args.limit)
    pace = Pace(args.concurrency, args.rpm)
    price = find_price(read_prices(args.prices), request.model)
    budget = Budget(price, args.max_cost)
    if args.dry_run:
        print("\n".join(preview(job, price, asks=source is None)))
        return
    provider = source or OpenAIProvider(request, args.timeout)
    with job.open_cache() as cache:
        if args.step == "submit":
            batch_steps.submit(job, cache, budget, args.timeout)
        else:
            batch_steps.refuse_while_pending(cache)
            run_job(job, provider, cache, budget, pace)


if __name__ == "__main__":
    cli.run(main)
