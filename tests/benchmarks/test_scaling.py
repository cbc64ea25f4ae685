"""What a training step sends between devices, and the time computed from it."""

import pytest


@pytest.fixture(scope="module")
def scaling(scripts):
    return scripts("scaling")


def test_messages_are_counted_by_kind_and_type(scaling):
    program = """
  %a = f32[2,3]{1,0} parameter(0), metadata={op_name="all-reduce(x)"}
  %all-reduce.1 = (f32[], f32[4,2]{1,0}, /*index=2*/bf16[3]{0}) all-reduce(%a, %b, %c)
  %sum = s32[] all-reduce-start(%d), channel_id=1
  %done = s32[] all-reduce-done(%sum)
  ROOT %g = f8e4m3fn[8,2]{1,0} all-gather(%e), dimensions={0}
"""
    assert scaling.messages(program) == [
        {"kind": "all-reduce", "arrays": 3, "bytes": {"f32": 36, "bf16": 6}},
        {"kind": "all-reduce", "arrays": 1, "bytes": {"s32": 4}},
        {"kind": "all-gather", "arrays": 1, "bytes": {"f8e4m3fn": 16}},
    ]


@pytest.mark.soak  # compiles a step in three processes
def test_step_sends_gradients_in_float32_and_a_few_scalars(scaling):
    one, two = (
        scaling.communication("temos", "bfloat16", 4, processes, small=True)
        for processes in (1, 2)
    )
    assert one["messages"] == two["messages"]
    assert {message["kind"] for message in one["messages"]} == {"all-reduce"}
    # The loss, its terms and their counts.
    assert one["bytes"] == {"f32": 4 * (one["parameters"] + one["scalars"])}
    assert 2 <= one["scalars"] < 20


def test_step_time_is_compute_exchange_and_update(scaling):
    # 8 s of compute and 40 bytes over a link of 10 bytes/s; updates take 28 * 5 / 70.
    alone = scaling.step_seconds(8.0, 40, 5, 1, 10.0, 70.0)
    assert alone == (10.0, 10.0)
    # Each of 4 devices sends and receives 2 * 3 / 4 of the bytes, 6 s.
    step, overlapped = scaling.step_seconds(8.0, 40, 5, 4, 10.0, 70.0)
    assert step == pytest.approx(2 + 6 + 2)
    assert overlapped == pytest.approx(2 / 3 + 6 + 2)
    # An exchange that is shorter than the backward pass costs nothing.
    assert scaling.step_seconds(30.0, 4, 5, 2, 10.0, 70.0)[1] == 15.0 + 2
