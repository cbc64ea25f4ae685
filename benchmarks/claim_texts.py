"""The embedding stores that the arms of `claim.py` read."""

import json
import pathlib
import shutil
from collections.abc import Sequence

import numpy as np

from actiongpt_jax.files.atomic import publish, write_json, write_text
from actiongpt_jax.files.safetensors import write_tensors
from actiongpt_jax.text.descriptions import read_descriptions
from actiongpt_jax.text.embeddings.from_descriptions import embed_descriptions
from actiongpt_jax.text.embeddings.index import INDEX, META, shard_name
from actiongpt_jax.text.embeddings.store import EmbeddingStore, open_embeddings


def make_store(
    folder: pathlib.Path,
    kind: str,
    descriptions: str,
    encoder: str,
    k: int,
    permutation: dict[str, str],
    replicate: int,
) -> pathlib.Path:
    """Returns an embedding store of a kind, and makes it if it does not exist.

    Args:
        folder: folder of the stores.
        kind: 'own', the phrases and the mean of their k descriptions; 'kN', the mean of
            the first N; 'permuted', the descriptions of another phrase; 'category', one
            vector per phrase.
        descriptions: file of the descriptions.
        encoder: text encoder.
        k: number of descriptions of a phrase.
        permutation: phrase -> phrase whose descriptions it gets in 'permuted'.
        replicate: number of the replicate that the permutation belongs to.
    """
    out = folder / (f"permuted-{replicate}" if kind == "permuted" else kind)
    if out.exists():
        return out
    folder.mkdir(parents=True, exist_ok=True)
    phrases = sorted(permutation)
    texts = read_descriptions(descriptions).select(k=k)
    own = {phrase: [r.text for r in texts[phrase]] for phrase in phrases}
    if kind == "category":
        like = make_store(
            folder, "own", descriptions, encoder, k, permutation, replicate
        )
        write_category_store(out, phrases, open_embeddings(like))
    elif kind == "permuted":
        others = {phrase: own[permutation[phrase]] for phrase in phrases}
        embed_descriptions(out, others, encoder, k=k)
    else:
        count = k if kind == "own" else int(kind.removeprefix("k"))
        embed_descriptions(out, own, encoder, k=count, each=kind == "own")
    return out


def write_category_store(
    out: pathlib.Path, phrases: Sequence[str], like: EmbeddingStore
) -> None:
    """Writes a store in which every phrase is one vector, all at right angles.

    The vectors have the width of another store, if there are not more phrases, and the
    root mean square length of its phrases' tokens, so that models of both stores have
    the same number of parameters and inputs of the same size.

    Args:
        out: folder of the store.
        phrases: the phrases.
        like: the other store, which holds the phrases too.
    """
    count, width = len(phrases), max(len(phrases), like.width)
    tokens = np.concatenate([like.tokens(phrase, "phrase") for phrase in phrases])
    length = np.sqrt((tokens.astype(np.float64) ** 2).sum(-1).mean())
    vectors = np.eye(count, width)
    tables = {
        "phrase.tokens": (length * vectors).astype(np.float16),
        "phrase.offsets": np.arange(count + 1),
        "phrase.pooled": vectors.astype(np.float32),
        "descriptions.tokens": np.zeros((0, width), np.float16),
        "descriptions.offsets": np.zeros(count + 1, np.int64),
    }
    sums = {"phrases": count, "texts": count, "tokens": count}
    name = {"encoder": "category", "weight_hash": "category", "width": width}
    none = dict.fromkeys(("prompt", "prompt_version", "writer", "first_truncated"))
    partial = out.with_name(out.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    write_text(
        partial / INDEX,
        (json.dumps([p, 0, row, 0, 1, 0, 0]) + "\n" for row, p in enumerate(phrases)),
    )
    write_tensors(
        partial / shard_name(0), {name: [table] for name, table in tables.items()}
    )
    write_json(
        partial / META,
        {
            **like.meta,
            **sums,
            **name,
            **none,
            "k": 0,
            "each": False,
            "texts_hash": None,
        },
    )
    publish(partial, out)
