"""CLIP's texts are cleaned and split as by its own tokenizer."""

import json
import pathlib

import pytest

from actiongpt_jax.errors import InputError
from actiongpt_jax.text import encoders
from actiongpt_jax.text.encoders import clip
from actiongpt_jax.text.encoders.tokenizer import Tokenizer
from tests.text.encoders.clip_folder import write_folder

RECORD = pathlib.Path(__file__).resolve().parents[2] / "golden" / "clip_pieces.json"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Returns a tokenizer with CLIP's own pieces, and (text, pieces) of hard texts."""
    content = json.loads(RECORD.read_text("utf-8"))
    folder = tmp_path_factory.mktemp("clip")
    (folder / "vocab.json").write_text(json.dumps(content["vocabulary"]))
    merges = "\n".join(["#version: 0.2", *content["merges"]])
    (folder / "merges.txt").write_text(merges + "\n", encoding="utf-8")
    return Tokenizer(folder, 1000, "clip", clip.clean), content["texts"]


def test_hard_texts_have_the_pieces_of_clips_own_tokenizer(recorded):
    tokenizer, texts = recorded
    assert len(texts) >= 200
    pieces = tokenizer([text for text, _ in texts])
    got = {
        text: piece.ids.tolist()[1:-1]
        for (text, _), piece in zip(texts, pieces, strict=True)
    }
    assert got == dict(texts)


def test_a_vocabulary_of_other_weights_is_named(tmp_path):
    # The folder's small vocabulary has no digits.
    tokenizer = encoders.load(write_folder(tmp_path / "clip")).tokenizer
    with pytest.raises(InputError, match="'1 2' has no word .*must know the words"):
        tokenizer(["1 2"])


def test_clip_encoders_clean_their_texts_and_say_so(tmp_path):
    encoder = encoders.load(write_folder(tmp_path / "clip"))
    assert encoder.variant == {"cleaning": clip.CLEANING}
    strange = ["  WALK&nbsp;\n forward", "ｗａｌｋ\u00a0forward"]
    plain, *cleaned = encoder.tokenizer(["walk forward", *strange])
    for piece in cleaned:
        assert piece.ids.tolist() == plain.ids.tolist()
