"""A Hugging Face hub on loopback that serves the files of folders."""

import contextlib
import hashlib
import http.server
import json
import pathlib
import threading
import urllib.parse
from collections.abc import Iterator, Mapping

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@contextlib.contextmanager
def serve(repositories: Mapping[str, pathlib.Path]) -> Iterator[tuple[str, list[str]]]:
    """Serves repositories whose only revisions are `main` and COMMIT.

    Args:
        repositories: 'owner/name' -> folder of its files.

    Yields:
        The address, for HF_ENDPOINT, and the growing list of the fetched files.
    """
    fetched: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):  # noqa: N802
            self.answer()

        def do_HEAD(self):  # noqa: N802
            self.answer()

        def log_message(self, format, *args):  # noqa: A002
            pass

        def answer(self):
            path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path)
            parts = path.strip("/").split("/")
            api = parts[:2] == ["api", "models"]
            owner, name, *rest = parts[2:] if api else parts
            folder = repositories.get(f"{owner}/{name}")
            if folder is None:
                return self.send(404, b"{}", {"X-Error-Code": "RepoNotFound"})
            if len(rest) > 1 and rest[1] not in ("main", COMMIT):
                return self.send(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
            files = sorted(file for file in folder.iterdir() if file.is_file())
            if rest[:1] == ["tree"]:
                rows = [
                    {
                        "type": "file",
                        "path": file.name,
                        "size": file.stat().st_size,
                        "oid": etag(file),
                    }
                    for file in files
                ]
                return self.send(200, json.dumps(rows).encode(), {})
            if api:
                siblings = [{"rfilename": file.name} for file in files]
                info = {"id": f"{owner}/{name}", "sha": COMMIT, "siblings": siblings}
                return self.send(200, json.dumps(info).encode(), {})
            file = folder / rest[2]
            if not file.is_file():
                return self.send(404, b"{}", {"X-Error-Code": "EntryNotFound"})
            if self.command == "GET":
                fetched.append(file.name)
            headers = {"ETag": f'"{etag(file)}"', "X-Repo-Commit": COMMIT}
            return self.send(200, file.read_bytes(), headers)

        def send(self, status, content, headers):
            self.send_response(status)
            for key, value in {"Content-Length": len(content), **headers}.items():
                self.send_header(key, str(value))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", fetched
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def etag(file: pathlib.Path) -> str:
    """Returns the name that git gives to the content of a file."""
    content = file.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
