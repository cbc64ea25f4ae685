"""`--shard i/n` is read in the same way for every command."""

import pytest

from actiongpt_jax.errors import InputError
from actiongpt_jax.files.shard import Shard, parse_shard


@pytest.mark.parametrize("number", [1, 3, 4])
def test_shards_are_numbered_from_one(number):
    shard = parse_shard(f"{number}/4")
    assert shard == Shard(number, 4)
    assert shard is not None and (str(shard), shard.name) == (
        f"{number}/4",
        f"part-0000{number}-of-00004",
    )


def test_parse_shard_of_none_is_none():
    assert parse_shard(None) is None


@pytest.mark.parametrize(
    "spec", ["", "1", "5/4", "0/4", "0/0", "-1/4", "1/4/2", "a/b", "1.0/4", "²/4"]
)
def test_invalid_shards_are_rejected(spec):
    with pytest.raises(InputError, match="--shard must be i/n with i from 1 to n"):
        parse_shard(spec)
