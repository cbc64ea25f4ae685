"""Descriptions on disk: round trips, merging, selection and invalid files."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actiongpt_jax.errors import InputError
from actiongpt_jax.text import description, prompts
from actiongpt_jax.text.descriptions import (
    Description,
    Descriptions,
    read_descriptions,
    write_descriptions,
    write_published,
)

TEXTS = st.text(st.characters(codec="utf-8"), min_size=1).filter(str.strip)
RECORDS = st.lists(
    st.builds(
        Description,
        phrase=TEXTS,
        index=st.integers(0, 5),
        text=TEXTS,
        prompt=st.sampled_from(sorted(prompts.TEMPLATES)),
        writer=TEXTS,
        model=st.none() | TEXTS,
        parameters=st.none() | st.just({"temperature": 0.5}),
        time=st.none() | st.just("2024-01-01"),
        fingerprint=st.none() | TEXTS,
        template=st.none() | TEXTS,
        system=st.none() | TEXTS,
        call=st.none() | st.just({"id": "c", "n": 4, "seed": 3}),
        usage=st.none() | st.just({"prompt_tokens": 3}),
        redo=st.none() | st.just("echo"),
    ),
    min_size=1,
    unique_by=lambda record: record.key,
)


def lines(path, *records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def record(phrase="walk", index=0, text="They walk.", **more):
    return {"phrase": phrase, "index": index, "text": text, **more}


def texts_of(descriptions, phrase="walk", **selection):
    return [r.text for r in descriptions.select(**selection)[phrase]]


@given(RECORDS)
def test_records_are_read_back_as_written(tmp_path_factory, records):
    path = tmp_path_factory.mktemp("descriptions") / "d.jsonl"
    write_descriptions(path, records)
    read = read_descriptions(path)
    assert sorted(r.key for rs in read.values() for r in rs) == sorted(
        r.key for r in records
    )
    assert all(r in records for rs in read.values() for r in rs)
    assert read.truncated == []


def test_published_form_is_read_back_as_written(tmp_path):
    published = {"walk": ["They walk.", "Légs."], "phrase": ["x", "y"]}
    path = write_published(tmp_path / "d.json", published)
    assert json.loads(path.read_text()) == published
    chosen = read_descriptions(path).select(k=2)
    assert {p: [r.text for r in rs] for p, rs in chosen.items()} == published
    assert dict(read_descriptions(published)) == dict(read_descriptions(path))


def test_invalid_mappings_are_rejected():
    with pytest.raises(InputError, match="'walk' must be a list of texts, got 'They"):
        read_descriptions({"walk": "They walk."})
    with pytest.raises(InputError, match="phrase must not be empty"):
        read_descriptions({" ": ["They walk."]})
    with pytest.raises(InputError, match="at least one description"):
        read_descriptions({})


def test_reads_real_description_files(shared_file):
    minibabel = read_descriptions(shared_file("data/minibabel/descriptions.json"))
    assert all(len(records) == 4 for records in minibabel.select(k=4).values())
    babel = read_descriptions(shared_file("data/llm/gpt35_babel_categories.json"))
    assert len(babel.select(k=4)) == 219


def test_last_record_with_a_key_wins(tmp_path):
    path = lines(
        tmp_path / "d.jsonl", record(), record(text="Better."), record(index=1)
    )
    assert texts_of(read_descriptions(path)) == ["Better.", "They walk."]
    keyed = lines(
        tmp_path / "k.jsonl", record(key="a"), record(key="a", text="Better.")
    )
    assert texts_of(read_descriptions(keyed)) == ["Better."]


def test_files_of_a_folder_are_merged(tmp_path):
    lines(tmp_path / "a.jsonl", record(), record("run"))
    lines(tmp_path / "b.jsonl", record(index=1), record(text="Better."))
    read = read_descriptions(tmp_path)
    assert texts_of(read) == ["Better.", "They walk."]
    assert list(read) == ["walk", "run"]


def test_truncated_last_line_is_reported(tmp_path):
    path = tmp_path / "d.jsonl"
    whole = json.dumps(record()) + "\n" + json.dumps(record(text="é" * 9, index=1))
    content = whole.encode()
    path.write_bytes(content[:-5])
    read = read_descriptions(path)
    assert read.truncated == [f"{path}:2"]
    assert texts_of(read) == ["They walk."]
    path.write_bytes(content[:-5] + b"\n" + content)
    with pytest.raises(InputError, match=r"d\.jsonl:2 must be one JSON value"):
        read_descriptions(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[1]\n", ":1 must be one JSON object with phrase"),
        ('{"index": 0, "text": "x"}\n', "'phrase'"),
        ('{"phrase": "a", "index": "0", "text": "x"}\n', "'index'"),
        ('{"phrase": "a", "index": true, "text": "x"}\n', "'index'"),
        ('{"phrase": "a", "index": -1, "text": "x"}\n', "'index' must be 0 or more"),
        ('{"phrase": "a", "index": 0, "text": null}\n', "'text'"),
        ('{"phrase": "a", "index": 0, "text": "x", "prompt": 3}\n', "'prompt'"),
        ('{"phrase": " ", "index": 0, "text": "x"}\n', "must not be empty"),
        ('{"phrase": "a", "index": 0, "text": "\\ud83d"}\n', "valid Unicode"),
        ("\n", "at least one description"),
    ],
)
def test_invalid_line_error_names_file_and_line(content, words, tmp_path):
    path = tmp_path / "d.jsonl"
    path.write_text(content)
    with pytest.raises(InputError, match=words) as raised:
        read_descriptions(path)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"walk": ["a", "b"\n', "must be JSON"),
        ('["a"]', "must hold an object"),
        ('{"walk": "a"}', "'walk' must be a list of texts"),
        ('{"walk": ["a", 3]}', "'walk' must be a list of texts"),
        ("{}", "at least one description"),
    ],
)
def test_rejects_invalid_published_files(content, words, tmp_path):
    path = tmp_path / "d.json"
    path.write_text(content)
    with pytest.raises(InputError, match=words):
        read_descriptions(path)


def test_reads_jsonl_under_any_file_name(tmp_path):
    one = lines(tmp_path / "one.json", record())
    two = lines(tmp_path / "two.json", record(), record(index=1))
    assert len(read_descriptions(one)["walk"]) == 1
    assert len(read_descriptions(two)["walk"]) == 2


@pytest.mark.parametrize("name", ["d.jsonl", "d.json"])
def test_files_may_start_with_a_byte_order_mark(tmp_path, name):
    path = lines(tmp_path / name, record(), record(index=1, text="Again."))
    if name == "d.json":
        path = write_published(path, {"walk": ["They walk.", "Again."]})
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert texts_of(read_descriptions(path)) == ["They walk.", "Again."]


def test_missing_files_are_reported(tmp_path):
    with pytest.raises(FileNotFoundError, match="actiongpt_jax.describe"):
        read_descriptions(tmp_path / "absent.jsonl")
    with pytest.raises(InputError, match="must hold"):
        read_descriptions(tmp_path)


@pytest.fixture
def mixed():
    return Descriptions(
        [
            Description("walk", 0, "a", writer="first"),
            Description("walk", 1, "b", writer="first"),
            Description("walk", 0, "c", writer="second"),
            Description("walk", 0, "d", writer="third", prompt="action"),
        ],
        "mixed.jsonl",
    )


def test_selects_by_prompt_and_writer(mixed):
    assert texts_of(mixed) == ["a", "b"]
    assert texts_of(mixed, writer="second") == ["c"]
    assert texts_of(mixed, prompt="action") == ["d"]
    assert mixed.prompts == ["detail", "action"]
    assert mixed.writers("detail") == ["first", "second"]


@pytest.mark.parametrize(
    ("selection", "words"),
    [
        ({"prompt": "movements"}, "'detail', 'action'; choose with --prompt"),
        ({"writer": "fourth"}, "'first', 'second'; choose with --writer"),
        ({"k": 3}, r"3 descriptions by 'first'.*1 of 1 have fewer: 'walk' \(2\)"),
    ],
)
def test_rejects_selection_without_matches(selection, words, mixed):
    with pytest.raises(InputError, match=words):
        mixed.select(**selection)


def test_empty_texts_do_not_count():
    read = Descriptions([Description("walk", 0, " "), Description("walk", 1, "a")])
    assert texts_of(read) == ["a"]
    with pytest.raises(InputError, match="fewer"):
        read.select(k=2)


def test_rejects_mixed_settings():
    warm, cold = ({"temperature": t} for t in (1.0, 0.0))
    read = Descriptions(
        [
            Description("walk", 0, "a", parameters=warm),
            Description("walk", 0, "b", parameters=cold),
        ]
    )
    with pytest.raises(InputError, match="different settings"):
        read.select()


def test_fields_of_a_record_are_read_in_the_order_of_the_class():
    fields = [field.name for field in dataclasses.fields(Description)]
    assert [*description._KINDS] == fields
