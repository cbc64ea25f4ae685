"""Differences between a checkpoint's run and the one that continues it."""

import pytest

from actiongpt_jax.config import load_config
from actiongpt_jax.data.motion_store import open_store
from actiongpt_jax.training.inputs import open_inputs
from actiongpt_jax.training.resume import check_same_run


def config_with(section, path="runs/store", **fields):
    config = load_config("temos:debug").copy_and_resolve_references()
    config[section].update({"store": path, **fields})
    return config


@pytest.mark.parametrize("section", ["data", "text"])
def test_a_store_replaced_under_the_same_path_is_said(section):
    saved = config_with(section, store_hash="a")
    same = config_with(section, store_hash="a")
    assert check_same_run(same, saved, "runs/x") == []
    other = config_with(section, store_hash="b")
    (note,) = check_same_run(other, saved, "runs/x")
    assert note == "runs/store has been replaced by another store"
    moved = config_with(section, "runs/moved", store_hash="b")
    (note,) = check_same_run(moved, saved, "runs/x")
    assert note.startswith(f"{section}.store was 'runs/store'")


@pytest.mark.parametrize(("then", "now"), [(None, "a"), ("a", None)])
def test_runs_and_stores_of_earlier_versions_have_no_hash(then, now):
    saved, config = (config_with("text", store_hash=h) for h in (then, now))
    assert check_same_run(config, saved, "runs/x") == []


def test_a_run_records_the_hashes_of_its_stores(debug_config, stores):
    config = debug_config("temos:debug")
    open_inputs(config)
    assert config.data.store_hash == open_store(stores[0]).meta["inputs"]
    assert len(config.text.store_hash) == 32
