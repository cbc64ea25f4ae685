r"""What do embeddings of phrases and descriptions say of action, manner and side?

    python benchmarks/claim_embeddings.py --text STORE --factors RULE [--save FILE]

Reads an embedding store made with --each, and takes of every text the mean of its token
vectors. Prints a JSON line per kind of text:

action, manner   share of phrases whose action or manner a linear classifier reads,
                 fitted to the texts of all other phrases: both occur in other phrases.
side             the same for left, right and both, of the phrases that name one.
side_elsewhere   left or right, fitted to the phrases of other movements only (raise,
                 wave, walk): whether the side of one movement is that of another.
shares           share of the variance of the vectors that is explained by the action,
                 by the manner, and by neither alone; for k > 1 texts of a phrase apart,
                 also by which text it is.

Rates have 95 % intervals, from a bootstrap over phrases. Each is the best of four
strengths of the classifier's ridge, so it is slightly too high for every kind of text.
"""

import argparse
import collections
from collections.abc import Callable, Sequence

import claim_figures
import claim_splits
import numpy as np
import record

from actiongpt_jax.text.embeddings.store import EmbeddingStore, open_embeddings

_SIDES = ("left", "right", "both")
_RIDGES = (1.0, 10.0, 100.0, 1000.0)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--text", required=True, help="embedding store made with --each"
    )
    parser.add_argument("--factors", required=True, help="rule of the phrases' factors")
    parser.add_argument("--save", help="write the results to this file as well")
    args = parser.parse_args()
    store, factors = open_embeddings(args.text), claim_splits.read_factors(args.factors)
    cases = (
        {"text": name, **readable(vectors, factors)}
        for name, vectors in kinds(store, sorted(factors)).items()
    )
    about = {"encoder": store.encoder, "phrases": len(factors), "writer": store.writer}
    record.report(cases, args.save, **about)


def kinds(store: EmbeddingStore, phrases: Sequence[str]) -> dict[str, np.ndarray]:
    """Returns kind of text -> (phrases, texts of a phrase, width) vectors."""

    def mean(**which) -> np.ndarray:
        return np.stack([store.tokens(p, **which).mean(0, np.float64) for p in phrases])

    singles = np.stack([mean(index=i) for i in range(store.k)], axis=1)
    return {
        "phrase": mean(source="phrase")[:, None],
        "one description": singles[:, :1],
        "mean of two": singles[:, :2].mean(1, keepdims=True),
        f"mean of {store.k}": singles.mean(1, keepdims=True),
        f"mean of {store.k}, token by token": mean()[:, None],
        f"{store.k} descriptions apart": singles,
    }


def readable(vectors: np.ndarray, factors: claim_splits.Factors) -> dict[str, object]:
    """Returns the figures of one kind of text; see the top of this file."""
    phrases = sorted(factors)
    actions, manners = ([factors[p][i] for p in phrases] for i in (0, 1))
    sides = [side_of(phrase) for phrase in phrases]
    moves = [action.split()[0] for action in actions]
    one_sided = [i for i, side in enumerate(sides) if side in _SIDES[:2]]
    sided = [i for i, side in enumerate(sides) if side]
    everything = range(len(phrases))
    return {
        "action": rate(vectors, actions, everything, lambda i, j: i != j),
        "manner": rate(vectors, manners, everything, lambda i, j: i != j),
        "side": rate(vectors, sides, sided, lambda i, j: i != j),
        "side_elsewhere": rate(
            vectors, sides, one_sided, lambda i, j: moves[i] != moves[j]
        ),
        "chance": {
            name: round(max(collections.Counter(x).values()) / len(x), 3)
            for name, x in (
                ("action", actions),
                ("manner", manners),
                ("side", [sides[i] for i in sided]),
                ("side_elsewhere", [sides[i] for i in one_sided]),
            )
        },
        "shares": shares(vectors, actions, manners),
    }


def side_of(phrase: str) -> str:
    """Returns the side that a phrase names, or ''."""
    return next((side for side in _SIDES if side in phrase.split()), "")


def rate(
    vectors: np.ndarray,
    names: Sequence[str],
    rows: Sequence[int],
    may_teach: Callable[[int, int], bool],
) -> list[float]:
    """Returns how often a classifier is right about a phrase that it was not fitted to.

    Args:
        vectors: (phrases, texts of a phrase, width) vectors.
        names: the class of each phrase.
        rows: the phrases to classify, and to fit to.
        may_teach: whether, to classify phrase i, phrase j may be fitted to.

    Returns:
        [rate, low, high].
    """
    hits = np.zeros((len(_RIDGES), len(rows)))
    for place, i in enumerate(rows):
        taught = [j for j in rows if may_teach(i, j)]
        inputs = vectors[taught].reshape(-1, vectors.shape[-1])
        classes = np.repeat([names[j] for j in taught], vectors.shape[1])
        for strength, ridge in enumerate(_RIDGES):
            probe = claim_figures.linear_probe(inputs, classes, ridge)
            hits[strength, place] = (probe(vectors[i]) == names[i]).mean()
    best = hits[hits.mean(1).argmax()].tolist()
    return [round(x, 3) for x in claim_figures.interval([[best]])]


def shares(
    vectors: np.ndarray, actions: Sequence[str], manners: Sequence[str]
) -> dict[str, float]:
    """Divides the variance of vectors of all combinations of actions and manners."""
    centred = vectors - vectors.mean((0, 1))
    total = (centred**2).sum()

    def explained(names: Sequence[str]) -> float:
        groups = [centred[np.array(names) == name] for name in set(names)]
        means = [
            (group.mean((0, 1)), group.shape[0] * group.shape[1]) for group in groups
        ]
        return float(sum(count * (mean**2).sum() for mean, count in means) / total)

    within = ((centred - centred.mean(1, keepdims=True)) ** 2).sum() / total
    result = {"action": explained(actions), "manner": explained(manners)}
    rest = 1 - sum(result.values()) - within
    result |= {"combination": rest, "text": float(within)}
    return {name: round(value, 3) for name, value in result.items()}


if __name__ == "__main__":
    main()
