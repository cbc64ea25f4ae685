"""The steps of `describe --mode batch`: submit, status, collect."""

from actiongpt_jax.errors import InputError, JobIncompleteError
from actiongpt_jax.files.shard import Shard
from actiongpt_jax.llm.batch_state import BatchState
from actiongpt_jax.llm.budget import Budget, find_price, read_prices
from actiongpt_jax.llm.cache import DescriptionCache
from actiongpt_jax.llm.job import Job, list_failures
from actiongpt_jax.llm.openai_batch import Batches


def submit(job: Job, cache: DescriptionCache, budget: Budget, timeout: float) -> None:
    """Submits a batch for the descriptions that a job's cache lacks.

    Args:
        job: the job; only missing texts can be submitted, `redo` must be empty.
        cache: the job's cache, opened for writing.
        budget: price and limit; the whole batch must cost no more than the limit.
        timeout: time limit of one call, in seconds.

    Raises:
        InputError: for anything the user must change.
    """
    if job.redo:
        raise InputError("--redo works only with --mode online; leave out --mode batch")
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
    """Prints the progress of a cache's batches."""
    with DescriptionCache(out, shard, writable=False) as cache:
        Batches(cache, timeout).status()


def collect(
    out: str, shard: Shard | None, timeout: float, prices: str | None = None
) -> None:
    """Writes the answers that have arrived into the cache and prints a summary.

    Raises:
        JobIncompleteError: if batches are still in progress, or texts are missing.
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
        if batches.num_in_progress:
            raise JobIncompleteError(
                f"{batches.num_in_progress} batches are still in progress: run"
                " collect again later"
            )
        if failures:
            raise JobIncompleteError(
                f"{len(failures)} phrases lack descriptions: run submit again to ask"
                " for them"
            )


def refuse_while_pending(cache: DescriptionCache) -> None:
    """Raises InputError if batches are in progress: asking now would pay twice."""
    state = BatchState(cache.file)
    if any(not part.done for part in state.parts):
        raise InputError(
            f"batches of this cache are in progress ({state.folder}): run"
            " `--mode batch collect` first, or move that folder away to abandon them"
        )
