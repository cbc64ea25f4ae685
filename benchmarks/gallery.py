r"""The paper's figures from your own models, as one page to look at.

    python benchmarks/gallery.py --workdir descriptions=runs/teach \
        --workdir phrase=runs/teach-phrase --descriptions data/descriptions.jsonl \
        --out gallery.html

Phrase beside descriptions for phrases seen in training and not; the four prompts; one
description versus four, words of several in one colour and those of a single one in
another; locomotion with its path; a series of actions; an edit of latents.
The first --workdir makes all of it, the others stand beside it where arms are compared.
Any model will do. `--builtin` takes phrases of the built-in corpus. Phrases without
descriptions are generated from the phrase itself, and the command that makes their
descriptions is printed.

Source of the choice: Action-GPT (arXiv:2211.15603), its figures.
"""

import argparse
import collections
import html
import pathlib
import re
import shlex
import sys
import warnings

import numpy as np

from actiongpt_jax import cli
from actiongpt_jax.data.motion_store import open_store
from actiongpt_jax.errors import InputError
from actiongpt_jax.files.atomic import replaced
from actiongpt_jax.inference.editing import edit, encode_sources
from actiongpt_jax.inference.generate import generate_motion, generate_sequence
from actiongpt_jax.inference.latents import decode_latents
from actiongpt_jax.inference.phrase_embedder import PhraseEmbedder
from actiongpt_jax.inference.requests import FPS, Request
from actiongpt_jax.inference.series import series_mode
from actiongpt_jax.inference.trained import load_model
from actiongpt_jax.text.descriptions import Descriptions, read_descriptions
from actiongpt_jax.viewing.webpage import frame_of, page

PAPER = {
    "seen": ["walk", "jump"],
    "unseen": ["act like a dog", "duck down", "javelin throw", "stomach ache"],
    "prompts": ["act like a dog"],
    "one versus four": ["act like a dog"],
    "locomotion": ["walk in a circle", "hop over obstacle"],
    "series": ["sit", "run", "kick"],
    "edit": ["drink from mug", "stand", "sit"],
}
# The like, of the corpus that needs no data; unseen are phrases it never trains on.
BUILTIN = {
    "seen": ["raise both arms", "walk forward"],
    "unseen": ["act like a frog", "surrender", "hurl a javelin", "walk like a zombie"],
    "prompts": ["act like a frog"],
    "one versus four": ["act like a frog"],
    "locomotion": ["walk in a circle to the left", "step over an obstacle"],
    "series": ["take a seat", "run", "kick forward with the left leg"],
    "edit": ["drink from a cup", "stand up from the chair", "take a seat"],
}
PROMPTS = ("action", "person", "movements", "detail")
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 1200px;
  padding: 1rem; color: #1b1b1b; background: #fafaf8; overflow-wrap: anywhere; }
.several { color: #2c7a3f; } .single { color: #b0561c; } li { margin: 0.3rem 0; }
"""


class Model:
    """A trained model and its texts."""

    def __init__(self, spec: str, args: argparse.Namespace, known: Descriptions):
        """Opens what `[NAME=]DIR` names."""
        self.name, _, folder = spec.rpartition("=")
        self.trained = load_model(folder)
        self.name = self.name or pathlib.Path(folder).name
        self.embedder = PhraseEmbedder(
            self.trained.config, args.embeddings, args.descriptions
        )
        self.known, self.frames = known, round(args.seconds * FPS)

    def request(self, phrase, texts=None):
        """Reads a phrase as the model was trained to, or the texts given."""
        if texts:
            tokens = self.embedder.describe(texts)
        else:
            tokens = self.embedder.tokens(phrase)
        return Request(phrase, tokens, self.frames, fact=0.0)

    def motions(self, requests):
        """Generates a motion per request."""
        return generate_motion(self.trained, requests)


def main(argv):
    parser = cli.Parser(prog="python benchmarks/gallery.py", description=__doc__)
    add = parser.add_argument
    add("--workdir", action="append", required=True, help="[NAME=]DIR; may be repeated")
    add("--descriptions", help="file of descriptions (beside the motions trained on)")
    add("--embeddings", help="embedding store (that of training)")
    add("--builtin", action="store_true", help="phrases of the built-in corpus")
    add("--seconds", type=float, default=3.0, help="of each action")
    add("--out", default="gallery.html")
    args = parser.parse_args(argv)
    if not 0.5 <= args.seconds <= 20:
        raise InputError(f"--seconds must be from 0.5 to 20, got {args.seconds}")
    phrases = BUILTIN if args.builtin else PAPER
    known = descriptions_of(args)
    models = [Model(spec, args, known) for spec in args.workdir]
    with warnings.catch_warnings():
        # What has no descriptions is listed at the end, once.
        warnings.simplefilter("ignore", UserWarning)
        sections = list(make_sections(models, phrases))
    body = "".join(f"<h2>{html.escape(title)}</h2>{text}" for title, text in sections)
    with replaced(args.out) as new:
        new.write_text(
            '<!DOCTYPE html><html lang="en"><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>gallery</title><style>{STYLE}</style><h1>Gallery</h1>{body}",
            encoding="utf-8",
        )
    print(f"{args.out}: {len(sections)} sections")
    wanted = dict.fromkeys(phrase for group in phrases.values() for phrase in group)
    tell_missing([phrase for phrase in wanted if phrase not in known])


def descriptions_of(args) -> Descriptions:
    """Reads the file given, or that beside the motions of the first model."""
    if args.descriptions:
        return read_descriptions(args.descriptions)
    _, _, folder = args.workdir[0].rpartition("=")
    store = load_model(folder).config.data.store
    path = pathlib.Path(store or "", "descriptions.jsonl")
    return read_descriptions(path) if path.is_file() else Descriptions([])


def tell_missing(missing: list[str]) -> None:
    """Prints the commands that describe what has no descriptions."""
    if not missing:
        return
    lines = " ".join(shlex.quote(phrase) for phrase in missing)
    print(
        "without descriptions, generated from the phrase itself: "
        f"{', '.join(missing)}; to describe them:\n"
        f"  printf '%s\\n' {lines} > phrases.txt\n"
        "  python -m actiongpt_jax.describe --phrases phrases.txt --model gpt-6-luna "
        "--k 4 --out descriptions.jsonl",
        file=sys.stderr,
    )


def make_sections(models, phrases):
    """Yields the (heading, HTML) of each figure."""
    first = models[0]
    for group in ("seen", "unseen"):
        for phrase in phrases[group]:
            motions = [
                motion
                for model in models
                for motion in model.motions([model.request(phrase)])
            ]
            names = [model.name for model in models]
            yield f"{phrase}{in_training(first, phrase)}", show(first, motions, names)
    described = first.trained.config.text.source == "descriptions"
    if described:
        yield from text_sections(first, phrases)
    motions = first.motions([first.request(p) for p in phrases["locomotion"]])
    yield "locomotion, with its path", show(first, motions, phrases["locomotion"])
    yield "a series", make_series(first, phrases["series"])
    yield "an edit", make_edit(first, phrases["edit"])


def text_sections(model, phrases):
    """Yields the figures about descriptions."""
    for phrase in phrases["prompts"]:
        records = model.known.get(phrase, ())
        texts = {
            prompt: [r.text for r in records if r.prompt == prompt]
            for prompt in PROMPTS
        }
        found = {prompt: own for prompt, own in texts.items() if own}
        if found:
            requests = [
                model.request(phrase, own[: model.trained.config.text.k])
                for own in found.values()
            ]
            listed = "".join(
                f"<li><b>{prompt}</b>: {html.escape(own[0])}</li>"
                for prompt, own in found.items()
            )
            frame = show(model, model.motions(requests), list(found))
            yield f"{phrase}: the prompts", f"<ul>{listed}</ul>{frame}"
    for phrase in phrases["one versus four"]:
        texts = model.known.texts(phrase)[:4] if phrase in model.known else []
        if len(texts) > 1:
            requests = [model.request(phrase, texts[:k]) for k in (1, len(texts))]
            names = ["k = 1", f"k = {len(texts)}"]
            frame = show(model, model.motions(requests), names)
            yield f"{phrase}: {' versus '.join(names)}", coloured(texts) + frame


def make_series(model, phrases) -> str:
    """Generates actions one after the other, or each alone where that is all."""
    requests = [model.request(phrase) for phrase in phrases]
    if series_mode(None, model.trained) == "past":
        return show(model, generate_sequence(model.trained, [requests]), [""])
    return show(model, model.motions(requests), phrases)


def make_edit(model, phrases) -> str:
    """Takes one thing from a motion and puts another in its place."""
    base, minus, plus = phrases
    latents = encode_sources(model.trained, model.embedder, phrases)
    changed = np.asarray(edit(*latents))[None]
    captions = [*phrases, f"{base} - {minus} + {plus}"]
    motions = decode_latents(
        model.trained,
        np.concatenate([np.asarray(latents), changed]),
        [model.frames] * 4,
        captions,
    )
    return show(model, motions, captions)


def in_training(model, phrase: str) -> str:
    """Tells whether training saw a phrase, where its motions are still there."""
    try:
        store = open_store(model.trained.config.data.store)
    except (FileNotFoundError, InputError):
        return ""
    split = model.trained.config.data.train_split
    seen = any(
        label.phrase == phrase and store.sequences[label.sequence].split == split
        for label in store.labels
    )
    return " (seen in training)" if seen else " (not seen in training)"


def show(model, motions, names) -> str:
    """Frames motions side by side, with the descriptions there are."""
    texts = {
        phrase: model.known.texts(phrase)
        for motion in motions
        for phrase in motion.text
        if phrase in model.known
    }
    return frame_of(page(motions, [str(name) for name in names], texts), 680)


def coloured(texts: list[str]) -> str:
    """Lists texts, words of several in one colour and those of a single in another."""
    counts = collections.Counter(
        word for text in texts for word in set(re.findall(r"\w+", text.lower()))
    )

    def mark(match: re.Match) -> str:
        kind = "several" if counts[match[0].lower()] > 1 else "single"
        return f'<span class="{kind}">{html.escape(match[0])}</span>'

    # Words hold nothing to escape; what lies between them may.
    listed = "".join(
        "<li>"
        + "".join(
            re.sub(r"\w+", mark, part) if part.isalnum() else html.escape(part)
            for part in re.findall(r"\w+|\W+", text)
        )
        + "</li>"
        for text in texts
    )
    legend = (
        '<p><span class="several">words of several descriptions</span>, '
        '<span class="single">of one only</span></p>'
    )
    return f"{legend}<ol>{listed}</ol>"


if __name__ == "__main__":
    cli.run(main)
