"""`evaluate --categories`: recognition by the nearest text, compared with numpy."""

import collections
import json

import numpy as np
import pytest

from actiongpt_jax import evaluate
from actiongpt_jax.data.motion_store import open_store
from actiongpt_jax.errors import InputError
from actiongpt_jax.evaluation.run import evaluate_model
from actiongpt_jax.inference.latents import encode_motions, encode_texts
from actiongpt_jax.inference.phrase_embedder import PhraseEmbedder
from actiongpt_jax.inference.requests import Request
from actiongpt_jax.inference.trained import load_model

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def categories(stores, tmp_path_factory):
    """Returns the file of the seven most usual categories, and their names."""
    labels = open_store(stores[0]).labels
    count = collections.Counter(name for row in labels for name in row.categories)
    del count["transition"]
    names = sorted(name for name, _ in count.most_common(7))
    path = tmp_path_factory.mktemp("categories") / "categories.txt"
    path.write_text("\n".join(names) + "\n")
    return path, names


def expected(workdir, store, split, names):
    """Returns the shares of top-1 and top-5, and the number of motions."""
    trained, found = load_model(workdir), []
    for index, sequence in enumerate(store.sequences):
        if sequence.split != split:
            continue
        rows = store.labels_by_sequence[index]
        for row in rows:
            length = row.end - row.start
            if row.kind == "frame" and row.phrase != "transition":
                if 15 <= length <= 64 and set(row.categories) & set(names):
                    found.append((store.motion(index, row.start, row.end), row))
    embedder = PhraseEmbedder(trained.config)
    texts = np.concatenate(
        [encode_texts(trained, [Request("", embedder.describe([n]), 1)]) for n in names]
    )
    hits = []
    for motion, row in found:
        latent = encode_motions(trained, [motion])[0]
        lengths = np.linalg.norm(texts, axis=1) * np.linalg.norm(latent)
        best = np.argsort(-(texts @ latent) / lengths)
        own = [names[i] in row.categories for i in best]
        hits.append((own[0], any(own[:5])))
    return np.mean(hits, 0), len(hits)


def test_motions_are_recognised_by_the_nearest_category(
    random_run, stores, categories, tmp_path, capsys
):
    path, names = categories
    workdir = random_run("temos:debug")
    flags = ["--workdir", str(workdir), "--split", "train", "--categories", str(path)]
    out = tmp_path / "recognition.json"
    evaluate.main([*flags, "--out", str(out)])
    printed = capsys.readouterr()
    assert f"the nearest of {len(names)} categories" in printed.out
    assert "no descriptions" not in printed.err
    result = json.loads(out.read_text())
    assert result["categories"] == path.name
    figures = result["recognition"]
    shares, count = expected(workdir, open_store(stores[0]), "train", names)
    assert (figures["motions"], figures["categories"]) == (count, len(names))
    for k, share in zip((1, 5), shares, strict=True):
        value, low, high = figures[f"top{k}"]
        assert value == pytest.approx(share) and low <= value <= high
        means = [row[f"top{k}"] for row in figures["by_category"].values()]
        assert figures[f"top{k}_by_category"] == pytest.approx(np.mean(means))
    assert 0 < shares[1]


@pytest.mark.parametrize("model", ["motionclip", "evaluator"])
def test_windows_have_all_their_categories_and_evaluators_recognise_too(
    random_run, stores, categories, model
):
    path, names = categories
    workdir = random_run(f"{model}:debug")
    figures = evaluate_model(workdir, split="train", categories=path)["recognition"]
    assert figures["motions"] > 0
    assert 0 <= figures["top1"][0] <= figures["top5"][0] <= 1
    rows = figures["by_category"].values()
    assert sum(row["motions"] for row in rows) >= figures["motions"]


def test_categories_that_no_motion_has_are_refused(random_run, tmp_path):
    (tmp_path / "c.txt").write_text("swim\nfly\n")
    with pytest.raises(InputError, match="got 'swim' and 1 others, which none of") as e:
        evaluate_model(random_run("temos:debug"), categories=tmp_path / "c.txt")
    assert "\n" not in str(e.value)
