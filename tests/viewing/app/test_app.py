"""The local page: a real server on loopback that runs a small untrained TEACH."""

import concurrent.futures
import http.client
import json
import re
import signal
import subprocess
import sys
import threading
import warnings
from typing import Any

import jax
import numpy as np
import pytest

from actiongpt_jax import app
from actiongpt_jax.config import load_config
from actiongpt_jax.errors import InputError
from actiongpt_jax.features.normalizer import Normalizer
from actiongpt_jax.inference.generate import generate_sequence
from actiongpt_jax.inference.requests import Request
from actiongpt_jax.inference.trained import Trained
from actiongpt_jax.models.build import build
from actiongpt_jax.models.example import example_inputs
from actiongpt_jax.viewing.app import queue
from actiongpt_jax.viewing.app.queue import DOWNLOADS, GenerationQueue
from actiongpt_jax.viewing.app.requests import ActionRequest, GenerationRequest
from actiongpt_jax.viewing.app.server import MAX_BYTES, Server
from actiongpt_jax.viewing.app.worker import MAX_WAITING, BusyError, Worker
from tests.viewing.browser import FAULTS, started
from tests.viewing.motions import HOSTILE, upright

pytestmark = pytest.mark.slow

WIDTH = 8
PHRASES = ("walk", "sit")  # with and without descriptions
KNOWN = {"walk": ["The legs swing.", "One foot after the other."]}


class Embedder:
    """Replaces the text encoder: draws random embeddings, seeded by the text length."""

    pooled = False

    def __init__(self):
        self.described = []

    def tokens(self, phrase):
        if phrase not in KNOWN:
            warnings.warn(f"no descriptions of {phrase!r}", stacklevel=2)
        return self.describe([phrase])

    def describe(self, texts):
        self.described.append(tuple(texts))
        rng = np.random.default_rng(sum(map(len, texts)))
        return rng.normal(size=(5, WIDTH)).astype(np.float32)


@pytest.fixture(scope="module")
def trained():
    config = load_config("teach:debug")
    model = build(config)
    config.text.width = WIDTH
    shapes = jax.eval_shape(model.init, jax.random.key(0), *example_inputs(config))
    rng = np.random.default_rng(0)
    variables = jax.tree.map(
        lambda s: rng.normal(scale=0.2, size=s.shape).astype(np.float32), shapes
    )
    normalizer = Normalizer(np.zeros(135, np.float32), np.ones(135, np.float32))
    return Trained(config, model, variables, normalizer, 0)


@pytest.fixture(scope="module")
def embedder():
    return Embedder()


@pytest.fixture(scope="module")
def server(trained, embedder):
    requests = GenerationQueue(trained, embedder, KNOWN)
    server = Server(requests)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()
    requests.close()


def ask(server, method, path, body=None, **headers):
    """Sends one request and returns the (status, headers, body) of the response."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body, named)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, answer.headers, content


def post(server, content, **headers):
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    headers = {"Content_Type": "application/json", **headers}
    status, _, answer = ask(server, "POST", "/generate", body, **headers)
    return status, json.loads(answer)


def actions(*phrases, seconds: Any = 1.0):
    return [{"phrase": phrase, "seconds": seconds} for phrase in phrases]


def test_series_can_be_generated_shown_and_downloaded(server):
    content = {"actions": actions("walk", "sit"), "seed": 3}
    status, found = post(server, content)
    assert status == 200
    assert [m["text"] for m in found["motions"]] == [["walk", "sit"]]
    assert [m["frames"] for m in found["motions"]] == [60]
    assert any("sit" in note for note in found["notes"])
    status, headers, page = ask(server, "GET", f"/result/{found['result']}")
    assert status == 200 and b"One foot after the other." in page
    assert "frame-ancestors 'self'" in headers["Content-Security-Policy"]
    starts = {
        "glb": b"glTF",
        "bvh": b"HIERARCHY",
        "npz": b"PK",
        "smplx.npz": b"PK",
        "json": b"{",
        "html": b"<!DOCTYPE",
        "gif": b"GIF89a",
        "mp4": b"\0\0\0",
        "png": b"\x89PNG",
    }
    assert set(starts) == set(DOWNLOADS)
    for ending, start in starts.items():
        status, headers, content = ask(
            server, "GET", f"/result/{found['result']}/0.{ending}"
        )
        assert status == 200 and content.startswith(start), ending
        assert headers["Content-Disposition"].endswith(f'"motion_0.{ending}"')


def test_edited_descriptions_reach_the_model(server, embedder):
    embedder.described.clear()
    content = {"actions": actions("walk")}
    assert post(server, content)[0] == 200
    content["actions"][0]["descriptions"] = KNOWN["walk"]
    assert post(server, content)[0] == 200
    content["actions"][0]["descriptions"] = ["Both arms rise."]
    status, found = post(server, content)
    assert status == 200
    assert embedder.described == [("walk",), ("walk",), ("Both arms rise.",)]
    page = ask(server, "GET", f"/result/{found['result']}")[2]
    assert b"Both arms rise." in page and b"One foot" not in page


def test_empty_descriptions_mean_the_phrase_itself(server, embedder):
    embedder.described.clear()
    content = {"actions": [{**actions("walk")[0], "descriptions": []}]}
    # The texts of "walk" are kept in the queue if another test has read them already.
    server.queue._embed_edited.cache_clear()
    status, found = post(server, content)
    assert status == 200
    assert embedder.described == [("walk",)]
    page = ask(server, "GET", f"/result/{found['result']}")[2]
    assert b"One foot" not in page


@pytest.mark.filterwarnings("ignore:no descriptions")
def test_padding_requests_do_not_change_motion(server, trained, embedder):
    content = {"actions": actions("walk", "sit"), "seed": 9}
    name = post(server, content)[1]["result"]
    found = json.loads(ask(server, "GET", f"/result/{name}/0.json")[2])
    requests = [
        Request(phrase, embedder.tokens(phrase), 30, (9, 0)) for phrase in PHRASES
    ]
    (alone,) = generate_sequence(trained, [requests])
    # Other shapes sum float32 in another order, and the file is rounded to 1e-5.
    np.testing.assert_allclose(found["rotations"], alone.rotations, rtol=0, atol=2e-4)
    np.testing.assert_allclose(
        found["translation"], alone.translation, rtol=0, atol=2e-4
    )


def test_same_seed_generates_the_same_motion(server):
    content = {"actions": actions("walk"), "seed": 5}
    files = []
    for seed in (5, 5, 6):
        content["seed"] = seed
        name = post(server, content)[1]["result"]
        files.append(ask(server, "GET", f"/result/{name}/0.json")[2])
    assert files[0] == files[1] != files[2]


def test_samples_seed_and_fact_reach_the_model(server, monkeypatch):
    asked = []

    def generate(_, series):
        asked.extend(series)
        return [upright(30, ("walk",)) for _ in series]

    monkeypatch.setattr(queue, "generate_sequence", generate)
    content = {"actions": actions("walk", "sit", seconds=1.5), "samples": 3}
    status, found = post(server, {**content, "seed": 7, "fact": 0.5})
    assert status == 200
    titles = [motion["title"] for motion in found["motions"]]
    assert titles == ["sample 1", "sample 2", "sample 3"]
    for sample, requests in enumerate(asked[:3]):
        assert [r.text for r in requests] == ["walk", "sit"]
        assert {(r.seed, r.fact, r.num_frames) for r in requests} == {
            ((7, sample), 0.5, 45)
        }
    # The padding requests are not shown and have the shortest allowed length.
    assert [[r.num_frames for r in requests] for requests in asked[3:]] == [[128, 136]]
    last = ask(server, "GET", f"/result/{found['result']}/2.bvh")
    assert last[0] == 200
    assert ask(server, "GET", f"/result/{found['result']}/3.bvh")[0] == 404


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", "JSON"),
        (b"\xff", "JSON"),
        (b"[" * 100_000, "JSON"),
        ([], "object"),
        ({}, "actions"),
        ({"actions": []}, "1 to 12"),
        ({"actions": actions("a"), "path": "/etc"}, "'path'"),
        ({"actions": actions("a") * 13}, "1 to 12"),
        ({"actions": [{"phrase": "a"}]}, "lacks the field 'seconds'"),
        ({"actions": actions("")}, "phrase"),
        ({"actions": actions("a" * 10_000)}, "10000 characters"),
        ({"actions": actions(7)}, "got int"),
        ({"actions": actions("a", seconds=1e9)}, "seconds must be"),
        ({"actions": actions("a", seconds=-1)}, "seconds must be"),
        ({"actions": actions("a", seconds=float("nan"))}, "finite"),
        ({"actions": actions("a", seconds=True)}, "finite"),
        ({"actions": actions("a", seconds="3")}, "finite"),
        (b'{"actions":[{"phrase":"a","seconds":1e999}]}', "finite"),
        ({"actions": actions(*"abcd", seconds=20)}, "60 seconds"),
        ({"actions": actions("a"), "fact": float("inf")}, "fact must be"),
        ({"actions": actions("a"), "samples": 1.5}, "whole"),
        ({"actions": actions("a"), "samples": 1000}, "samples"),
        ({"actions": actions("a"), "seed": -1}, "seed"),
        ({"actions": actions("a"), "seed": 10**400}, "401 digits"),
        ({"actions": [{**actions("a")[0], "descriptions": "b"}]}, "list"),
        ({"actions": [{**actions("a")[0], "descriptions": [1]}]}, "description"),
        # Shorter than the past frames that the model reads for the next action.
        ({"actions": actions("a", "b", seconds=0.1)}, "at least"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bad_requests_return_400_with_one_sentence(server, content, words):
    status, answer = post(server, content)
    assert status == 400
    assert words in answer["error"] and "\n" not in answer["error"]
    assert len(answer["error"]) < 400


def test_requests_from_other_sites_are_refused(server):
    content = {"actions": actions("walk")}
    for headers in (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": f"http://localhost:{server.server_port + 1}"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Host": "evil.example"},
        {"Host": f"evil.example:{server.server_port}"},
    ):
        status, answer = post(server, content, **headers)
        assert status == 403 and answer["error"]
        assert ask(server, "GET", "/about", **headers)[0] == 403
    same_origin = f"http://127.0.0.1:{server.server_port}"
    assert post(server, content, Origin=same_origin)[0] == 200
    assert post(server, content, Content_Type="text/plain")[0] == 415


def test_bodies_too_long_or_without_length_are_not_read(server):
    def status(**headers):
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port)
        connection.putrequest("POST", "/generate")
        connection.putheader("Content-Type", "application/json")
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()  # sends no byte of the body
        answer = connection.getresponse()
        assert json.loads(answer.read())["error"]
        connection.close()
        return answer.status

    assert status(Content_Length=str(MAX_BYTES + 1)) == 413
    assert status(Content_Length="9" * 5000) == 413
    assert status(Content_Length="-1") == 411
    assert status() == 411
    assert status(Transfer_Encoding="chunked") == 411


@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd",
        "/result/../../../../etc/passwd",
        "/result/%2e%2e%2f%2e%2e",
        "/result/AAAAAAAAAAAA",
        "/result/AAAAAAAAAAAA/0.npz",
        "/result/AAAAAAAAAAAA/0.../etc",
        "/app.js",
        "//etc/passwd",
    ],
)
def test_paths_outside_the_routes_return_404(server, path):
    status, _, content = ask(server, "GET", path)
    assert status == 404 and b"root:" not in content
    assert ask(server, "POST", path, b"{}", Content_Type="application/json")[0] == 404


def test_concurrent_requests_are_generated_one_at_a_time(server, monkeypatch):
    running, most = [], []

    def watched(*args, **kwargs):
        running.append(1)
        most.append(len(running))
        try:
            return generate(*args, **kwargs)
        finally:
            running.pop()

    generate = queue.generate_sequence
    monkeypatch.setattr(queue, "generate_sequence", watched)
    content = {"actions": actions("walk")}
    with concurrent.futures.ThreadPoolExecutor(50) as threads:
        answers = list(threads.map(lambda _: post(server, content), range(50)))
    assert [status for status, _ in answers] == [200] * 50
    assert len({answer["result"] for _, answer in answers}) == 50
    assert len(most) == 50 and max(most) == 1
    assert ask(server, "GET", "/about")[0] == 200


def test_full_queue_refuses_further_requests(trained):
    leave = threading.Event()

    class SlowEmbedder(Embedder):
        def tokens(self, phrase):
            leave.wait()
            raise InputError("too late")

    embedder: Any = SlowEmbedder()
    requests = GenerationQueue(trained, embedder, KNOWN)
    request = GenerationRequest((ActionRequest("walk", 1.0),))
    with concurrent.futures.ThreadPoolExecutor(MAX_WAITING + 1) as threads:
        answers = {
            threads.submit(requests.generate, request) for _ in range(MAX_WAITING + 1)
        }
        # All other requests wait for the first one, which waits for `leave`.
        refused, _ = concurrent.futures.wait(
            answers, return_when=concurrent.futures.FIRST_COMPLETED
        )
        leave.set()
    errors = [answer.exception() for answer in refused]
    assert [type(error) for error in errors] == [BusyError]
    assert "try again later" in str(errors[0])
    assert all(isinstance(a.exception(), InputError) for a in answers - refused)
    requests.close()


UNTIL = """new Promise(done => {{ const look = () => {} ? done({}) :
    setTimeout(look, 20); look(); }})"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with started(tmp_path_factory.mktemp("profile")) as tab:
        yield tab


@pytest.fixture
def tab(server, browser):
    """Returns the page in a browser, after it has loaded the facts about the model."""
    browser.open(server.url)
    ready = "document.querySelectorAll('fieldset').length"
    assert browser.run(UNTIL.format(ready, ready)) == 1
    return browser


def write(tab, selector, text):
    """Replaces the text of a field, as typing does."""
    tab.run(
        f"(() => {{ const field = document.querySelector({json.dumps(selector)});"
        f" field.value = {json.dumps(text)};"
        " field.dispatchEvent(new Event('input', {bubbles: true})); })()"
    )


def posted(monkeypatch, server):
    """Returns the list of requests that reach the queue from now on."""
    asked = []
    generate = server.queue.generate

    def note(request, wanted=None):
        asked.append(request)
        return generate(request, wanted)

    monkeypatch.setattr(server.queue, "generate", note)
    return asked


def finished(tab):
    said = "document.getElementById('said').textContent"
    return tab.run(UNTIL.format(f"{said}.startsWith('Done')", said))


def test_page_generates_shows_motions_and_reports_errors(tab):
    texts = "document.querySelector('textarea').value"
    write(tab, "fieldset input", "walk")
    assert tab.run(UNTIL.format(texts, texts)) == "\n\n".join(KNOWN["walk"])
    write(tab, "fieldset input", HOSTILE[1])
    write(tab, "input[type=number]", "1")
    tab.run("document.getElementById('go').click()")
    finished(tab)
    frame = "document.querySelector('iframe')"
    assert tab.run(f"{frame}.title") == "generated motions"
    canvas = f"{frame}.contentDocument.querySelector('canvas[data-frame]')"
    assert tab.run(UNTIL.format(canvas, 1)) == 1
    links = tab.run("document.querySelectorAll('#files a').length")
    assert links == len(DOWNLOADS)
    assert tab.run("typeof window.harmed") == "undefined"
    tab.run("document.querySelector('form').noValidate = true")
    write(tab, "input[type=number]", "1e9")
    tab.run("document.getElementById('go').click()")
    wrong = "document.querySelector('#said.wrong')"
    message = tab.run(UNTIL.format(wrong, f"{wrong}.textContent"))
    assert re.match("action 1: seconds must be", message)


def test_new_phrase_and_enter_at_once_does_not_send_other_descriptions(
    tab, server, monkeypatch
):
    texts = "document.querySelector('textarea').value"
    write(tab, "fieldset input", "walk")
    tab.run(UNTIL.format(texts, texts))
    asked = posted(monkeypatch, server)
    field = "document.querySelector('fieldset input')"
    for phrase in ("sit", "walk", "sit"):
        tab.run(f"{field}.focus(); {field}.select()")
        for letter in phrase:
            tab.press(letter, ord(letter.upper()), letter)
        tab.press("Enter", 13, "\r")
        finished(tab)
        tab.run("document.getElementById('said').textContent = ''")
    assert [r.actions[0].phrase for r in asked] == ["sit", "walk", "sit"]
    assert [r.actions[0].descriptions for r in asked] == [None] * 3


def test_late_answers_do_not_replace_newer_descriptions(tab):
    tab.run(
        """(() => { const plain = window.fetch;
        window.fetch = async (path, ...rest) => {
        if (path.endsWith("phrase=walk")) await new Promise(d => setTimeout(d, 150));
        return plain(path, ...rest); }; })()"""
    )
    write(tab, "fieldset input", "walk")
    write(tab, "fieldset input", "sit")
    tab.run("new Promise(done => setTimeout(done, 300))")
    assert tab.run("document.querySelector('textarea').value") == ""


def test_edits_are_sent_for_the_phrase_they_were_made_for(tab, server, monkeypatch):
    asked = posted(monkeypatch, server)
    for phrase, text in (("walk", "Both arms rise."), ("walk", ""), ("sit", None)):
        write(tab, "fieldset input", phrase)
        if text is not None:
            write(tab, "textarea", text)
        tab.run("document.getElementById('go').click()")
        finished(tab)
        tab.run("document.getElementById('said').textContent = ''")
    sent = [request.actions[0].descriptions for request in asked]
    assert sent == [("Both arms rise.",), (), None]


def test_page_opens_with_a_motion_and_examples_to_click(
    trained, embedder, browser, monkeypatch
):
    def generate(_, series):
        return [upright(30, tuple(r.text for r in rs)) for rs in series]

    monkeypatch.setattr(queue, "generate_sequence", generate)
    requests = GenerationQueue(trained, embedder, KNOWN)
    server = Server(requests)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    requests.warm_up()
    browser.open(server.url)
    frame = "document.querySelector('iframe')"
    canvas = f"{frame}?.contentDocument.querySelector('canvas[data-frame]')"
    assert browser.run(UNTIL.format(canvas, 1)) == 1
    text = f"{frame}.contentDocument.querySelector('.phrases').textContent"
    assert browser.run(text) == "walk"
    assert browser.run("document.querySelector('fieldset input').value") == "walk"
    before = browser.run(f"{frame}.src")
    browser.run("document.querySelector('#examples button').click()")
    finished(browser)
    assert browser.run(f"{frame}.src") != before
    browser.run("document.querySelector('details').open = true")
    assert browser.run(FAULTS) == []
    assert browser.complaints() == []
    server.shutdown()
    server.server_close()
    requests.close()


def test_other_shapes_are_compiled_while_nobody_waits(trained, embedder, monkeypatch):
    made = []

    def generate(_, series):
        made.append([(len(series), r.num_frames) for r in series[-1]])
        return [upright(30, ("walk",)) for _ in series]

    monkeypatch.setattr(queue, "generate_sequence", generate)
    requests = GenerationQueue(trained, embedder, KNOWN)
    requests.warm_up()
    assert made[0] == [(4, 128)]
    order = GenerationRequest((ActionRequest("walk", 8.0),) * 2, samples=8)
    while len(made) < 11:
        requests.descriptions("walk")
    shapes = {shape for batch in made for shape in batch}
    assert shapes == {
        (rows, frames + lead)
        for rows in (4, 16)
        for frames in (128, 256, 384, 512, 640)
        for lead in (0, 8)
    }
    requests.generate(order)
    assert {shape for shape in made[-1]} <= shapes
    requests.close()


def test_status_says_that_a_new_shape_is_compiled(trained, embedder, monkeypatch):
    seen = []
    requests = GenerationQueue(trained, embedder, KNOWN)

    def generate(_, series):
        seen.append(requests.status()["compiling"])
        return [upright(30, ("walk",)) for _ in series]

    monkeypatch.setattr(queue, "generate_sequence", generate)
    for seconds in (1.0, 2.0, 8.0, 8.0):
        requests.generate(GenerationRequest((ActionRequest("walk", seconds),)))
    assert seen == [True, False, True, False]
    assert requests.status() == {"waiting": 0, "compiling": False}
    requests.close()


def test_orders_of_clients_that_left_are_dropped(server, monkeypatch):
    begun, go, made = threading.Event(), threading.Event(), []

    def generate(_, series):
        made.append(series[0][0].text)
        begun.set()
        go.wait()
        return [upright(30, (r[0].text,)) for r in series]

    monkeypatch.setattr(queue, "generate_sequence", generate)
    with concurrent.futures.ThreadPoolExecutor() as threads:
        first = threads.submit(post, server, {"actions": actions("walk")})
        begun.wait()
        body = json.dumps({"actions": actions("sit")})
        left = http.client.HTTPConnection("127.0.0.1", server.server_port)
        left.request("POST", "/generate", body, {"Content-Type": "application/json"})
        while server.queue.status()["waiting"] < 1:
            pass
        left.close()
        last = threads.submit(post, server, {"actions": actions("walk")})
        while server.queue.status()["waiting"] < 2:
            pass
        go.set()
        assert [first.result()[0], last.result()[0]] == [200, 200]
    assert made == ["walk", "walk"]


def test_head_returns_the_headers_of_get(server):
    for path in ("/", "/about", "/absent"):
        (status, headers, body), whole = (
            ask(server, method, path) for method in ("HEAD", "GET")
        )
        assert (status, body) == (whole[0], b"")
        assert headers["Content-Length"] == str(len(whole[2]))


def test_worker_does_spare_work_when_idle_and_nobody_waits_for_it():
    worker, done = Worker(), []
    gates = {
        name: (threading.Event(), threading.Event()) for name in ("order", "spare")
    }

    def slow(name):
        begun, go = gates[name]
        begun.set()
        go.wait()
        done.append(name)

    with concurrent.futures.ThreadPoolExecutor() as threads:
        order = threads.submit(worker.run, lambda: slow("order"))
        gates["order"][0].wait()
        worker.run_when_idle(lambda: slow("spare"))
        ordered = threads.submit(worker.run, lambda: done.append("second order"))
        while not worker.waiting:
            pass
        gates["order"][1].set()
        ordered.result()
        order.result()
        gates["spare"][0].wait()
        worker.run(lambda: done.append("third order"))  # while the spare work runs
        assert done == ["order", "second order", "third order"]
        assert not worker.close(seconds=0.01)
        with pytest.raises(BusyError, match="stopping"):
            worker.run(lambda: None)
        gates["spare"][1].set()
        assert worker.close()
    assert done[-1] == "spare"


def test_failed_spare_work_is_said_and_other_work_goes_on(recwarn):
    worker, done = Worker(), threading.Event()
    worker.run_when_idle(lambda: 1 / 0)
    worker.run_when_idle(done.set)
    assert done.wait(10)
    assert worker.run(lambda: "order") == "order"
    assert worker.close()
    (warning,) = (str(w.message) for w in recwarn if "background" in str(w.message))
    assert "ZeroDivisionError: division by zero" in warning


# Serves a model that takes a minute to compile, or whose memory takes long to free.
STUBBORN = """
import atexit, signal, sys, time
# A process that a shell starts in the background inherits that Ctrl-C is ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
from actiongpt_jax import app, cli
from actiongpt_jax.config import load_config
from actiongpt_jax.inference import phrase_embedder, trained
from actiongpt_jax.models.build import build
from actiongpt_jax.viewing.app import queue

config = load_config("teach:debug")
trained.load_model = lambda *_: trained.Trained(config, build(config), {}, None, 0)
phrase_embedder.PhraseEmbedder = lambda *_: type("E", (), {"describe": print})
state = sys.argv[1]
queue.GenerationQueue.warm_up = lambda self: {
    "compiles": self._worker.run_when_idle, "idle": atexit.register
}[state](lambda: time.sleep(60))
sys.argv[1:] = ["--workdir", "w", "--port", "0"]
cli.run(app.main)
"""


@pytest.mark.parametrize(
    "state, times", [("compiles", 1), ("compiles", 2), ("idle", 1)]
)
def test_ctrl_c_does_not_wait_for_work_that_cannot_be_interrupted(state, times):
    process = subprocess.Popen(
        [sys.executable, "-c", STUBBORN, state],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout
        assert "is ready" in process.stdout.readline()
        for _ in range(times):
            process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=50)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "Traceback" not in errors


def test_unavailable_addresses_are_reported(server, trained, embedder, tmp_path):
    with pytest.raises(InputError, match="--port"):
        Server(server.queue, port=server.server_port)
    with pytest.raises(InputError, match="--host"):
        Server(server.queue, "203.0.113.7")
    with pytest.raises(InputError, match="--host must name one address"):
        app.main(["--workdir", str(tmp_path), "--host", "0.0.0.0"])
    with pytest.raises(FileNotFoundError, match="no checkpoint"):
        app.main(["--workdir", str(tmp_path)])
