"""Where does the time of a traced step go?

Reads a trace of jax.profiler. Every operation that ran is looked up in the compiled
program, whose metadata says which part of the model it belongs to:

    attention   products and softmax of self-attention, and the attention to the latent
    dense       matrix products with parameters: projections and feed-forward parts
    norms       layer norms
    dropout     masks of the dropout, unless they are fused into another kernel
    optimizer   the norm of the gradients and the update
    input       copies from the host
    other       losses, noise, and all else
    unnamed     operations that are not in the program

A fused kernel belongs to the part of its last operation. On a GPU, set
XLA_FLAGS=--xla_gpu_enable_command_buffer= , because kernels that are launched as one
CUDA graph carry no names.
"""

import collections
import dataclasses
import pathlib
import re
from collections.abc import Iterable, Sequence
from typing import Any

from jax.profiler import ProfileData

# The first pattern that occurs in an operation's path decides.
_PARTS = {
    "optimizer": r"/optimizer/",
    "dropout": r"/dropout/",
    "norms": r"/norm\d?/",
    "attention": r"/(self|cross)_attn/(?!out/|dot_general)",
    "dense": r"dot_general|/linear\d/|_attn/out/|projection|final_layer",
}
_LINE = re.compile(r"^\s*(?:ROOT )?%?([\w.-]+) = (.*)$")
_PATH = re.compile(r'metadata=\{[^}]*?op_name="([^"]*)"')
_CALLS = re.compile(r"(?:calls|to_apply)=%?([\w.-]+)")
_PRODUCT = re.compile(r" dot\(|cublas|gemm")
_HEAD = re.compile(r"^(?:ENTRY )?%?([\w.-]+) \(.*\{$")


@dataclasses.dataclass(frozen=True)
class Event:
    """An operation that ran.

    Attributes:
        op: its name in the compiled program, or the name of a kernel or copy.
        line: the stream or thread that ran it.
        start: when it started, nanoseconds.
        end: when it ended, nanoseconds.
    """

    op: str
    line: str
    start: float
    end: float


def read_events(folder: str | pathlib.Path) -> list[Event]:
    """Returns the operations of the last trace in a folder; those of GPUs, if any."""
    paths = sorted(pathlib.Path(folder).rglob("*.xplane.pb"))
    if not paths:
        raise FileNotFoundError(f"{folder} contains no trace (*.xplane.pb)")
    planes = list(ProfileData.from_file(str(paths[-1])).planes)
    gpus = [plane for plane in planes if plane.name.startswith("/device:GPU")]
    events = []
    for plane in gpus or planes:
        for line in plane.lines:
            # Other lines of a GPU repeat the events of its streams.
            if gpus and not (line.name or "").startswith("Stream"):
                continue
            name = f"{plane.name} {line.name}"
            for event in line.events:
                op = dict(event.stats).get("hlo_op")
                if op or gpus:
                    start, end = event.start_ns, event.start_ns + event.duration_ns
                    events.append(Event(str(op or event.name), name, start, end))
    return events


def breakdown(events: Sequence[Event], program: str, steps: int) -> dict[str, Any]:
    """Returns where the time of each step went.

    Args:
        events: the operations, from `read_events`.
        program: text of the compiled program.
        steps: number of traced steps.

    Returns:
        Milliseconds per step: `parts` by part, `span_ms` from the first operation's
        start to the last one's end, and `gaps_ms` of it in which nothing ran. `kernels`
        is the number of operations per step, `largest` the slowest of them.
    """
    part_of = _parts_by_op(program)
    parts: dict[str, float] = collections.defaultdict(float)
    ops: dict[tuple[str, str], float] = collections.defaultdict(float)
    for op, own in _own_times(events):
        part = _part_of_event(op, part_of)
        parts[part] += own
        ops[part, op] += own
    span = max(e.end for e in events) - min(e.start for e in events)
    busy = _union((e.start, e.end) for e in events)

    def per_step(nanoseconds: float) -> float:
        return round(nanoseconds / steps / 1e6, 4)

    return {
        "span_ms": per_step(span),
        "gaps_ms": per_step(span - busy),
        "gaps": round(1 - busy / span, 4),
        "kernels": round(len(events) / steps),
        "parts": {part: per_step(own) for part, own in _largest(parts)},
        "largest": [
            {"part": part, "op": op, "ms": per_step(own)}
            for (part, op), own in _largest(ops)[:12]
        ],
    }


def _largest(times: dict[Any, float]) -> list[tuple[Any, float]]:
    return sorted(times.items(), key=lambda item: -item[1])


def part_of_path(path: str) -> str:
    """Returns the part of the model that an operation's path belongs to."""
    for part, pattern in _PARTS.items():
        if re.search(pattern, path):
            return part
    return "other"


def _parts_by_op(program: str) -> dict[str, str]:
    """Returns the part of every operation of a compiled program, by its name.

    Kernels are named after operations, with other characters replaced by `_`; these
    names are included.
    """
    paths: dict[str, str] = {}
    last_path: dict[str, str] = {}  # computation -> path of its last operation
    calls: dict[str, str] = {}
    products, computation = set(), ""
    for text in program.splitlines():
        if head := _HEAD.match(text):
            computation = head[1]
        elif line := _LINE.match(text):
            if _PRODUCT.search(line[2]):
                products.add(line[1])
            if path := _PATH.search(line[2]):
                paths[line[1]] = last_path[computation] = path[1]
            elif called := _CALLS.search(line[2]):
                calls[line[1]] = called[1]
    paths |= {op: last_path.get(called, "") for op, called in calls.items()}
    parts = {op: part_of_path(path) for op, path in paths.items()}
    parts |= {op: "dense" for op in products if parts.get(op, "other") == "other"}
    return {re.sub(r"\W", "_", op): part for op, part in parts.items()} | parts


def _part_of_event(op: str, parts: dict[str, str]) -> str:
    if op.lower().replace(" ", "").startswith("memcpyh2d"):
        return "input"
    return parts.get(op, "unnamed")


def _own_times(events: Iterable[Event]) -> Iterable[tuple[str, float]]:
    """Yields the time of every operation without the operations that it contains."""
    by_line = collections.defaultdict(list)
    for event in events:
        by_line[event.line].append(event)
    for line in by_line.values():
        open_events: list[list[Any]] = []  # [event, own time], from outer to inner
        for event in sorted(line, key=lambda e: (e.start, -e.end)):
            while open_events and open_events[-1][0].end <= event.start:
                outer, own = open_events.pop()
                yield outer.op, own
            if open_events:
                open_events[-1][1] -= event.end - event.start
            open_events.append([event, event.end - event.start])
        for outer, own in open_events:
            yield outer.op, own


def _union(intervals: Iterable[tuple[float, float]]) -> float:
    """Returns the total length of intervals that may overlap."""
    total, reached = 0.0, float("-inf")
    for start, end in sorted(intervals):
        total += max(end - max(start, reached), 0.0)
        reached = max(reached, end)
    return total
