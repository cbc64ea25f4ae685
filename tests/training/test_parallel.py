"""Joining the processes of a run: the checks before jax is called."""

import os
import socket
import subprocess
import sys

import pytest

from actiongpt_jax.errors import InputError
from actiongpt_jax.training import parallel


def message_of(*arguments) -> str:
    with pytest.raises(InputError) as caught:
        parallel.initialize(*arguments)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    "address",
    ["foo", "foo:bar", "foo:", ":1234", "foo:0", "foo:65536", "foo:-1", "a:1:b", ""],
)
def test_malformed_coordinators_are_rejected(address):
    message = message_of(address, 2, 0)
    assert "HOST:PORT" in message
    assert repr(address) in message


@pytest.mark.parametrize(("count", "index"), [(2, 2), (2, -1), (0, 0)])
def test_process_id_out_of_range_is_rejected(count, index):
    message = message_of("127.0.0.1:45671", count, index)
    assert f"--process_id {index}" in message
    assert f"--num_processes {count}" in message


def test_incomplete_process_flags_are_rejected():
    assert "--coordinator" in message_of(None, 2, None)
    assert "--num_processes" in message_of("127.0.0.1:45671", None, 0)


def test_unknown_host_is_named():
    # The label is longer than host names may be, so no name server is asked.
    assert "no machine is called" in message_of("x" * 64 + ":45671", 2, 1)


def test_port_in_use_is_named():
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        message = message_of(f"127.0.0.1:{port}", 2, 0)
    assert f"port {port}" in message


def test_coordinator_that_does_not_answer_is_named():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    message = message_of(f"127.0.0.1:{port}", 2, 1, 0)
    assert f"127.0.0.1:{port} did not answer" in message


PROGRAM = """
import sys
from actiongpt_jax import cli
from actiongpt_jax.errors import InputError
from actiongpt_jax.training import parallel

def fail():
    raise InputError("the disk is full")

def main(argv):
    parallel.initialize(argv[0], 2, int(argv[1]))
    parallel.run_on_first(lambda: None, "nothing")
    parallel.run_on_first(fail, "the built-in data")

cli.run(main)
"""


@pytest.mark.slow
def test_failure_of_process_0_ends_the_others():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, address, str(i)],
            env={**os.environ, "JAX_PLATFORMS": "cpu"},
            stderr=subprocess.PIPE,
            text=True,
        )
        for i in range(2)
    ]
    errors = [process.communicate(timeout=600)[1] for process in processes]
    assert [process.returncode for process in processes] == [2, 2], errors
    assert "error: the disk is full" in errors[0]
    assert "error: process 0 could not make the built-in data" in errors[1]
    assert not any("Traceback" in error for error in errors)
