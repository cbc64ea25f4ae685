"""Loading ahead in a thread: order, errors, and the end of the thread."""

import gc
import itertools
import threading

import pytest

from actiongpt_jax.data.batches.prefetch import prefetch

# Seconds after which a test fails that would hang otherwise; nothing is measured.
PATIENCE = 60


def workers():
    return [t for t in threading.enumerate() if t.name.startswith("prefetch")]


@pytest.mark.parametrize("depth", [0, 1, 2, 50])
def test_results_come_in_order(depth):
    assert list(prefetch(lambda step: step**2, range(20), depth)) == [
        i**2 for i in range(20)
    ]
    assert not workers()


def test_no_steps_yield_nothing():
    assert list(prefetch(str, [])) == []


def test_loads_in_another_thread_ahead_of_the_consumer():
    third = threading.Event()

    def load(step):
        if step == 2:
            third.set()
        return step, threading.current_thread()

    results = prefetch(load, range(10), depth=2)
    step, thread = next(results)
    assert step == 0
    assert thread is not threading.current_thread()
    assert third.wait(PATIENCE)
    results.close()


def test_is_never_further_ahead_than_depth():
    started = []
    results = prefetch(started.append, itertools.count(), depth=2)
    for taken in range(1, 20):
        next(results)
        assert len(started) <= taken + 2
    results.close()


def test_an_error_is_raised_at_its_item():
    def load(step):
        if step == 3:
            raise ValueError("item 3 is broken")
        return step

    results = prefetch(load, range(10))
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="item 3 is broken"):
        next(results)
    assert not workers()
    assert list(results) == []


def test_an_error_in_the_steps_is_raised():
    def steps():
        yield 0
        raise KeyError("no more steps")

    with pytest.raises(KeyError, match="no more steps"):
        list(prefetch(lambda step: step, steps()))
    assert not workers()


def test_closing_ends_the_thread_after_the_load_in_progress():
    entered, release = threading.Event(), threading.Event()
    begun, finished = [], []

    def load(step):
        begun.append(step)
        if step:
            entered.set()
            assert release.wait(PATIENCE)
        finished.append(step)
        return step

    results = prefetch(load, itertools.count(), depth=3)
    assert next(results) == 0
    assert entered.wait(PATIENCE)
    (worker,) = workers()
    threading.Timer(0.0, release.set).start()
    results.close()
    assert not worker.is_alive()
    assert begun == finished
    assert len(finished) <= 4
    assert list(results) == []


def test_thread_ends_if_the_consumer_fails_or_is_deleted():
    def consume():
        for step in prefetch(lambda step: step, itertools.count()):
            if step == 5:
                raise RuntimeError("the consumer failed")

    with pytest.raises(RuntimeError, match="the consumer failed"):
        consume()
    gc.collect()
    assert not workers()

    results = prefetch(lambda step: step, itertools.count())
    next(results)
    assert workers()
    del results
    gc.collect()
    assert not workers()


def test_unused_generator_starts_no_thread():
    results = prefetch(lambda step: step, range(3))
    assert not workers()
    del results
