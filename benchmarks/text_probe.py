r"""How well do text embeddings predict motion? Probes them without training a model.

    python benchmarks/text_probe.py [--data runs/zero_shot/builtin-240] [--save FILE]

Uses the built-in corpus that `zero_shot.py` made. The mean motion of each phrase (40
frames, starting at the same place and heading) is predicted from its text by kernel
ridge regression on the training phrases, and by copying the motion of the nearest
training phrase. Prints one JSON line per form of the text:

`ridge`, `copy`: mean distance in metres between predicted and real joints, relative to
the pelvis, for training phrases (each left out in turn) and for unseen phrases that are
transparent or opaque as in `zero_shot.py`. `ridge_path`, `copy_path`: the same distance
for the pelvis. `side`: number of phrases with one named side for which ridge regression
predicts the right side, without phrases of the same movements in its training set. The
first two lines are references: no text at all, and the true movements of each phrase.
"""

import argparse
import json
import pathlib
import re

import nearness
import numpy as np
import record

from actiongpt_jax.data.batches.segments import segments
from actiongpt_jax.data.motion_store import open_store
from actiongpt_jax.synthetic.phrases import load_phrases, opaque_phrases
from actiongpt_jax.synthetic.texts import describe
from actiongpt_jax.text import encoders
from actiongpt_jax.text.embeddings.encode import embed_texts

FRAMES = 40
RIDGES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
NO_TEXT = "none: the mean of all training phrases"
SHARPNESS = 8.0  # scale of the cosine of two tokens in `matches`


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="runs/zero_shot/builtin-240")
    parser.add_argument("--save", help="write the results to this file as well")
    args = parser.parse_args()
    clips = clips_by_phrase(open_store(pathlib.Path(args.data) / "motion"))
    rows = []
    for name, kernel in kernels().items():
        rows.append({"text": name, **evaluate(kernel, clips)})
        if name == NO_TEXT:  # all phrases are equally near
            for figure in ("copy", "copy_path", "side"):
                del rows[-1][figure]
        print(json.dumps(rows[-1]), flush=True)
    if args.save:
        record.save(args.save, rows, phrases=len(load_phrases()))


def clips_by_phrase(store):
    """Returns phrase -> (clips, FRAMES, 22, 3) joint positions, metres."""
    items = [i for split in ("train", "val") for i in segments(store, split)]
    clips = {phrase.text: [] for phrase in load_phrases()}
    for item, joints in zip(items, nearness.clips_of(store, items), strict=True):
        clips[item.phrase].append(resample(upright(joints)))
    return {phrase: np.stack(result) for phrase, result in clips.items()}


def upright(joints):
    """Removes the position and heading of frame 0, taken from the hips, from joints."""
    across = joints[0, 1] - joints[0, 2]
    angle = np.arctan2(across[1], across[0])
    cos, sin = np.cos(angle), np.sin(angle)
    moved = joints - joints[0, 0] * np.array([1, 1, 0])
    return moved @ np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])


def resample(joints):
    at = np.linspace(0, len(joints) - 1, FRAMES)
    low = np.minimum(at.astype(int), len(joints) - 2)
    part = (at - low)[:, None, None]
    return joints[low] * (1 - part) + joints[low + 1] * part


def kernels():
    """Returns form of the text -> (n, n) similarities between the n phrases."""
    encoder = encoders.load("minilm")
    names = [phrase.text for phrase in load_phrases()]
    texts = [[d.text for d in describe(p) if is_full(d)][:4] for p in load_phrases()]
    made_of = [[f"{m} {m}-{side}" for m, side in p.parts] for p in load_phrases()]
    phrase = [embed_texts(encoder, [name]).tokens for name in names]
    one = [embed_texts(encoder, few[:1]).tokens for few in texts]
    mean = [embed_texts(encoder, few).tokens for few in texts]
    concat = [embed_texts(encoder, few, "concat").tokens for few in texts]
    return {
        NO_TEXT: np.eye(len(names)),
        "movements (oracle)": words([" ".join(parts) for parts in made_of]),
        "phrase, words": words(names),
        "descriptions, words": words([" ".join(few) for few in texts]),
        "phrase, mean of tokens": cosine([x.mean(0) for x in phrase]),
        "k=4 descriptions, mean of tokens": cosine([x.mean(0) for x in mean]),
        "phrase, tokens": matches(phrase),
        "k=1 description, tokens": matches(one),
        "k=4 descriptions, tokens of the mean": matches(mean),
        "k=4 descriptions, tokens of all": matches(concat),
    }


def is_full(description):
    return (description.writer, description.prompt) == ("synthetic", "detail")


def cosine(vectors):
    unit = np.stack(vectors).astype(float)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    return unit @ unit.T


def words(texts):
    """Returns the similarities of bags of words, weighted by inverse frequency."""
    bags = [set(re.findall(r"[^\s.,;]+", text.lower())) for text in texts]
    vocabulary = sorted(set().union(*bags))
    has = np.array([[word in bag for word in vocabulary] for bag in bags], float)
    return cosine(has * np.log(len(texts) / has.sum(0)) + 1e-9)


def matches(token_sets):
    """Returns attention-like similarities, averaged over all pairs of tokens."""
    centre = np.concatenate(token_sets).mean(0)
    sets = [np.asarray(x, float) - centre for x in token_sets]
    sets = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in sets]
    result = np.array(
        [[np.exp(SHARPNESS * (a @ b.T - 1)).mean() for b in sets] for a in sets]
    )
    scale = np.sqrt(np.diag(result))
    return result / scale / scale[:, None]


def evaluate(kernel, clips):
    means = np.stack([result.mean(0) for result in clips.values()])
    seen = np.array([not phrase.held_out for phrase in load_phrases()])
    opaque = np.isin(list(clips), opaque_phrases())
    rows = np.flatnonzero(seen)
    flat = means.reshape(len(means), -1)
    left_out = {
        ridge: [fit(kernel, flat, rows[rows != i], i, ridge) for i in rows]
        for ridge in RIDGES
    }
    ridge = min(RIDGES, key=lambda r: np.abs(left_out[r] - flat[rows]).mean())
    guess = flat.copy()
    guess[rows] = left_out[ridge]
    for i in np.flatnonzero(~seen):
        guess[i] = fit(kernel, flat, rows, i, ridge)
    guess = guess.reshape(means.shape)
    near = np.where(seen & ~np.eye(len(kernel), dtype=bool), kernel, -np.inf).argmax(1)
    figures = {
        "ridge": distance(guess, clips),
        "ridge_path": distance(guess, clips, path=True),
        "copy": distance(means[near], clips),
        "copy_path": distance(means[near], clips, path=True),
    }
    groups = {"seen": seen, "transparent": ~seen & ~opaque, "opaque": opaque}
    return {
        **{
            name: {g: round(float(x[m].mean()), 4) for g, m in groups.items()}
            for name, x in figures.items()
        },
        "side": sides_predicted(kernel, ridge),
    }


def distance(guesses, clips, path=False):
    """Returns (n,) mean distances from guesses to the clips of their phrase, metres."""
    result = []
    for guess, real in zip(guesses, clips.values(), strict=True):
        pelvis = guess[:, :1], real[:, :, :1]
        one, other = pelvis if path else (guess - pelvis[0], real - pelvis[1])
        result.append(np.linalg.norm(one - other, axis=-1).mean())
    return np.array(result)


def fit(kernel, targets, rows, i, ridge):
    """Returns the prediction for text `i` of a ridge regression fitted to `rows`."""
    inner, outer = kernel[np.ix_(rows, rows)], kernel[i, rows]
    mean = inner.mean(0)
    outer = outer - outer.mean() - mean + mean.mean()
    inner = inner - mean - mean[:, None] + mean.mean()
    inner += ridge * np.trace(inner) / len(rows) * np.eye(len(rows))
    centre = targets[rows].mean(0)
    return centre + outer @ np.linalg.solve(inner, targets[rows] - centre)


def sides_predicted(kernel, ridge):
    phrases = load_phrases()
    one_sided = [i for i, phrase in enumerate(phrases) if len(phrase.sides) == 1]
    named = [i for i in one_sided if {"left", "right"} & set(phrases[i].text.split())]
    sides = np.array([2.0 * (1 in phrase.sides) - 1 for phrase in phrases])
    right = []
    for i in named:
        moves = {move for move, side in phrases[i].parts if side is not None}
        rows = [j for j in named if not moves & {move for move, _ in phrases[j].parts}]
        right.append(fit(kernel, sides, np.array(rows), i, ridge) * sides[i] > 0)
    return f"{sum(right)} of {len(right)}"


if __name__ == "__main__":
    main()
