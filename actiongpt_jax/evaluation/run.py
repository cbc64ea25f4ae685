"""Runs one evaluation, from its options to its figures."""

import dataclasses
import hashlib
import json
import os
import pathlib
from typing import Any, TypeVar

import numpy as np
from tqdm import tqdm

from actiongpt_jax.config_fields import lookup
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
    mean_pose,
    quiet,
    random_clips,
)
from actiongpt_jax.evaluation.evaluator import Evaluator
from actiongpt_jax.evaluation.journal import Journal
from actiongpt_jax.evaluation.measure import measure_cases
from actiongpt_jax.evaluation.multimodality import multimodalities
from actiongpt_jax.evaluation.options import Options
from actiongpt_jax.evaluation.recognition import list_stretches, recognise
from actiongpt_jax.evaluation.summary import summarise, to_file
from actiongpt_jax.features.mmm import body_with_heels
from actiongpt_jax.files.atomic import write_json
from actiongpt_jax.geometry import body as bodies
from actiongpt_jax.inference.phrase_embedder import PhraseEmbedder
from actiongpt_jax.inference.pretrained import DEFAULT, output_folder
from actiongpt_jax.inference.series import series_mode
from actiongpt_jax.inference.trained import Trained, load_model
from actiongpt_jax.nn.parameters import parameter_hash
from actiongpt_jax.text.descriptions import read_descriptions
from actiongpt_jax.training.inputs import open_store_at_rate

_FOLDER = "evaluation"
Drawn = TypeVar("Drawn")


def evaluate_model(
    workdir: str | os.PathLike | None = None,
    *,
    out: str | os.PathLike | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Evaluates what a trained model generates, next to captured motion.

    Finished motions are kept in `pretrained.output_folder`/evaluation, in files whose
    name depends on everything that the figures depend on. After an interruption, the
    same call continues from there.

    Args:
        workdir: folder or name of the model, as `load_model` takes it.
        out: JSON file to write; None takes one in that folder.
        **options: fields of `Options`, by name, such as `split="val", samples=10`.

    Returns:
        The figures, as in the JSON file; `evaluation.tables.readable` lays them out.
        `path` is that file.

    Raises:
        FileNotFoundError: for a workdir without a checkpoint.
        InputError: for bad input.
    """
    fields = {
        name: os.fspath(value) if isinstance(value, os.PathLike) else value
        for name, value in {"workdir": workdir, **options}.items()
    }
    # Open the model, the stores and the journals' header.
    run = _Run(Options(**fields))
    settings = run.options
    result: dict[str, Any] = {**run.header, "notes": run.notes}

    # Measure how often the nearest text names a motion's category.
    if settings.categories is not None:
        result["recognition"] = run.recognise(settings.categories)
        return run.written(result, out)

    # Judge whether motions do what the phrases say.
    if settings.semantic:
        result["semantic"] = run.judge()
    if settings.semantic == "only":
        return run.written(result, out)

    # Measure what the model generates.
    result |= run.evaluate("model", run.model_source(), settings.samples or 1)

    # Measure the baselines, which are made from the training split.
    if settings.baselines:
        known = run.list_cases(run.trained.config.data.train_split)
        clips = random_clips(run.store, known, settings.seed)
        result["baselines"] = {
            "mean_pose": run.evaluate("mean_pose", mean_pose(run.store, known)),
            "random_clip": run.evaluate("random_clip", clips),
        }

    # Compare several motions of the same text.
    if run.evaluator is not None and settings.multimodality:
        result["multimodality"] = multimodalities(
            run.trained,
            run.embedder,
            run.evaluator,
            run.journal("multimodality"),
            run.cases,
            settings.multimodality,
            settings.fact,
            settings.seed,
        )

    return run.written(result, out)


class _Run:
    """One evaluation: its model, its cases, and everything else it has open."""

    def __init__(self, options: Options):
        # Open the model.
        self.options = options
        self.trained = load_model(options.workdir, options.checkpoint)
        if not self.trained.family.generates and options.categories is None:
            raise InputError(
                "--workdir must be the workdir of a model that generates, got the "
                f"evaluator in {options.workdir}; give it as --evaluator, together "
                "with a model's --workdir"
            )

        # Choose the cases: single actions, or pairs for a model that makes series.
        self.mode = series_mode(options.series, self.trained)
        self.paired = self.mode != "off"
        self.store = _open(options, self.trained)
        # A model of windows is judged on what it is made for: poses of one length.
        window = lookup(self.trained.config, "data.num_frames", None)
        paper = options.protocol == "paper"
        self.in_place = bool(window) and paper and not self.paired
        # The built-in phrases are judged without them: the split may have none.
        self.cases: list[Case] = []
        if options.semantic != "only" and options.categories is None:
            self.cases = _draw(self.list_cases(options.split), options)

        # Open what the figures need in addition to motions.
        self.embedder = PhraseEmbedder(
            self.trained.config, options.embeddings, options.descriptions
        )
        self.evaluator = None
        if options.evaluator is not None:
            self.evaluator = Evaluator(options.evaluator)
            self._check_rates(self.evaluator)
        self.body = None
        if options.body is not None:
            self.body = body_with_heels(bodies.load(options.body))

        # Name the files after everything that the figures depend on.
        self.header, self.notes = self._header(), self._notes()
        digest = hashlib.sha256(json.dumps(self.header).encode()).hexdigest()[:10]
        self.name = f"{options.split}-step{self.trained.step}-{digest}"
        self.folder = output_folder(options.workdir) / _FOLDER

    def list_cases(self, split: str) -> list[Case]:
        """Lists the motions of a split that are judged, or compared with."""
        return list_cases(
            self.trained.config, self.store, split, self.paired, self.in_place
        )

    def _check_rates(self, evaluator: Evaluator) -> None:
        rates = evaluator.config.data.framerate, self.trained.framerate
        if rates[0] != rates[1]:
            raise InputError(
                f"--evaluator must be of the model's {rates[1]:g} frames per second, "
                f"got one of {rates[0]:g}; train one on the model's store"
            )

    def model_source(self) -> Source:
        """Returns the function that generates motions with the model."""
        return from_model(self.trained, self.embedder, self._sampling())

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
            embedder = PhraseEmbedder(
                self.trained.config, self.options.embeddings, texts
            )
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
            _draw(stretches, options),
            names,
            read_descriptions(options.descriptions) if options.descriptions else (),
            options.seed,
        )

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
        """Opens the journal of the motions that a source has generated."""
        path = self.folder / f"{self.name}-{source}.jsonl"
        return Journal(path, {**self.header, "source": source})

    def _header(self) -> dict[str, Any]:
        """Returns everything that the figures depend on."""
        trained, options = self.trained, dataclasses.asdict(self.options)
        for name in ("workdir", "checkpoint", "evaluator", "baselines", "body"):
            options.pop(name)
        options.pop("multimodality")
        options.pop("semantic")
        if options["categories"] is None:  # journals of earlier versions stay valid
            options.pop("categories")
        evaluator = None
        if self.evaluator is not None:
            text = self.evaluator.config.text
            evaluator = {
                "hash": self.evaluator.hash,
                "source": text.source,
                "trained_on": self.evaluator.config.data.train_split,
            }
        return {
            **options,
            "samples": self.options.samples or 1,
            "in_place": self.in_place,
            "data": str(self.store.path),
            "series": self.mode,
            "model": trained.config.model.name,
            "step": trained.step,
            "parameters": parameter_hash(trained.variables),
            "body": None if self.body is None else parameter_hash(self.body),
            "evaluator": evaluator,
        }

    def _notes(self) -> list[str]:
        notes = []
        if self.in_place:
            notes.append(
                "note: this model makes poses of a fixed length, so the middle window "
                "of each action is judged with the pelvis held in place; --protocol "
                "reference judges whole actions, as published"
            )
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


def _open(options: Options, trained: Trained) -> MotionStore:
    path = options.data or trained.config.data.store
    if not path:
        raise InputError(
            f"{options.workdir or DEFAULT} names no motion store; give one as --data"
        )
    return open_store_at_rate(path, trained.config)


def _draw(cases: list[Drawn], options: Options) -> list[Drawn]:
    """Draws as many cases as the options limit them to."""
    if options.limit is None or options.limit >= len(cases):
        return cases
    rng = np.random.default_rng(options.seed)
    return [cases[i] for i in sorted(rng.permutation(len(cases))[: options.limit])]
