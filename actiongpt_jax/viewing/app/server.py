"""HTTP server of the local page; it checks each request before it reads the body."""

import http.server
import json
import mimetypes
import re
import selectors
import socket
import sys
import urllib.parse
from collections.abc import Callable
from typing import Any

from actiongpt_jax.errors import InputError, sentence_of
from actiongpt_jax.files.reading import parse_json
from actiongpt_jax.viewing.app.queue import GenerationQueue
from actiongpt_jax.viewing.app.requests import parse_request
from actiongpt_jax.viewing.app.worker import BusyError
from actiongpt_jax.viewing.webpage import content_policy, read_resource

MAX_BYTES = 256_000  # largest body of a request
_RESULT = re.compile(r"/result/([\w-]{12})(?:/(\d{1,3})\.([a-z0-9.]{3,9}))?")
_HTML = "text/html; charset=utf-8"
_TYPES = mimetypes.MimeTypes()
_TYPES.add_type("model/gltf-binary", ".glb")
_TYPES.add_type(_HTML, ".html")
# A response's content type, its body, and further headers.
_Answer = tuple[str, bytes, dict[str, str]]


class Server(http.server.ThreadingHTTPServer):
    """Serves the page of one generation queue on one address."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, queue: GenerationQueue, host: str = "127.0.0.1", port: int = 0):
        """Binds the server to its address.

        Args:
            queue: the queue that generates the requested motions.
            host: address to listen on. Requests whose Host header names anything else
                are refused, except localhost for a loopback address.
            port: port to listen on; 0 picks a free one.

        Raises:
            InputError: if the address is not available.
        """
        self.queue = queue
        if ":" in host:
            self.address_family = socket.AF_INET6
        try:
            super().__init__((host, port), _Handler)
        except (OSError, OverflowError) as error:
            raise InputError(
                f"--host and --port must name a free address of this machine, got "
                f"{host} and {port}: {error}; choose another --port"
            ) from error
        name = f"[{host}]" if ":" in host else host
        names = {name, "localhost"} if host in ("127.0.0.1", "::1") else {name}
        self.names = {f"{name}:{self.server_port}" for name in names}
        self.url = f"http://{name}:{self.server_port}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignores browsers that disconnect before they get their response."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Refused(Exception):
    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status = status


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "actiongpt_jax", ""
    timeout = 60  # seconds within which a request must arrive

    def do_GET(self) -> None:  # noqa: N802, D102
        self._answer(self._get)

    do_HEAD = do_GET  # noqa: N815

    def do_POST(self) -> None:  # noqa: N802, D102
        self._answer(self._post)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, D102
        pass  # the user's phrases are private and are not logged

    def _answer(self, route: Callable[[urllib.parse.SplitResult], _Answer]) -> None:
        try:
            self._check_origin()
            status, answer = 200, route(urllib.parse.urlsplit(self.path))
        except (_Refused, BusyError, InputError) as error:
            if isinstance(error, _Refused):
                self.close_connection = True  # the request's body was not read
            status, answer = getattr(error, "status", 400), _json({"error": str(error)})
        except OSError as error:
            if not error.filename:  # the connection failed
                raise
            status, answer = 500, _json({"error": sentence_of(error)})
        kind, content, more = answer
        headers = {
            "Content-Type": kind,
            "Content-Length": str(len(content)),
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Resource-Policy": "same-origin",
            **more,
        }
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _check_origin(self) -> None:
        # A page of another web site may send requests here, under its own host name
        # or under ours.
        names = self.server.names
        host = self.headers.get("Host")
        if host not in names:
            raise _Refused(
                403,
                f"the host must be one of {', '.join(sorted(names))}, got {host!r:.80}",
            )
        origin = self.headers.get("Origin", f"http://{host}")
        site = self.headers.get("Sec-Fetch-Site", "none")
        if origin != f"http://{host}" or site not in ("none", "same-origin"):
            raise _Refused(403, "requests from pages of other web sites are refused")

    def _get(self, url: urllib.parse.SplitResult) -> _Answer:
        queue = self.server.queue
        if url.path == "/":
            return _app_page()
        if url.path == "/about":
            return _json(queue.about())
        if url.path == "/status":
            return _json(queue.status())
        if url.path == "/descriptions":
            phrase = urllib.parse.parse_qs(url.query).get("phrase", [""])[0]
            return _json(queue.descriptions(phrase))
        match = _RESULT.fullmatch(url.path)
        name, number, ending = match.groups() if match else ("", None, "")
        if number is None and (page := queue.page(name)):
            headers = {"Content-Security-Policy": "frame-ancestors 'self'"}
            return _HTML, page.encode(), headers
        if number is not None and (file := queue.download(name, int(number), ending)):
            kind, _ = _TYPES.guess_type(f"motion.{ending}")
            place = f'attachment; filename="motion_{number}.{ending}"'
            headers = {"Content-Disposition": place}
            return kind or "application/octet-stream", file, headers
        raise _Refused(
            404, "not found: the address is wrong, or the result is no longer stored"
        )

    def _post(self, url: urllib.parse.SplitResult) -> _Answer:
        if url.path != "/generate":
            raise _Refused(404, "not found; send requests to /generate")
        if self.headers.get_content_type() != "application/json":
            raise _Refused(415, "a request must be sent as application/json")
        length = self.headers.get("Content-Length", "")
        if "Transfer-Encoding" in self.headers or not length.isdecimal():
            raise _Refused(411, "a request must be sent with its Content-Length")
        if len(length) > 12 or int(length) > MAX_BYTES:
            raise _Refused(
                413, f"a request must have at most {MAX_BYTES} bytes, got {length[:12]}"
            )
        body = self.rfile.read(int(length))
        request = parse_request(parse_json(body, "a request", "send it again"))
        return _json(self.server.queue.generate(request, self._client_waits))

    def _client_waits(self) -> bool:
        """Returns whether the client still waits for its response."""
        with selectors.DefaultSelector() as selector:
            selector.register(self.connection, selectors.EVENT_READ)
            # A closed connection can be read, and has nothing to read.
            return (
                not selector.select(0)
                or self.connection.recv(1, socket.MSG_PEEK) != b""
            )


def _json(content: Any) -> _Answer:
    return "application/json", json.dumps(content).encode(), {}


def _app_page() -> _Answer:
    page, script = (
        read_resource("actiongpt_jax.viewing.app", f"app.{kind}")
        for kind in ("html", "js")
    )
    policy = content_policy(
        script, "; connect-src 'self'; frame-src 'self'; frame-ancestors 'none'"
    )
    page = page.replace("/*script*/", script)
    return _HTML, page.encode(), {"Content-Security-Policy": policy}
