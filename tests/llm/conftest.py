"""Fixtures: a fake OpenAI server, and its key in the environment."""

import pytest

from tests.fake_openai import KEY, start


@pytest.fixture(scope="module")
def server():
    with start() as running:
        yield running


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
