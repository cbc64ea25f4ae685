"""The whole road from motion-capture files to a trained and evaluated model."""

import json

import pytest

from actiongpt_jax import embed, prepare
from actiongpt_jax.evaluation.run import evaluate_model
from actiongpt_jax.training.loop import train
from tests.data.mocap.skeletons import Style, along_x, to_bvh, walking

RULE = r"""
pattern: 'dataset-2_(?P<action>[^_]+)_(?P<manner>[^_]+)_\d+'
text: '{action} {manner}'
words:
  action: {walk: walk, wave-right-hand: wave the right hand}
  manner: {normal: '', active: in a very active way}
"""
PHRASES = {
    ("walk", "normal"): "walk",
    ("walk", "active"): "walk in a very active way",
    ("wave-right-hand", "normal"): "wave the right hand",
    ("wave-right-hand", "active"): "wave the right hand in a very active way",
}


@pytest.mark.slow
def test_bvh_files_with_telling_names_become_an_evaluated_model(
    debug_config, tmp_path, capsys
):
    turned, pelvis = walking()
    style = Style(
        names={"pelvis": "Hips"},
        frames=along_x(),
        positions=True,
        placed_below=True,
    )
    (tmp_path / "clips").mkdir()
    for action, manner in PHRASES:
        first = 0 if action == "walk" else len(turned) - 60
        frames = slice(first, first + 60, 2 if manner == "active" else 1)
        text = to_bvh(style, turned[frames], pelvis[frames])
        for number in range(3):
            name = f"dataset-2_{action}_{manner}_{number:03d}.bvh"
            (tmp_path / "clips" / name).write_text(text)
    (tmp_path / "rule.yaml").write_text(RULE)
    described = {
        p: [f"The person will {p}.", f"A way to {p}."] for p in PHRASES.values()
    }
    (tmp_path / "descriptions.json").write_text(json.dumps(described))
    motions, store, texts = (str(tmp_path / n) for n in ("npz", "store", "texts"))
    prepare.main(["motion", str(tmp_path / "clips"), "--out", motions])
    rule = str(tmp_path / "rule.yaml")
    prepare.main(
        ["table", "--motions", motions, "--rule", rule, "--val", "0.25", "--out", store]
    )
    assert "12 sequences, 12 segments" in capsys.readouterr().out
    descriptions = str(tmp_path / "descriptions.json")
    arguments = ["--descriptions", descriptions, "--encoder", "minilm", "--k", "2"]
    embed.main([*arguments, "--out", texts])
    stores = [f"--config.data.store={store}", f"--config.text.store={texts}"]
    train(debug_config("temos:debug", *stores), tmp_path / "run")
    result = evaluate_model(tmp_path / "run", split="val", limit=3)
    assert result["motions"] == 3 and 0 < result["ape_ave"]["mean"]["ape_root"][0] < 10
