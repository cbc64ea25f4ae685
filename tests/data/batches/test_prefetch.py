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


@pytest.mark.parametrize("depth", [0, 2, 50])
@pytest.mark.parametrize("count", [0, 20])
def test_results_come_in_order(depth, count):
    results = prefetch(lambda step: step**2, range(count), depth)
    assert not workers()  # the thread starts with the first item
    assert list(results) == [step**2 for step in range(count)]
    assert not workers()


def test_loads_in_another_thread_at_most_depth_ahead():
    started, third = [], threading.Event()

    def load(step):
        started.append(threading.current_thread())
        if step == 2:
            third.set()
        return step

    results = prefetch(load, itertools.count(), depth=2)
    for taken in range(20):
        assert next(results) == taken
        assert len(started) <= taken + 3
        assert third.wait(PATIENCE)
    assert threading.current_thread() not in started
    results.close()


def test_an_error_is_raised_at_its_item_and_ends_the_thread():
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


def test_an_error_in_the_steps_ends_the_thread():
    def steps():
        yield 0
        raise KeyError("no more steps")

    with pytest.raises(KeyError, match="no more steps"):
        list(prefetch(str, steps()))
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


def test_deleting_the_results_ends_the_thread():
    results = prefetch(lambda step: step, itertools.count())
    next(results)
    assert workers()
    del results
    gc.collect()
    assert not workers()
