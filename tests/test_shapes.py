import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actiongpt_jax.errors import InputError
from actiongpt_jax.shapes import (
    check_shape,
    next_power_of_two,
    round_up,
    stack_padded,
)


def test_check_shape_returns_the_sizes():
    sizes = check_shape("rotations", np.zeros((2, 4, 5, 22, 3)), "... t 22 3")
    assert sizes == {"...": (2, 4), "t": 5}
    assert check_shape("translation", np.zeros((2, 4, 5, 3)), "... t d", sizes) == {
        **sizes,
        "d": 3,
    }
    assert check_shape("lengths", np.zeros((2, 4)), "...", sizes) == sizes
    assert check_shape("matrix", np.zeros((3, 3)), "... 3 3") == {"...": ()}


@pytest.mark.parametrize(
    "shape, axes, words",
    [
        ((4, 5, 21, 3), "... t 22 3", r"\(\.\.\., t, 22, 3\), got \(4, 5, 21, 3\)"),
        ((22, 3), "... t 22 3", r"\(\.\.\., t, 22, 3\), got \(22, 3\)"),
        ((), "... 3", r"\(\.\.\., 3\), got \(\)"),
        ((2, 3), "n", r"\(n,\), got \(2, 3\)"),
        ((2, 3), "n n", r"\(n, n\), got \(2, 3\)"),
        ((0, 3), "n 4", r"\(n, 4\), got \(0, 3\); pad it"),
    ],
)
def test_other_shapes_raise_one_sentence(shape, axes, words):
    with pytest.raises(InputError, match=f"^the array must have shape {words}"):
        check_shape("the array", np.zeros(shape), axes, remedy="pad it")


def test_error_names_the_sizes_of_another_array():
    sizes = check_shape("rotations", np.zeros((2, 5, 22, 3)), "... t 22 3")
    with pytest.raises(InputError, match=r"must have shape \(2, 5, 3\), got \(2, 4, 3"):
        check_shape("translation", np.zeros((2, 4, 3)), "... t 3", sizes)
    with pytest.raises(InputError, match=r"must have shape \(2,\), got \(3,\)$"):
        check_shape("lengths", np.zeros(3), "...", sizes)


def test_traced_arrays_are_checked():
    @jax.jit
    def joints(array):
        return array * check_shape("joints", array, "... 22 3")["..."][0]

    np.testing.assert_array_equal(joints(jnp.ones((5, 22, 3))), np.full((5, 22, 3), 5))
    with pytest.raises(InputError, match="joints must have shape"):
        joints(jnp.ones((5, 21, 3)))


@given(st.integers(1, 10**6), st.integers(1, 512))
def test_sizes_are_rounded_up_to_the_next_multiple(size, multiple):
    rounded = round_up(size, multiple)
    assert rounded % multiple == 0
    assert size <= rounded < size + multiple
    np.testing.assert_array_equal(round_up(np.array([size, 0]), multiple), [rounded, 0])
    power = next_power_of_two(size)
    assert power & (power - 1) == 0
    assert size <= power < 2 * size


def test_stack_is_padded_at_the_end():
    arrays = [np.array([[1, 2], [3, 4]]), np.array([[5, 6]])]
    stacked, mask = stack_padded(arrays, 3, rows=3, fill=9, dtype=np.int32)
    first, second = [[1, 2], [3, 4], [9, 9]], [[5, 6], [9, 9], [9, 9]]
    np.testing.assert_array_equal(stacked, [first, second, [[9, 9]] * 3])
    assert stacked.dtype == np.int32
    assert mask.tolist() == [[True, True, False], [True, False, False], [False] * 3]
    stacked, mask = stack_padded(arrays, 3, fill=None)
    np.testing.assert_array_equal(stacked[:, 2], [[3, 4], [5, 6]])
    assert mask.sum(1).tolist() == [2, 1]
    assert stacked.dtype == np.float32


def test_stack_equals_the_published_padding(golden):
    case = golden("motionclip/collate")
    items = [case[f"item{i}"] for i in range(3)]
    motions = [np.moveaxis(x, -1, 0).reshape(x.shape[-1], -1) for x in items]
    stacked, mask = stack_padded(motions, max(map(len, motions)))
    expected = np.moveaxis(case["x"], -1, 1).reshape(*case["mask"].shape, -1)
    np.testing.assert_array_equal(stacked, expected)
    np.testing.assert_array_equal(mask, case["mask"])
    np.testing.assert_array_equal(mask.sum(1), case["lengths"])
