"""A language model that describes phrases when they are needed.

It is asked in the same way as by the command line `describe`: through the same
provider, with the same prompts, cache and cost limits.
"""

import argparse
import contextlib
import pathlib
import re
import shlex
from collections.abc import Iterable, Iterator

from actiongpt_jax import cli
from actiongpt_jax.config_fields import Config
from actiongpt_jax.errors import InputError, JobIncompleteError
from actiongpt_jax.inference.pretrained import output_folder
from actiongpt_jax.llm import flags
from actiongpt_jax.llm.budget import Budget, find_price, read_prices
from actiongpt_jax.llm.describer import find_gaps
from actiongpt_jax.llm.job import Job, run_job
from actiongpt_jax.llm.pacing import Pace
from actiongpt_jax.llm.request import show_address
from actiongpt_jax.text.description import Description
from actiongpt_jax.text.descriptions import read_descriptions
from actiongpt_jax.text.embeddings.store import open_embeddings
from actiongpt_jax.text.prompts import TEMPLATES

# Flags of `describe` that choose how to ask, not what.
_ALLOWED = (
    *("endpoint", "max_cost", "max_tokens", "out", "param", "preset", "prices"),
    *("concurrency", "prompt", "rpm", "seed", "temperature", "timeout", "top_p"),
    "words",
)


class Writer:
    """Describes phrases, and keeps every answer in a cache.

    Attributes:
        name: the model and its server, to be shown.
        described: phrase -> texts, for the phrases described so far.
    """

    def __init__(
        self,
        model: str,
        base_url: str | None = None,
        more: str = "",
        workdir: str | pathlib.Path | None = None,
    ):
        """Checks the flags; no server is asked.

        Args:
            model: name of the language model on the server.
            base_url: address of the server up to `/v1`; None takes the default of
                `describe`.
            more: further flags of `describe`, such as `--words 100 --max-cost 1`.
            workdir: folder or name of the trained model, next to whose texts the
                cache is made.

        Raises:
            InputError: for a flag that `describe` does not have, or a value that it
                does not take.
        """
        parser = cli.command_parser("describe", None)
        flags.add_flags(parser)
        parser.set_defaults(out=None)
        defaults = vars(parser.parse_args([]))
        try:
            given = parser.parse_args(shlex.split(more))
        except ValueError as error:
            raise InputError(
                f"--describe-flags must be flags of `describe`, got {more!r}: {error}"
            ) from error
        changed = {name for name, x in vars(given).items() if x != defaults[name]}
        if unusable := sorted(changed - set(_ALLOWED)):
            name = unusable[0].replace("_", "-")
            raise InputError(
                f"--describe-flags must not hold --{name}, which the model or another "
                "flag chooses; leave it out"
            )
        given.model, given.base_url = model, base_url
        self._flags: argparse.Namespace = given
        self._workdir = workdir
        self._spent = 0.0
        self._budget()
        address = show_address(flags.make_request(given).base_url)
        self.name = f"{model} at {address}"
        self.described: dict[str, list[str]] = {}

    def describe(self, config: Config, phrases: Iterable[str]) -> dict[str, list[str]]:
        """Returns descriptions of phrases; asks for those that the cache lacks.

        Args:
            config: config of the trained model: it reads `config.text.k` texts, and
                the prompt is that of its embedding store, if both are known.
            phrases: the phrases.

        Returns:
            phrase -> its texts.

        Raises:
            InputError: if the server cannot be asked until the user changes something.
            JobIncompleteError: if texts are still missing; the others are in the cache.
        """
        phrases = list(dict.fromkeys(phrases))
        store = pathlib.Path(config.text.store or "")
        stored = bool(config.text.store) and store.is_dir()
        args = argparse.Namespace(**vars(self._flags))
        args.k = config.text.k or flags.DEFAULT_K
        if stored and not (args.prompt or args.preset):
            prompt = open_embeddings(store).prompt
            # The words of a prompt with a name of its own are not in the store.
            args.prompt = prompt if prompt in TEMPLATES else None
        request = flags.make_request(args)
        default = output_folder(self._workdir) / "asked.jsonl"
        if stored:
            default = store.with_name(f"{store.name}_asked.jsonl")
        cache = pathlib.Path(args.out or default)
        job = Job(request, phrases, cache)
        cache.parent.mkdir(parents=True, exist_ok=True)
        with _own_flags(), job.open_cache() as opened:
            if find_gaps(request, phrases, opened.keys):
                self._ask(job, opened)
        records: dict[str, Description] = {
            record.key: record
            for known in read_descriptions(cache).values()
            for record in known
        }
        texts = {
            phrase: [records[request.key(phrase, i)].text for i in range(request.k)]
            for phrase in phrases
        }
        self.described |= texts
        return texts

    def _ask(self, job: Job, cache) -> None:
        # Imports the openai package, which takes a second.
        from actiongpt_jax.llm.openai_provider import OpenAIProvider

        args, budget = self._flags, self._budget()
        if budget.limit is not None and budget.spent >= budget.limit:
            raise JobIncompleteError(
                f"{len(job.phrases)} phrases were not described, because --max-cost "
                f"{budget.limit:g} is spent; run again with a higher limit"
            )
        provider = OpenAIProvider(job.request, args.timeout)
        try:
            run_job(job, provider, cache, budget, Pace(args.concurrency, args.rpm))
        finally:
            self._spent = budget.spent

    def _budget(self) -> Budget:
        """Returns the budget of one job; the limit holds for all of them together."""
        args = self._flags
        price = find_price(read_prices(args.prices), args.model)
        budget = Budget(price, args.max_cost)
        budget.spent = self._spent
        return budget


@contextlib.contextmanager
def _own_flags() -> Iterator[None]:
    """Names the flags of this command where an error names those of `describe`."""

    def own(match: re.Match[str]) -> str:
        name = match[1].replace("-", "_")
        if name == "model":
            return "--describe-with"
        return match[0] if name in (*_ALLOWED, "base_url") else f"`describe {match[0]}`"

    try:
        yield
    except (InputError, JobIncompleteError) as error:
        raise type(error)(re.sub(r"(?<![\w`-])--([a-z-]+)", own, str(error))) from error


def make_writer(args: argparse.Namespace, workdir: str | None = None) -> Writer | None:
    """Makes the writer that the flags of `cli.add_writer_flags` name, if any.

    Args:
        args: the parsed flags; those of the writer are taken out of them.
        workdir: folder or name of the trained model.

    Raises:
        InputError: for a server or further flags without --describe-with, and as in
            `Writer`.
    """
    taken = vars(args)
    model, base_url = taken.pop("describe_with"), taken.pop("base_url")
    more = taken.pop("describe_flags")
    if model is None:
        if base_url or more:
            flag = "--base-url" if base_url else "--describe-flags"
            raise InputError(
                f"{flag} must be given together with --describe-with, the language "
                "model to ask"
            )
        return None
    return Writer(model, base_url, more or "", workdir)


def show_descriptions(writer: Writer | None) -> None:
    """Prints the phrases that a writer has described, and their texts."""
    for phrase, texts in (writer.described if writer else {}).items():
        print(f"{phrase!r}, described by {writer.name if writer else ''}:")
        for text in texts:
            print(f"  {text}")
