"""What an evaluation has open: a model or files, the cases to measure, and journals."""

import dataclasses
import hashlib
import json
import os
import pathlib
from typing import Any, TypeVar

import numpy as np
from tqdm import tqdm

from actiongpt_jax.config_fields import Config, lookup
from actiongpt_jax.data.motion_store import MotionStore
from actiongpt_jax.data.phrases import read_phrases
from actiongpt_jax.errors import InputError
from actiongpt_jax.evaluation import semantic
from actiongpt_jax.evaluation.cases import (
    Case,
    Sampling,
    Source,
    from_model,
    list_cases,
    quiet,
)
from actiongpt_jax.evaluation.evaluator import Evaluator
from actiongpt_jax.evaluation.journal import Journal
from actiongpt_jax.evaluation.measure import measure_cases
from actiongpt_jax.evaluation.options import Options
from actiongpt_jax.evaluation.recognition import list_stretches, recognise
from actiongpt_jax.evaluation.summary import summarise, to_file
from actiongpt_jax.features.mmm import body_with_heels
from actiongpt_jax.files.atomic import write_json
from actiongpt_jax.geometry import body as bodies
from actiongpt_jax.inference.phrase_embedder import PhraseEmbedder
from actiongpt_jax.inference.pretrained import DEFAULT, output_folder
from actiongpt_jax.inference.series import series_mode
from actiongpt_jax.inference.trained import load_model
from actiongpt_jax.nn.parameters import parameter_hash
from actiongpt_jax.text.descriptions import read_descriptions
from actiongpt_jax.training.inputs import open_store_at_rate

_FOLDER = "evaluation"
Drawn = TypeVar("Drawn")


class Session:
    """The parts that every evaluation has.

    Attributes:
        options: what is evaluated and how.
        config: its `data` says which stretches of a split are cases.
        paired: whether a case is a pair of actions.
        in_place: whether poses only are compared, in the middle window of each action.
        store: the motion store of the captured motions.
        cases: the cases to measure.
        header: everything that the figures depend on.
        notes: sentences about the figures.
    """

    header: dict[str, Any]
    in_place = False

    def __init__(
        self, options: Options, config: Config, store: MotionStore, paired: bool
    ):
        """Opens what the figures need in addition to motions.

        Raises:
            InputError: if the evaluator is of another frame rate, or for bad input.
        """
        self.options, self.config, self.paired = options, config, paired
        self.store = store
        self.cases: list[Case] = []
        self.evaluator = None
        if options.evaluator is not None:
            self.evaluator = Evaluator(options.evaluator)
            self._check_rate(self.evaluator)
        self.body = None
        if options.body is not None:
            self.body = body_with_heels(bodies.load(options.body))
        self.notes = self._notes()

    def _check_rate(self, evaluator: Evaluator) -> None:
        if (fps := evaluator.config.data.framerate) != self.store.fps:
            raise InputError(
                f"--evaluator must be of the store's {self.store.fps:g} frames per "
                f"second, got one of {fps:g}; train one on {self.store.path}"
            )

    def list_cases(self, split: str) -> list[Case]:
        """Lists the motions of a split that are judged, or compared with."""
        return list_cases(self.config, self.store, split, self.paired, self.in_place)

    def _draw(self, cases: list[Drawn]) -> list[Drawn]:
        """Draws as many cases as the options limit them to."""
        limit = self.options.limit
        if limit is None or limit >= len(cases):
            return cases
        rng = np.random.default_rng(self.options.seed)
        return [cases[i] for i in sorted(rng.permutation(len(cases))[:limit])]

    def _name_files(self, folder: pathlib.Path, start: str) -> None:
        """Names the files after everything that the figures depend on."""
        digest = hashlib.sha256(json.dumps(self.header).encode()).hexdigest()[:10]
        self.folder, self.name = folder / _FOLDER, f"{start}-{digest}"

    def written(
        self, result: dict[str, Any], out: str | os.PathLike | None
    ) -> dict[str, Any]:
        """Writes the figures into a JSON file; returns them with its path."""
        path = pathlib.Path(out or self.folder / f"{self.name}.json")
        write_json(path, to_file(result))
        return {**result, "path": str(path)}

    def evaluate(self, name: str, source: Source, samples: int = 1) -> dict[str, Any]:
        """Measures a source's motions, from where an earlier call stopped."""
        # Measure the cases that the journal does not hold yet.
        journal = self.journal(name)
        bar = tqdm(total=len(self.cases), unit="motion", leave=False, desc=name)
        with journal.locked(), bar:
            measure_cases(
                self.cases,
                self.store,
                quiet(source),
                journal,
                self.options.protocol,
                self.body,
                self.evaluator,
                bar.update,
                self.in_place,
            )

        # Summarise the whole journal.
        texts = known = None
        if self.evaluator is not None:
            texts, known = self.evaluator.texts, self.evaluator.known_phrases()
        summary = summarise(
            journal,
            self.options.protocol,
            self.store.fps,
            self.options.seed,
            texts,
            known,
            self.in_place,
        )
        assert summary["samples"] == samples
        return summary

    def journal(self, source: str) -> Journal:
        """Opens the journal of the motions of a source."""
        path = self.folder / f"{self.name}-{source}.jsonl"
        return Journal(path, {**self.header, "source": source})

    def _measured_with(self) -> dict[str, Any]:
        """Returns the body and the evaluator that the figures depend on."""
        evaluator = None
        if self.evaluator is not None:
            text = self.evaluator.config.text
            evaluator = {
                "hash": self.evaluator.hash,
                "source": text.source,
                "trained_on": self.evaluator.config.data.train_split,
            }
        body = None if self.body is None else parameter_hash(self.body)
        return {"body": body, "evaluator": evaluator}

    def _notes(self) -> list[str]:
        notes = []
        if self.in_place:
            notes.append(
                "note: this model makes poses of a fixed length, so the middle window "
                "of each action is judged with the pelvis held in place; --protocol "
                "reference judges whole actions, as published"
            )
        if self.options.bare:
            notes.append("note: the model reads the phrases without their descriptions")
        if self.options.protocol == "reference" and self.body is None:
            notes.append(
                "note: without --body the heels of this protocol are an estimate on "
                "the built-in skeleton; published figures use the heels of SMPL-H"
            )
        if self.evaluator is not None:
            if self.evaluator.config.data.train_split == self.options.split:
                notes.append(
                    f"note: the evaluator was trained on split {self.options.split}, "
                    "so the figures of real motions look too good"
                )
        return notes


class ModelSession(Session):
    """An evaluation of what a trained model generates."""

    def __init__(self, options: Options):
        """Opens the model, and chooses the cases.

        Raises:
            InputError: if the model does not generate, or for bad input.
        """
        self.trained = load_model(options.workdir, options.checkpoint)
        if not self.trained.family.generates and options.categories is None:
            raise InputError(
                "--workdir must be the workdir of a model that generates, got the "
                f"evaluator in {options.workdir}; give it as --evaluator, together "
                "with a model's --workdir"
            )
        # The cases are single actions, or pairs for a model that makes series.
        self.mode = series_mode(options.series, self.trained)
        config = self.trained.config
        # A model of windows is judged on what it is made for: poses of one length.
        window = lookup(config, "data.num_frames", None)
        alone = self.mode == "off" and options.protocol == "paper"
        self.in_place = bool(window) and alone
        store = open_store_at_rate(store_path(options, config.data.store), config)
        super().__init__(options, config, store, self.mode != "off")
        # The built-in phrases are judged without them: the split may have none.
        if options.semantic != "only" and options.categories is None:
            self.cases = self._draw(self.list_cases(options.split))
        self.embedder = self._make_embedder(options.descriptions)
        self.header = self._header()
        start = f"{options.split}-step{self.trained.step}"
        self._name_files(output_folder(options.workdir), start)

    def source(self) -> Source:
        """Returns the function that generates motions with the model."""
        return from_model(self.trained, self.embedder, self._sampling())

    def _make_embedder(
        self, descriptions: str | dict[str, list[str]] | None
    ) -> PhraseEmbedder:
        config = self.trained.config
        if self.options.bare:
            if config.text.source != "mixed":
                raise InputError(
                    "--bare needs a model that was trained to read both phrases and "
                    "descriptions (text.source=mixed), but text.source is "
                    f"{config.text.source!r}; leave the flag out"
                )
            config = config.copy_and_resolve_references()
            config.text.source = "phrase"
        return PhraseEmbedder(config, self.options.embeddings, descriptions)

    def _sampling(self) -> Sampling:
        options = self.options
        return Sampling(
            options.samples or 1,
            options.diverse,
            options.fact,
            options.seed,
            self.mode,
            options.align,
            options.window,
        )

    def judge(self) -> dict[str, Any]:
        """Judges motions of the built-in phrases, from where an earlier call ended."""
        how = self._sampling()
        how = dataclasses.replace(how, samples=self.options.samples or semantic.SAMPLES)
        embedder = self.embedder
        if self.options.descriptions is None:
            texts = semantic.missing_texts(embedder)
            embedder = self._make_embedder(texts)
        return semantic.judge_model(
            self.trained,
            embedder,
            self.store,
            self.options.split,
            how,
            self.journal(f"semantic-{how.samples}"),
        )

    def recognise(self, categories: str) -> dict[str, Any]:
        """Measures how often the nearest of the file's categories is a motion's."""
        options, names = self.options, read_phrases(categories)
        stretches = list_stretches(self.trained, self.store, options.split, names)
        return recognise(
            self.trained,
            self.embedder,
            self.store,
            self._draw(stretches),
            names,
            read_descriptions(options.descriptions) if options.descriptions else (),
            options.seed,
        )

    def _header(self) -> dict[str, Any]:
        options = dataclasses.asdict(self.options)
        for name in ("workdir", "checkpoint", "evaluator", "baselines", "body"):
            options.pop(name)
        for name in ("multimodality", "semantic", "motions"):
            options.pop(name)
        for name in ("categories", "bare"):
            if not options[name]:  # journals of earlier versions stay valid
                options.pop(name)
        if self.in_place:
            options["in_place"] = True
        return {
            **options,
            "samples": self.options.samples or 1,
            "data": str(self.store.path),
            "series": self.mode,
            "model": self.trained.config.model.name,
            "step": self.trained.step,
            "parameters": parameter_hash(self.trained.variables),
            **self._measured_with(),
        }


def store_path(options: Options, trained_on: str | None) -> str:
    """Returns the motion store that is asked for, or else the one of the training.

    Raises:
        InputError: if there is neither.
    """
    if path := options.data or trained_on:
        return path
    named = options.motions or options.workdir or DEFAULT
    raise InputError(f"{named} names no motion store; give one as --data")
