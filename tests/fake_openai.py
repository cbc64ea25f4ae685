"""A fake server that speaks OpenAI's wire format and fails according to a plan.

It runs in its own process: `python tests/fake_openai.py` prints its port. The plan
(POST /_plan) says which calls fail and how; GET /_state returns the calls and answers
so far. With `events` in the plan it prints a line whenever a call begins or ends.
"""

import collections
import contextlib
import dataclasses
import email.parser
import email.policy
import http.server
import json
import multiprocessing.connection
import os
import pathlib
import random
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.request
from typing import Any

CALLS = ("/v1/chat/completions", "/v1/completions", "/v1/responses")
KEY = "sk-test-0123456789abcdefKEY"
MODEL = "writer-1"
PLAN: dict[str, Any] = {
    "rate": 0.0,  # fraction of calls that fail, in one of the ways in `kinds`
    "kinds": [],
    "script": [],  # outcome of each of the next calls; "ok" for success
    "seed": 0,
    "refuses": {},  # parameter -> body of the error response with status 400
    "ignores_n": False,
    "models": {MODEL: None},  # name -> shutdown date
    "completion_tokens": 20,  # tokens that each text counts
    "delay": 0.0,  # duration of a call, in seconds
    "events": False,
    "answered": 1.0,  # fraction of a batch that is answered
    "batch_status": "completed",
    "batch_noise": [],  # further lines of a batch's answers, as latin-1 text
    "texts": None,  # texts to answer, instead of numbered sentences
    "raw": [],  # [status, body, headers] of the outcomes "raw:0", "raw:1" and so on
    "limit": None,  # [calls, seconds]: more calls in a window of time get status 429
    "no_model_pages": False,  # there is no GET /models/{id}
    "any_key": False,
    "no_list": False,  # there is no GET /models either
}


class World:
    """The state of the server."""

    def __init__(self):
        self.lock = threading.Lock()
        self.reset({})

    def reset(self, plan):
        self.plan = {**PLAN, **plan}
        self.random = random.Random(self.plan["seed"])
        self.script = collections.deque(self.plan["script"])
        self.calls: list[dict[str, Any]] = []
        self.sent: list[str] = []
        self.running = self.most_running = self.serial = 0
        self.headers: list[str] = []
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, dict[str, Any]] = {}
        self.wait = threading.Event()
        self.window, self.in_window = 0.0, 0

    def wait_for_limit(self) -> float:
        """Counts a call; returns the seconds until it may come, 0 if it may now."""
        if not self.plan["limit"]:
            return 0.0
        most, seconds = self.plan["limit"]
        now = time.monotonic()
        if now >= self.window:
            self.window, self.in_window = now + seconds, 0
        self.in_window += 1
        return 0.0 if self.in_window <= most else self.window - now

    def outcome(self) -> str:
        if self.script:
            return self.script.popleft()
        if self.random.random() < self.plan["rate"]:
            return self.random.choice(self.plan["kinds"])
        return "ok"

    def text(self) -> str:
        self.serial += 1
        texts = self.plan["texts"]
        if texts:
            return texts[(self.serial - 1) % len(texts)]
        return (
            f"The person lifts the left knee, bends\nit and lowers the foot, then turns"
            f" to the right side {self.serial} times."
        )


WORLD = World()


def prompt_of(path: str, body: dict[str, Any]) -> str:
    if path.endswith("chat/completions"):
        return body["messages"][-1]["content"]
    return body["input"] if path.endswith("responses") else body["prompt"]


def answer(path: str, body: dict[str, Any], texts: list[str]) -> dict[str, Any]:
    asked = len(prompt_of(path, body).split())
    written = WORLD.plan["completion_tokens"] * len(texts)
    head = {"id": f"call-{WORLD.serial}", "model": f"{body['model']}-2026-10-01"}
    if path.endswith("responses"):
        content = [{"type": "output_text", "text": texts[0], "annotations": []}]
        return head | {
            "object": "response",
            "status": "completed",
            "output": [
                {"type": "reasoning", "summary": []},
                {"type": "message", "role": "assistant", "content": content},
            ],
            "usage": {"input_tokens": asked, "output_tokens": written},
        }
    head |= {
        "system_fingerprint": "fp_1",
        "usage": {"prompt_tokens": asked, "completion_tokens": written},
    }
    choices = []
    for index, text in enumerate(texts):
        chat = path.endswith("chat/completions")
        said = {"message": {"role": "assistant", "content": text}}
        choices.append(
            {"index": index, "finish_reason": "stop"}
            | (said if chat else {"text": text})
        )
    return head | {"object": "chat.completion", "choices": choices}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60

    def log_message(self, *args):
        pass

    def reply(self, status: int, document: Any, **headers: str) -> None:
        raw = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(raw)

    def fail(self, status: int, message: str, code=None, param=None, **headers):
        error = {"message": message, "type": "error", "code": code, "param": param}
        self.reply(status, {"error": error}, **headers)

    def read_body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def do_GET(self):
        if self.path == "/_state":
            with WORLD.lock:
                names = ("calls", "sent", "most_running", "headers", "batches")
                self.reply(200, {name: getattr(WORLD, name) for name in names})
            return
        path = self.path.partition("?")[0]
        parts = path.strip("/").split("/")[1:]
        models = WORLD.plan["models"]
        if not self.authorized():
            return
        if parts[0] == "models" and WORLD.plan["no_model_pages"] and parts[1:]:
            self.reply(404, {"error": {"message": "File Not Found", "code": 404}})
        elif parts == ["models"] and WORLD.plan["no_list"]:
            self.reply(404, b"404 page not found")
        elif parts == ["models"]:
            self.reply(200, {"object": "list", "data": [*map(model, models)]})
        elif parts[0] == "models":
            name = "/".join(parts[1:])
            if name in models:
                self.reply(200, model(name))
            else:
                self.no_model(name)
        elif parts == ["batches"]:
            data = [*WORLD.batches.values()]
            self.reply(200, {"object": "list", "data": data, "has_more": False})
        elif parts[0] == "batches":
            self.reply(200, finish(WORLD.batches[parts[1]]))
        else:
            self.reply(200, WORLD.files[parts[1]])

    def do_POST(self):
        raw = self.read_body()
        if self.path == "/_plan":
            with WORLD.lock:
                WORLD.reset(json.loads(raw))
            self.reply(200, {})
        elif self.path == "/_plan_again":
            WORLD.plan |= json.loads(raw)
            self.reply(200, {})
        elif self.authorized():
            if self.path == "/v1/files":
                self.take_file(raw)
            elif self.path == "/v1/batches":
                self.take_batch(json.loads(raw))
            elif self.path in CALLS:
                self.take_call(json.loads(raw))
            else:
                self.reply(404, b"404 page not found")

    def authorized(self) -> bool:
        sent = self.headers.get("Authorization", "")
        if sent == f"Bearer {KEY}" or WORLD.plan["any_key"]:
            return True
        # The worst case: the message contains the whole key.
        self.fail(401, f"Incorrect API key provided: {sent}", "invalid_api_key")
        return False

    def no_model(self, name: str):
        said = f"The model `{name}` has been deprecated, or does not exist"
        self.fail(404, said, "model_not_found")

    def take_call(self, body: dict[str, Any]) -> None:
        plan = WORLD.plan
        with WORLD.lock:
            WORLD.running += 1
            WORLD.most_running = max(WORLD.most_running, WORLD.running)
            wait = WORLD.wait_for_limit()
            outcome = f"429:{wait}" if wait else WORLD.outcome()
            call = {
                "path": self.path,
                "body": body,
                "prompt": prompt_of(self.path, body),
                "outcome": outcome,
            }
            WORLD.calls.append(call)
            if plan["events"]:
                print("begin", flush=True)
        try:
            if plan["delay"]:
                WORLD.wait.wait(plan["delay"])
            self.answer_call(body, outcome)
        except (BrokenPipeError, ConnectionResetError):
            call["outcome"] = "client gone"
            self.close_connection = True
        finally:
            with WORLD.lock:
                WORLD.running -= 1
                if plan["events"]:
                    print("end", flush=True)

    def answer_call(self, body: dict[str, Any], outcome: str) -> None:
        if outcome.startswith("raw:one"):  # refuses several texts in one answer
            outcome = "raw:0" if body.get("n", 1) > 1 else "ok"
        refused = next((name for name in WORLD.plan["refuses"] if name in body), None)
        kind, _, detail = outcome.partition(":")
        if body["model"] not in WORLD.plan["models"]:
            self.no_model(body["model"])
        elif refused is not None:
            self.reply(400, WORLD.plan["refuses"][refused])
        elif kind == "429" and detail == "quota":
            self.fail(429, "You exceeded your current quota", "insufficient_quota")
        elif kind == "429" and detail:
            self.fail(429, "Rate limit reached", "rate_limit", Retry_After=detail)
        elif kind in ("429", "500", "503"):
            self.fail(int(kind), "The server had an error")
        elif kind == "400":
            self.fail(400, "This content is not allowed", "content_policy")
        elif kind == "raw":
            status, said, headers = WORLD.plan["raw"][int(detail)]
            self.reply(status, said.encode(), **headers)
        elif kind == "malformed":
            self.reply(200, b'{"choices": [{"message": {"content": "The per')
        elif kind == "foreign":
            self.reply(200, {"hello": "world"})
        elif kind == "reset":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b'{"choices": [')
            self.wfile.flush()
            # With this option, closing the socket sends a connection reset.
            self.connection.setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
            self.connection.close()
            self.close_connection = True
        elif kind == "hang":
            self.connection.recv(1)  # returns when the client gives up
            self.close_connection = True
        else:
            self.good(body, kind)

    def good(self, body: dict[str, Any], kind: str) -> None:
        n = 1 if WORLD.plan["ignores_n"] else body.get("n", 1)
        if kind == "fewer":
            n = max(1, n - 2)
        with WORLD.lock:
            texts = ["" if kind == "empty" else WORLD.text() for _ in range(n)]
            if kind == "echo":
                texts = [f"{t} {self.headers['Authorization']}" for t in texts]
            document = answer(self.path, body, texts)
        self.reply(200, document)
        with WORLD.lock:
            WORLD.sent += [" ".join(text.split()) for text in texts if text]

    def take_file(self, raw: bytes) -> None:
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        parser = email.parser.BytesParser(policy=email.policy.HTTP)
        for part in parser.parsebytes(head + raw).iter_parts():
            if part.get_filename():
                with WORLD.lock:
                    name = f"file-{len(WORLD.files)}"
                    WORLD.files[name] = bytes(part.get_content())
                self.reply(200, {"id": name, "object": "file", "purpose": "batch"})

    def take_batch(self, body: dict[str, Any]) -> None:
        with WORLD.lock:
            name = f"batch_{len(WORLD.batches)}"
            lines = WORLD.files[body["input_file_id"]].splitlines()
            WORLD.batches[name] = {
                "id": name,
                "object": "batch",
                "status": "in_progress",
                "created_at": 0,
                "request_counts": {"total": len(lines), "completed": 0, "failed": 0},
                **body,
            }
        self.reply(200, WORLD.batches[name])


def model(name: str) -> dict[str, Any]:
    date = WORLD.plan["models"][name]
    return {"id": name, "object": "model", "owned_by": "us", "shutdown_date": date}


def finish(batch: dict[str, Any]) -> dict[str, Any]:
    """Answers a batch if the plan says that it has ended."""
    with WORLD.lock:
        if batch["status"] != "in_progress":
            return batch
        if WORLD.plan["batch_status"] == "in_progress":
            return batch
        batch["status"] = WORLD.plan["batch_status"]
        lines = WORLD.files[batch["input_file_id"]].splitlines()
        count = int(len(lines) * WORLD.plan["answered"])
        out = []
        for line in lines[:count]:
            request = json.loads(line)
            body, path = request["body"], request["url"]
            WORLD.calls.append(
                {"path": path, "body": body, "prompt": prompt_of(path, body)}
            )
            texts = [WORLD.text() for _ in range(body.get("n", 1))]
            WORLD.sent += [" ".join(text.split()) for text in texts]
            response = {"status_code": 200, "body": answer(path, body, texts)}
            out.append(
                {
                    "id": f"line-{WORLD.serial}",
                    "custom_id": request["custom_id"],
                    "response": response,
                    "error": None,
                }
            )
        # The answers of a batch come in another order than its requests.
        WORLD.random.shuffle(out)
        name = f"out-{batch['id']}"
        content = "".join(json.dumps(row) + "\n" for row in out).encode()
        noise = "".join(f"{line}\n" for line in WORLD.plan["batch_noise"])
        WORLD.files[name] = noise.encode("latin-1") + content
        batch["output_file_id"] = name
        batch["request_counts"]["completed"] = count
        return batch


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        pass  # tests kill clients, so broken connections are expected


@dataclasses.dataclass
class Fake:
    """A test's handle on the server: its address, plan and state."""

    process: subprocess.Popen[bytes]
    port: int = 0
    unread: bytes = b""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def plan(self, **plan: Any) -> None:
        self._call("/_plan", json.dumps(plan).encode())
        self.forget_events()

    def plan_again(self, **plan: Any) -> None:
        """Changes fields of the plan and keeps the state."""
        self._call("/_plan_again", json.dumps(plan).encode())

    def state(self) -> dict[str, Any]:
        return self._call("/_state")

    @property
    def calls(self) -> list[dict[str, Any]]:
        return self.state()["calls"]

    @property
    def _events(self) -> int:
        assert self.process.stdout is not None
        return self.process.stdout.fileno()

    def next_event(self, *others: Any) -> bytes:
        """Waits for a line of the server; returns b"" if one of `others` is ready."""
        while b"\n" not in self.unread:
            ready = multiprocessing.connection.wait([self._events, *others])
            if self._events not in ready:
                return b""
            self.unread += os.read(self._events, 1 << 16)
        line, _, self.unread = self.unread.partition(b"\n")
        return line

    def forget_events(self) -> None:
        """Discards the lines that have been printed so far."""
        while multiprocessing.connection.wait([self._events], 0):
            os.read(self._events, 1 << 16)
        self.unread = b""

    def _call(self, path: str, body: bytes | None = None) -> Any:
        # A proxy in the environment must not come between a test and its server.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://127.0.0.1:{self.port}{path}", body, 30) as response:
            return json.loads(response.read())


@contextlib.contextmanager
def start():
    """Runs the server in its own process."""
    process = subprocess.Popen(
        [sys.executable, str(pathlib.Path(__file__))],
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
    )
    fake = Fake(process)
    try:
        fake.port = int(fake.next_event())
        yield fake
    finally:
        process.kill()
        process.wait()


def main() -> None:
    server = Server(("127.0.0.1", 0), Handler)
    print(server.server_address[1], flush=True)

    def end_with_parent():
        sys.stdin.read()
        server.shutdown()

    threading.Thread(target=end_with_parent, daemon=True).start()
    server.serve_forever()


if __name__ == "__main__":
    main()
