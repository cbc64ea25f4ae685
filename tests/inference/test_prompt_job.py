"""Many prompts: files of prompts, splits, the index, and runs that were killed."""

import json
import pathlib
import shlex
import signal
import subprocess
import sys

import numpy as np
import pytest

from actiongpt_jax import generate, render
from actiongpt_jax.data.motion import Motion, load_motion, save_motion
from actiongpt_jax.data.motion_store import open_store
from actiongpt_jax.data.prompts import Prompt, read_prompts
from actiongpt_jax.errors import InputError
from actiongpt_jax.inference.phrase_embedder import PhraseEmbedder
from actiongpt_jax.inference.prompt_job import generate_files
from actiongpt_jax.inference.requests import seed_of
from actiongpt_jax.inference.trained import load_model

ROOT = pathlib.Path(__file__).parents[2]
PHRASES = ("walk forward", "jump up", "sit down")
slow = pytest.mark.slow


@pytest.fixture(scope="module")
def temos(random_run):
    return random_run("temos:debug")


def run(workdir, out, flags):
    generate.main(shlex.split(f"--workdir {workdir} --out {out} {flags}"))


def index(folder):
    lines = pathlib.Path(folder, "index.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def files(folder):
    return sorted(path.name for path in pathlib.Path(folder).glob("*.npz"))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("p.txt", "walk forward\n\nsit  down\n"),
        ("p.csv", "\ufeffText , seed\nwalk forward,\nsit down,\n"),
        ("p.csv", "text;name\r\nwalk forward;\r\nsit down;\r\n"),
        ("p.tsv", "text\tname\nwalk forward\t\nsit down\t\n"),
        ("p.jsonl", '{"text": "walk forward"}\n{"text": "sit down"}\n'),
    ],
)
def test_every_form_of_file_gives_the_same_phrases(tmp_path, name, content):
    prompts = read_prompts(write(tmp_path / name, content))
    assert [p.texts for p in prompts] == [("walk forward",), ("sit down",)]
    assert all((p.seconds, p.samples, p.seed) == (None,) * 3 for p in prompts)


def test_a_row_states_seconds_samples_seed_and_name_and_a_list_is_a_series(tmp_path):
    table = 'text,seconds,samples,seed,name\n"[""walk"", ""sit""]","[2, 1.5]",3,7,a b\n'
    rows = '{"text": ["walk", "sit"], "seconds": 2, "samples": 3}\n'
    (row,) = read_prompts(write(tmp_path / "p.csv", table))
    assert row.texts == ("walk", "sit") and row.seconds == (2.0, 1.5)
    assert (row.samples, row.seed, row.name) == (3, 7, "a b")
    (row,) = read_prompts(write(tmp_path / "p.jsonl", rows))
    assert row.seconds == (2.0, 2.0)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "must have the columns text in its first line"),
        ("text\n", "at least one prompt"),
        ("phrase\nwalk\n", "must have the columns text"),
        ("text,fps\nwalk,30\n", r"p.csv:2: the columns must be among .*, got fps"),
        ("text,seconds\nwalk,0\n", r"p.csv:2: seconds must be a number from"),
        ("text,seconds\nwalk,nan\n", "seconds must be a number"),
        ("text,samples\nwalk,1.5\n", "samples must be a whole number from 1"),
        ("text,seed\nwalk,-1\n", "seed must be a whole number"),
        ("text,name\nwalk,../x\n", "name must have at most 80"),
        ('text,seconds\n"[""a"", ""b""]","[1]"\n', "one for each of the 2 texts"),
        ('text\n"[""a"", ""b"\n', "p.csv:2: text must be JSON"),
        ("text\n  \n", "text must be a phrase"),
        ("text\n\"['a', 'b']\"\n", "p.csv:2: text must be JSON"),
        ("text,text\na,b\n", "must name each column once"),
        ("text\nwa\0lk\n", r"p.csv:2 must be plain text .* U\+0000 at position 3"),
    ],
)
def test_a_wrong_table_is_one_sentence(tmp_path, content, said):
    with pytest.raises(InputError, match=said) as caught:
        read_prompts(write(tmp_path / "p.csv", content))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["p.json", "p.xlsx", "p.npz"])
def test_a_file_of_another_kind_is_not_read_as_phrases(tmp_path, name):
    with pytest.raises(InputError, match="must be a .txt file with one phrase per"):
        read_prompts(write(tmp_path / name, "text\nwalk\n"))


def test_a_phrase_that_no_file_can_hold_is_said(tmp_path):
    path = write(tmp_path / "p.jsonl", '{"text": "walk"}\n{"text": "wa\\ud800lk"}\n')
    with pytest.raises(InputError, match=r"p.jsonl:2 must be plain text .* U\+D800"):
        read_prompts(path)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("", "either --text, or --prompts"),
        ("--text walk --split val", "either --text, or --prompts"),
        ("--split val --out page.html", "write a folder"),
        ("--text walk --captured", "must be given with --split"),
        ("--split val --base-url http://x/v1", "together with --describe-with"),
    ],
)
def test_flags_that_do_not_fit_together_are_one_sentence(flags, said):
    with pytest.raises(InputError, match=said):
        generate.main(shlex.split(flags))


def test_a_missing_file_of_prompts_is_said(temos, tmp_path):
    with pytest.raises(FileNotFoundError, match="no prompts at"):
        run(temos, tmp_path, f"--prompts {tmp_path / 'none.csv'}")


@slow
def test_the_documented_commands_turn_a_csv_into_a_page(temos, tmp_path, monkeypatch):
    page = (ROOT / "docs" / "generating.md").read_text()
    section = page.partition("## Many phrases")[2]
    commands = section.split("```")[1].strip().splitlines()
    assert len(commands) == 2
    store = open_store(pathlib.Path(json_config(temos)["data"]["store"]))
    phrases = sorted({label.phrase for label in store.labels})[:20]
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "phrases.csv", "\n".join(["text", *phrases]) + "\n")
    first, second = (shlex.split(line) for line in commands)
    assert first[:3] == ["python", "-m", "actiongpt_jax.generate"]
    generate.main([*first[3:], "--workdir", str(temos)])
    assert second[:4] == ["python", "-m", "actiongpt_jax.render", "motions/*.npz"]
    render.main([*map(str, pathlib.Path("motions").glob("*.npz")), *second[4:]])
    shown = pathlib.Path("page.html").read_text()
    assert all(phrase in shown for phrase in phrases) and len(phrases) == 20


def json_config(workdir):
    path = next(pathlib.Path(workdir).glob("checkpoints/0/config/*"))
    return json.loads(path.read_text())


@slow
def test_the_index_says_what_each_file_is_and_nothing_is_generated_twice(
    temos, tmp_path
):
    rows = [
        {"text": PHRASES[0], "seconds": 1, "samples": 2},
        {"text": PHRASES[0], "seconds": 0.9, "seed": 3},
        {"text": PHRASES[1], "seconds": 1, "name": "three"},
    ]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    prompts = write(tmp_path / "p.jsonl", lines)
    # A file of another text, under a name that would be taken.
    motion = Motion(np.zeros((2, 22, 3)), np.zeros((2, 3)), text=("fly",))
    out = tmp_path / "out"
    other = save_motion(out / "walk_forward_0.npz", motion).read_bytes()
    run(temos, out, f"--prompts {prompts}")
    assert (out / "walk_forward_0.npz").read_bytes() == other
    listed = index(out)
    named = {row["file"] for row in listed}
    assert named == {*files(out)} - {"walk_forward_0.npz"} and len(named) == 4
    for row in listed:
        motion = load_motion(out / row["file"])
        assert list(motion.text) == row["text"]
        assert list(motion.lengths) == row["frames"]
    assert {r["seed"] for r in listed if r["frames"] == [27]} == {3}
    assert [r["file"] for r in listed if r["text"] == ["jump up"]] == ["three_0.npz"]
    before = {name: (out / name).stat().st_mtime_ns for name in named}
    run(temos, out, f"--prompts {prompts}")
    assert before == {name: (out / name).stat().st_mtime_ns for name in named}
    # Another seed of the command is another motion for the rows that state none.
    run(temos, out, f"--prompts {prompts} --seed 9")
    assert len(index(out)) == len(listed) + 3
    # A file that is gone is made again, and is as before.
    gone = out / "three_0.npz"
    first = load_motion(gone).rotations
    gone.unlink()
    run(temos, out, f"--prompts {prompts}")
    np.testing.assert_allclose(load_motion(gone).rotations, first, atol=1e-4)


@slow
def test_a_series_of_a_model_that_reads_the_past_has_its_transitions(
    random_run, tmp_path
):
    teach = random_run("teach:debug")
    prompts = write(
        tmp_path / "p.jsonl", '{"text": ["walk forward", "jump up"], "seconds": 1}\n'
    )
    run(teach, tmp_path / "many", f"--prompts {prompts}")
    texts = "--text 'walk forward' --seconds 1 --text 'jump up' --seconds 1"
    run(teach, tmp_path / "one", texts)
    (name,) = files(tmp_path / "many")
    many, one = (load_motion(tmp_path / f / name) for f in ("many", "one"))
    np.testing.assert_array_equal(many.rotations, one.rotations)
    prompts.write_text('{"text": ["walk forward", "jump up"], "seconds": [1, 0.2]}\n')
    with pytest.raises(InputError, match="action 2, 'jump up', must be at least"):
        run(teach, tmp_path / "many", f"--prompts {prompts}")


@slow
def test_a_killed_run_goes_on_without_generating_a_whole_file_again(temos, tmp_path):
    phrases = [f"walk {number} steps" for number in range(40)]
    table = write(tmp_path / "p.txt", "\n".join(phrases) + "\n")
    out = tmp_path / "out"
    code = (
        "import os, signal, sys\n"
        "from actiongpt_jax.inference import motion_folder as m\n"
        "from actiongpt_jax import generate\n"
        "save, left = m.save_motion, [20]\n"
        "def save_and_die(*args):\n"
        "    left[0] -= 1\n"
        "    if not left[0]:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return save(*args)\n"
        "m.save_motion = save_and_die\n"
        "generate.main(sys.argv[1:])\n"
    )
    flags = ["--workdir", str(temos), "--out", str(out), "--prompts", str(table)]
    process = subprocess.run([sys.executable, "-c", code, *flags], check=False)
    assert process.returncode == -signal.SIGKILL
    listed = [row["file"] for row in index(out)]
    assert len(listed) == 19 and sorted(listed) == files(out)
    before = {name: (out / name).stat().st_mtime_ns for name in listed}
    generate.main(flags)
    assert len(files(out)) == len(phrases) == len(index(out))
    assert before == {name: (out / name).stat().st_mtime_ns for name in listed}


@slow
def test_a_split_gives_a_motion_and_its_captured_one_for_every_stretch(temos, tmp_path):
    run(temos, tmp_path / "out", "--split val --limit 3 --captured")
    rows = {row["file"]: row for row in index(tmp_path / "out")}
    generated = [row for row in rows.values() if row["kind"] == "generated"]
    assert len(generated) == 3 and len(rows) == 6
    for row in generated:
        captured = rows[row["captured"]]
        motions = [load_motion(tmp_path / "out" / r["file"]) for r in (row, captured)]
        assert motions[0].text == motions[1].text
        assert len(motions[0].rotations) == len(motions[1].rotations)
        assert captured["prompt"] == row["prompt"]
        # The random numbers of a stretch are those with which it is evaluated.
        assert row["seed"] == seed_of(0, row["prompt"])
        # The key names the sequence and its label; its frames are those of the store.
        store = open_store(pathlib.Path(json_config(temos)["data"]["store"]))
        name, _, number = row["prompt"].rpartition("-")
        sequence = next(i for i, s in enumerate(store.sequences) if s.name == name)
        label = [
            label
            for label in store.labels_by_sequence[sequence]
            if label.kind == "frame"
        ][int(number)]
        start = store.sequences[sequence].start + label.start
        frames = slice(start, start + label.end - label.start)
        np.testing.assert_array_equal(motions[1].rotations, store.rotations[frames])


@slow
def test_every_stretch_of_a_split_has_a_motion_of_its_own(temos, tmp_path):
    model = load_model(temos)
    stretches = [
        Prompt(key, ("walk forward",), (1.0,), start=0, frames=30) for key in ("a", "b")
    ]
    embedder = PhraseEmbedder(model.config)
    assert generate_files(model, stretches, tmp_path, embedder) == 2
    one, two = (load_motion(tmp_path / name) for name in files(tmp_path))
    assert (one.rotations != two.rotations).any()


@slow
def test_damaged_lines_of_the_index_are_set_aside(temos, tmp_path, capsys):
    table = write(tmp_path / "p.txt", "walk forward\njump up\n")
    out = tmp_path / "out"
    run(temos, out, f"--prompts {table}")
    lines = (out / "index.jsonl").read_text().splitlines()
    (out / "index.jsonl").write_text(f"{lines[0]}\n[1]\n{lines[1][:30]}")
    run(temos, out, f"--prompts {table}")
    assert "1 damaged of 2 lines" in capsys.readouterr().err
    assert sorted(row["file"] for row in index(out)) == files(out)
