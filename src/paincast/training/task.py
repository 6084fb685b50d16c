"""What a trainer is given and what it gives back: one technique and one outcome."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from paincast.explain import Explanation, ExplanationReview
from paincast.models.binary.borrowing import Part
from paincast.predictor import Predictor
from paincast.progress import PartialProgress, Progress
from paincast.schema import TECHNIQUES
from paincast.settings import TrainingSettings
from paincast.tracking import TrainingRun
from paincast.training.assessment import Assessment
from paincast.training.instability import Instability
from paincast.training.internal_validation import InternalValidation
from paincast.training_set import TrainingSet

EVALUATING, FITTING, VALIDATING, FINISHING = "cross-validating", "fitting", "validating", "evaluating and recording"
"""Stages of the training of one model."""

HELD_OUT_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "none": (),
    "site": ("site_id",),
    "year": ("procedure_year",),
    "both": ("site_id", "procedure_year"),
}
"""Columns of whose groups each is held out in turn, by ``evaluation.held_out``."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """One technique and one outcome, ready to be trained.

    Parameters
    ----------
    data : TrainingSet
        Episodes of whom the outcome is asked, with the answers of those who were followed.
    parts : mapping of str to Part
        The same outcome of every technique of the cohort, to borrow from.
    truth : DataFrame, optional
        Truth of this outcome, where the cohort is simulated and the truth holds it. For evaluation only.
    everybody : DataFrame
        ``patient_id, site_id, procedure_year`` of every episode of the cohort, of other techniques too.
    settings : TrainingSettings
        All settings of the run.
    run : TrainingRun, optional
        Where to record; None when nothing is tracked.
    progress : PartialProgress
        Of the training of this model.
    """

    data: TrainingSet
    parts: Mapping[str, Part]
    truth: pd.DataFrame | None
    everybody: pd.DataFrame
    settings: TrainingSettings
    run: TrainingRun | None
    progress: PartialProgress

    @property
    def name(self) -> str:
        """Give ``technique/outcome``: the folder of the bundle below that of the models, and the key of the model."""
        return f"{self.data.technique}/{self.data.outcome.name}"

    def make_stream(self, purpose: str = "") -> np.random.Generator:
        """Give technique and outcome a stream of their own, the same whichever others are trained beside them.

        A stream for a purpose is independent of the one that fits and evaluates: what comes later changes no model.
        """
        own = (zlib.crc32(purpose.encode()),) if purpose else ()
        key = (TECHNIQUES.index(self.data.technique), zlib.crc32(self.data.outcome.name.encode()), *own)
        return np.random.default_rng(np.random.SeedSequence(self.settings.seed, spawn_key=key))

    def begin(self, stage: str) -> Progress:
        """Say that a stage begins; its own steps are part of the training of this model."""
        self.progress.describe(stage)
        return PartialProgress(self.progress, self.weigh_stages()[stage])

    def weigh_stages(self) -> dict[str, float]:
        """Weigh the stages by about how often a model is fitted in each."""
        evaluation = self.settings.evaluation
        weights = {EVALUATING: float(evaluation.folds), FITTING: 2.0, VALIDATING: 0.0, FINISHING: 2.0}
        if self.data.outcome.kind == "binary":
            groups = self.data.episodes[list(HELD_OUT_COLUMNS[evaluation.held_out])]
            weights[EVALUATING] *= evaluation.repeats
            weights[VALIDATING] = float(evaluation.optimism + groups.nunique().sum())
        return weights


@dataclass(frozen=True, kw_only=True)
class Further:
    """What a way of training records beside what all of them do.

    Parameters
    ----------
    params : mapping of str to object
        Parameters of the run.
    tables : mapping of str to DataFrame
        Summary tables; never rows of patients.
    notes : tuple of str
        Sentences for the description.
    """

    params: Mapping[str, object] = field(default_factory=dict)
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class TrainedModel:
    """What came of training one technique and outcome.

    Parameters
    ----------
    predictor : Predictor
        The sealed model.
    flow : DataFrame
        Who was counted in and who was left out: ``step, n``.
    metrics : DataFrame
        Honest out-of-fold metrics, weighted for loss to follow-up.
    curve : DataFrame or None
        Calibration curve of those followed; None where the outcome is a number.
    loss : DataFrame
        The metrics weighted and of the complete cases, side by side.
    weights : DataFrame
        Effective sample size and spread of the weights: ``measure, value``.
    tipping_point : DataFrame
        What becomes of overall risk and O/E as those lost differ from what is predicted; empty for a number.
    explanation : Explanation
        Contributions over the training cohort.
    review : ExplanationReview
        Ranking of variables with intervals, their directions held against the evidence, and their dependence.
    instability : Instability or None
        How far predictions would move had the model been fitted to other patients; None where it was not measured.
    assessment : Assessment or None
        Calibration as a curve, benefit and groups; None where no probability at one month is predicted.
    validation : InternalValidation or None
        What came of doing the whole modelling again; None where the outcome is not binary.
    further : Further
        What else is recorded.
    """

    predictor: Predictor
    flow: pd.DataFrame
    metrics: pd.DataFrame
    curve: pd.DataFrame | None
    loss: pd.DataFrame
    weights: pd.DataFrame
    tipping_point: pd.DataFrame
    explanation: Explanation
    review: ExplanationReview
    instability: Instability | None = None
    assessment: Assessment | None = None
    validation: InternalValidation | None = None
    further: Further = field(default_factory=Further)
