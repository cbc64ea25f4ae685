"""The local page's server: a few routes, each request checked before it is read."""

import http.server
import importlib.resources
import json
import re
import socket
import sys
import urllib.parse
from typing import Any

from actiongpt_jax.errors import InputError
from actiongpt_jax.viewing.app.queue import DOWNLOADS, BusyError, Studio
from actiongpt_jax.viewing.app.requests import parse_order
from actiongpt_jax.viewing.webpage import script_hash

MOST_BYTES = 256_000  # of a request's body
_RESULT = re.compile(r"/result/([\w-]{12})(?:/(\d{1,3})\.([a-z0-9.]{3,9}))?")
_TYPES = {
    "glb": "model/gltf-binary",
    "json": "application/json",
    "html": "text/html; charset=utf-8",
    "gif": "image/gif",
    "mp4": "video/mp4",
    "png": "image/png",
}


class Server(http.server.ThreadingHTTPServer):
    """Serves one studio on one address."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, studio: Studio, host: str = "127.0.0.1", port: int = 0):
        """Binds the address.

        Args:
            studio: what generates.
            host: address to listen on; nothing is answered under another name, but
                for localhost where that is it.
            port: 0 for a free one.

        Raises:
            InputError: if the address cannot be had.
        """
        self.studio = studio
        if ":" in host:
            self.address_family = socket.AF_INET6
        try:
            super().__init__((host, port), _Handler)
        except (OSError, OverflowError) as error:
            raise InputError(
                f"--host and --port must be an address of this machine that is free, "
                f"got {host} and {port}: {error}; choose another --port"
            ) from error
        name = f"[{host}]" if ":" in host else host
        names = {name, "localhost"} if host in ("127.0.0.1", "::1") else {name}
        self.names = {f"{name}:{self.server_port}" for name in names}
        self.url = f"http://{name}:{self.server_port}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing of browsers that leave before they have their answer."""
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
    timeout = 60  # seconds that a request may take to arrive

    def do_GET(self) -> None:  # noqa: N802, D102
        self._answer(self._get)

    def do_POST(self) -> None:  # noqa: N802, D102
        self._answer(self._post)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, D102
        pass  # phrases are the user's own

    def _answer(self, route) -> None:
        try:
            self._check()
            status, kind, content, extra = route(urllib.parse.urlsplit(self.path))
        except _Refused as error:
            self.close_connection = True  # its body was not read
            status, kind, content, extra = _as_json(error.status, str(error))
        except InputError as error:
            status, kind, content, extra = _as_json(400, str(error))
        except BusyError as error:
            status, kind, content, extra = _as_json(503, str(error))
        self.send_response(status)
        headers = {
            "Content-Type": kind,
            "Content-Length": str(len(content)),
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Resource-Policy": "same-origin",
            **extra,
        }
        for name, value in headers.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)

    def _check(self) -> None:
        # Another site's page may send requests here, under its own name or ours.
        names = self.server.names
        host, origin = self.headers.get("Host"), self.headers.get("Origin")
        if host not in names:
            raise _Refused(403, f"the host must be one of {', '.join(sorted(names))}")
        if origin is not None and origin != f"http://{host}":
            raise _Refused(403, "requests of pages from elsewhere are refused")
        if self.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
            raise _Refused(403, "requests of pages from elsewhere are refused")

    def _get(self, url: urllib.parse.SplitResult):
        studio = self.server.studio
        if url.path == "/":
            return _app_page()
        if url.path == "/about":
            return _as_json(200, studio.about())
        if url.path == "/descriptions":
            phrase = urllib.parse.parse_qs(url.query).get("phrase", [""])[0]
            return _as_json(200, studio.descriptions(phrase))
        match = _RESULT.fullmatch(url.path)
        if match and match[2] is None:
            content = studio.page(match[1])
            if content is not None:
                kept = {"Content-Security-Policy": "frame-ancestors 'self'"}
                return 200, _TYPES["html"], content.encode(), kept
        elif match and match[3] in DOWNLOADS:
            content = studio.download(match[1], int(match[2]), match[3])
            if content is not None:
                kind = _TYPES.get(match[3], "application/octet-stream")
                name = f'attachment; filename="motion_{match[2]}.{match[3]}"'
                return 200, kind, content, {"Content-Disposition": name}
        raise _Refused(404, "there is nothing here, or it was forgotten since")

    def _post(self, url: urllib.parse.SplitResult):
        if url.path != "/generate":
            raise _Refused(404, "there is nothing here; orders go to /generate")
        kind = self.headers.get("Content-Type", "").partition(";")[0].strip()
        if kind != "application/json":
            raise _Refused(415, "an order must be sent as application/json")
        length = self.headers.get("Content-Length", "")
        if "Transfer-Encoding" in self.headers or not length.isdecimal():
            raise _Refused(411, "an order must be sent with its Content-Length")
        if len(length) > 12 or int(length) > MOST_BYTES:
            raise _Refused(413, f"an order must have at most {MOST_BYTES} bytes")
        body = self.rfile.read(int(length))
        try:
            content = json.loads(body.decode("utf-8"))
        except (ValueError, RecursionError) as error:
            raise InputError("an order must be JSON in UTF-8") from error
        name, result = self.server.studio.generate(parse_order(content))
        return _as_json(
            200,
            {
                "result": name,
                "motions": [
                    {"text": list(m.text), "title": t, "frames": len(m.rotations)}
                    for m, t in zip(result.motions, result.titles, strict=True)
                ],
                "downloads": DOWNLOADS,
                "notes": result.notes,
            },
        )


def _as_json(status: int, content: Any):
    if isinstance(content, str):
        content = {"error": content}
    return status, "application/json", json.dumps(content).encode(), {}


def _app_page():
    folder = importlib.resources.files("actiongpt_jax.viewing.app")
    script = folder.joinpath("app.js").read_text("utf-8")
    page = folder.joinpath("app.html").read_text("utf-8")
    page = page.replace("/*script*/", script)
    policy = (
        "default-src 'none'; style-src 'unsafe-inline'; connect-src 'self'; "
        f"frame-src 'self'; frame-ancestors 'none'; script-src '{script_hash(script)}'"
    )
    headers = {"Content-Security-Policy": policy}
    return 200, _TYPES["html"], page.encode(), headers
