"""The steps of `describe --mode batch`: submit, status, collect."""

from actiongpt_jax.errors import InputError, JobIncompleteError
from actiongpt_jax.files.shard import Shard
from actiongpt_jax.llm.batch_state import BatchState
from actiongpt_jax.llm.budget import Budget, find_price, read_prices
from actiongpt_jax.llm.cache import DescriptionCache
from actiongpt_jax.llm.job import Job, list_failures
from actiongpt_jax.llm.openai_batch import Batches


def submit(job: Job, cache: DescriptionCache, budget: Budget, timeout: float) -> None:
    """Submits what a job lacks.

    Args:
        job: what is wanted; gaps only.
        cache: opened to write.
        budget: whose limit the whole must keep, at the price of a batch.
        timeout: seconds for one call.

    Raises:
        InputError: for anything the user must change.
    """
    if job.redo:
        raise InputError("--redo works online only; leave --mode batch out")
    gaps, _ = job.plan(cache)
    request = job.request
    if budget.price is not None and budget.limit is not None:
        most = sum(budget.most(request, p, len(i)) for p, i in gaps.items())
        most *= budget.price.batch
        if most > budget.limit:
            raise InputError(
                f"the batch may cost up to ${most:.4f}, beyond --max-cost"
                f" {budget.limit:g}; ask for fewer with --limit, or set --max-tokens"
            )
    Batches(cache, timeout).submit(request, gaps)


def show_status(out: str, shard: Shard | None, timeout: float) -> None:
    """Prints how far the batches of a cache are."""
    with DescriptionCache(out, shard, writable=False) as cache:
        Batches(cache, timeout).status()


def collect(
    out: str, shard: Shard | None, timeout: float, prices: str | None = None
) -> None:
    """Takes what has come into the cache, and prints it.

    Raises:
        JobIncompleteError: if batches are still under way, or texts did not come.
    """
    with DescriptionCache(out, shard) as cache:
        before = len(cache.keys)
        batches = Batches(cache, timeout)
        models = {part.request["model"] for part in batches.state.parts}
        model = models.pop() if len(models) == 1 else ""
        budget = Budget(find_price(read_prices(prices), model))
        failures = batches.collect(budget)
        cost = "" if budget.price is None else f", ${budget.spent:.4f}"
        print(
            f"{cache.file}: {len(cache.keys) - before} descriptions collected,"
            f" {budget.input_tokens} + {budget.output_tokens} tokens{cost}"
        )
        list_failures(failures)
        if batches.under_way:
            raise JobIncompleteError(
                f"{batches.under_way} batches are under way: run collect again later"
            )
        if failures:
            raise JobIncompleteError(
                f"{len(failures)} phrases have gaps: run submit again to ask for them"
            )


def refuse_while_pending(cache: DescriptionCache) -> None:
    """Raises InputError if batches are under way: asking besides would pay twice."""
    state = BatchState(cache.file)
    if any(not part.done for part in state.parts):
        raise InputError(
            f"batches of this cache are under way ({state.folder}): run"
            " `--mode batch collect` first, or move that folder away to give them up"
        )
