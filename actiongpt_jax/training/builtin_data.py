"""The built-in data of the configs' small forms, such as `teach:demo`."""

import pathlib

from actiongpt_jax.choices import FRAMERATE
from actiongpt_jax.config_fields import Config
from actiongpt_jax.data.batches.segment_batches import padded_tokens
from actiongpt_jax.data.motion_store import open_store
from actiongpt_jax.data.store_builder import format_report
from actiongpt_jax.synthetic.corpus import build_synthetic_store
from actiongpt_jax.text.embeddings.builder import summary
from actiongpt_jax.text.embeddings.from_descriptions import embed_descriptions
from actiongpt_jax.text.embeddings.store import open_embeddings
from actiongpt_jax.training import parallel

ENCODER = "minilm"  # embeds the texts of the built-in data


def makes_builtin_data(config: Config) -> bool:
    """Returns whether a config uses built-in data, without naming their stores."""
    return bool(config.data.builtin) and not (config.data.store or config.text.store)


def use_builtin_data(config: Config, folder: pathlib.Path) -> None:
    """Makes the built-in corpus and its embeddings once, and sets the config's stores.

    Does nothing for a config that names stores or does not use built-in data.

    Args:
        config: config whose `data.builtin`, `data.combined` and `data.first_foot` say
            what the corpus is; its `data.store` and `text.store` are set.
        folder: folder for the corpus; runs that share the folder share the corpus.
    """
    if not makes_builtin_data(config):
        return
    sequences, combined = config.data.builtin, config.data.combined
    foot = config.data.first_foot
    name = f"{sequences}-{combined}" if combined else f"{sequences}"
    name += "" if foot == "either" else f"-{foot}"
    fps = config.data.framerate
    name += f"-{fps:g}fps" * (fps != FRAMERATE)
    corpus = folder / f"builtin-{name}"
    k, each = config.text.k or 4, config.text.draw == "one"
    motion, text = corpus / "motion", corpus / f"text-k{k}{'-each' if each else ''}"

    def make() -> None:
        if not motion.exists():
            report = build_synthetic_store(
                motion,
                sequences,
                num_combined=combined,
                first_foot=foot,
                fps=fps,
            )
            print(format_report(report))
        if not text.exists():
            meta = embed_descriptions(
                text, motion / "descriptions.jsonl", ENCODER, k=k, each=each
            )
            print(f"{text}: {summary(meta)}")

    parallel.run_on_first(make, f"the built-in data in {corpus}")
    config.data.store, config.text.store = str(motion), str(text)


def longest_text(config: Config) -> int:
    """Returns the number of tokens that every text of a config's stores fits into.

    With this number as `config.text.num_tokens`, runs on descriptions and on phrases
    share their compiled programs.
    """
    store, embeddings = (
        open_store(config.data.store),
        open_embeddings(config.text.store),
    )
    phrases = sorted({label.phrase for label in store.labels} & set(embeddings.phrases))
    return max(
        padded_tokens(embeddings, phrases, source)
        for source in ("descriptions", "phrase")
    )
