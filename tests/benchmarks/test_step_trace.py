"""Where the time of a traced step went."""

import jax
import jax.numpy as jnp
import pytest


@pytest.fixture(scope="module")
def step_trace(scripts):
    return scripts("step_trace")


def test_time_of_a_traced_program_is_divided_among_its_parts(step_trace, tmp_path):
    @jax.jit
    def step(x):
        with jax.named_scope("layer_0/self_attn"):
            x = jnp.einsum("mk,nk->mn", x, x)
        with jax.named_scope("layer_0/norm1"):
            x = x / jnp.sqrt(jnp.sum(x * x))
        with jax.named_scope("layer_0/ff/linear1"):
            x = x @ x
        with jax.named_scope("optimizer"):
            return jnp.sin(x)

    x = jax.random.normal(jax.random.key(0), (300, 300))
    compiled = step.lower(x).compile()
    jax.block_until_ready(compiled(x))
    with jax.profiler.trace(tmp_path):
        for _ in range(2):
            jax.block_until_ready(compiled(x))
    events = step_trace.read_events(tmp_path)
    found = step_trace.breakdown(events, compiled.as_text(), 2)
    assert {"attention", "norms", "dense", "optimizer"} <= found["parts"].keys()
    assert all(0 < row["ms"] <= found["span_ms"] for row in found["largest"])
    assert found["kernels"] >= 4


def test_contained_and_simultaneous_operations_count_once(step_trace):
    milli = 10**6
    program = """
ENTRY %main (x: f32[2]) -> f32[2] {
  %while.1 = f32[2] while(%x), metadata={op_name="jit(f)/add"}
  %dot.2 = f32[2] dot(%x, %x), metadata={op_name="jit(f)/ff/linear1/dot_general"}
  ROOT %add.3 = f32[2] add(%x, %x), metadata={op_name="jit(f)/norm1/add"}
}
"""
    events = [
        step_trace.Event("while.1", "one", 0 * milli, 10 * milli),
        step_trace.Event("dot.2", "one", 2 * milli, 6 * milli),
        step_trace.Event("add_3", "two", 8 * milli, 14 * milli),
        step_trace.Event("MemcpyH2D", "two", 18 * milli, 20 * milli),
        step_trace.Event("kernel", "two", 20 * milli, 21 * milli),
    ]
    found = step_trace.breakdown(events, program, 2)
    assert found["parts"] == {
        "other": 3.0,
        "norms": 3.0,
        "dense": 2.0,
        "input": 1.0,
        "unnamed": 0.5,
    }
    assert (found["span_ms"], found["gaps_ms"], found["kernels"]) == (10.5, 2.0, 2)


def test_folder_without_a_trace_is_named(step_trace, tmp_path):
    with pytest.raises(FileNotFoundError, match="no trace"):
        step_trace.read_events(tmp_path)
