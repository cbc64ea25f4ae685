"""Drives a headless Chromium through the DevTools protocol over two pipes."""

import contextlib
import json
import os
import pathlib
import select
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = """
    --headless --no-sandbox --disable-gpu --no-first-run --disable-sync --disable-quic
    --disable-background-networking --disable-component-update --disable-dev-shm-usage
    --disable-extensions --remote-debugging-pipe --window-size=1000,800
""".split()
# Chromium reads commands from descriptor 3 and answers on 4.
_LAUNCH = """
import fcntl, os, sys
reader, writer = (fcntl.fcntl(int(n), fcntl.F_DUPFD, 10) for n in sys.argv[1:3])
os.dup2(reader, 3)
os.dup2(writer, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
# Seconds to wait for a response: enough for a busy machine, but it ends a hanging test.
_PATIENCE = 60.0

# Returns what is wrong with a page for readers who use a keyboard or a screen reader.
FAULTS = """(() => {
  const faults = [];
  const check = (good, what, element) => {
    if (!good) faults.push(`${what}: ${element.outerHTML.slice(0, 80)}`);
  };
  const all = (selector) => [...document.querySelectorAll(selector)];
  const seen = (e) => e.offsetParent !== null && e.textContent.trim();
  const luminance = (colour) => {
    const [r, g, b] = colour.match(/[\\d.]+/g).map(Number).map((v) => v / 255)
      .map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (e) => {
    const colour = getComputedStyle(e).backgroundColor;
    return /, 0\\)/.test(colour) ? behind(e.parentElement) : colour;
  };
  for (const e of all("h1,h2,h3,p,span,button,select,summary,label,legend,li,a," +
                     "footer,input:not([type=range]),textarea")) {
    if (e.matches("input:not([type=range]),textarea") || seen(e)) {
      const [one, two] = [luminance(getComputedStyle(e).color), luminance(behind(e))];
      const ratio = (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05);
      check(ratio >= 4.5, `contrast ${ratio.toFixed(2)}`, e);
    }
  }
  check(all("main").length === 1 && all("h1").length === 1, "landmarks", document.body);
  for (const e of all("h1,h2,h3"))
    check(e.textContent.trim() || e.hidden, "empty heading", e);
  for (const e of document.body.children)
    check(e.matches("header,main,footer,script"), "outside landmarks", e);
  for (const e of all("iframe")) check(e.title, "frame title", e);
  for (const e of all("canvas,[role=group],section.panel canvas"))
    check(e.ariaLabel || e.getAttribute("aria-labelledby"), "no label", e);
  for (const e of all("input,select,textarea"))
    check(e.labels.length || e.ariaLabel, "no label", e);
  for (const e of all("*")) {
    const scrolls = /auto|scroll/.test(getComputedStyle(e).overflowY);
    if (scrolls && e.scrollHeight > e.clientHeight + 1)
      check(e.tabIndex >= 0 || e.querySelector("button"), "scrolls by mouse only", e);
  }
  return faults;
})()"""


class Browser:
    """One browser tab."""

    def __init__(self, reader: int, writer: int):
        self._reader, self._writer = reader, writer
        self._buffer, self._number, self._session = b"", 0, None
        self.events: list[dict] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters) -> dict:
        """Sends a command and returns its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._writer, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]
            self.events.append(answer)

    def _read(self) -> dict:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._reader], [], [], _PATIENCE)
            assert ready, "the browser does not answer"
            part = os.read(self._reader, 1 << 20)
            assert part, "the browser has ended"
            self._buffer += part
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)

    def open(self, url: str) -> None:
        """Loads a page and waits until it has loaded."""
        self.events.clear()
        self.call("Page.navigate", url=url)
        while not any(e.get("method") == "Page.loadEventFired" for e in self.events):
            self.events.append(self._read())

    def run(self, script: str):
        """Evaluates an expression (a promise is awaited) and returns its value."""
        result = self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def press(self, key: str, code: int = 0, text: str = "") -> None:
        """Presses and releases a key."""
        for kind in ("keyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                windowsVirtualKeyCode=code,
                **({"text": text} if text and kind == "keyDown" else {}),
            )

    def complaints(self) -> list:
        """Returns exceptions, errors in the log, and requests to the network."""
        self.run("1")  # earlier events have arrived once this command has returned
        complaints = []
        for event in self.events:
            method, about = event.get("method"), event.get("params", {})
            if method == "Runtime.exceptionThrown":
                complaints.append(about["exceptionDetails"])
            elif method == "Log.entryAdded" and about["entry"]["level"] == "error":
                complaints.append(about["entry"])
            elif method == "Network.requestWillBeSent":
                url = about["request"]["url"]
                if not url.startswith(("file:", "data:", "about:", "http://127.0.0.1")):
                    complaints.append(url)
        return complaints


@contextlib.contextmanager
def started(profile: pathlib.Path) -> Iterator[Browser]:
    """Starts Chromium with an empty profile; skips tests without Chromium."""
    program = next((path for name in NAMES if (path := shutil.which(name))), None)
    if program is None:
        pytest.skip(f"none of {', '.join(NAMES)} is installed; `apt install chromium`")
    in_reader, in_writer = os.pipe()
    out_reader, out_writer = os.pipe()
    ends = [str(in_reader), str(out_writer)]
    process = subprocess.Popen(
        [sys.executable, "-c", _LAUNCH, *ends, program, *FLAGS]
        + [f"--user-data-dir={profile}"],
        pass_fds=(in_reader, out_writer),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(in_reader)
    os.close(out_writer)
    try:
        yield Browser(out_reader, in_writer)
    finally:
        os.close(in_writer)
        os.close(out_reader)
        process.kill()
        process.wait()
