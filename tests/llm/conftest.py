"""A server that plays OpenAI's, and a key for it."""

import pytest

from tests.fake_openai import KEY, start


@pytest.fixture(scope="module")
def server():
    with start() as running:
        yield running


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
