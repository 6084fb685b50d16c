"""Input and result of training one technique and one outcome."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from paincast.evaluation.assessment import Assessment
from paincast.explain import Explanation, ExplanationReview
from paincast.models.binary.borrowing import Part
from paincast.outcomes import name_model
from paincast.predictor import Predictor
from paincast.progress import PartialProgress, Progress
from paincast.settings import TrainingSettings
from paincast.tracking import TrainingRun
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
"""Columns whose groups are held out in turn, by ``evaluation.held_out``."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """One technique and one outcome, ready to be trained.

    Parameters
    ----------
    data : TrainingSet
        Eligible episodes, with the outcomes of those followed up.
    further_month : float, optional
        The month, if it is not the primary one.
    parts : mapping of str to Part
        The same outcome of every technique of the cohort, for partial pooling.
    truth : DataFrame, optional
        Truth of this outcome, if the cohort is simulated and its truth covers it. Used for evaluation only.
    everybody : DataFrame
        ``patient_id, site_id, procedure_year`` of every episode of the cohort, including other techniques.
    settings : TrainingSettings
        All settings of the run.
    run : TrainingRun, optional
        Where to log; None when tracking is off.
    progress : PartialProgress
        Progress of training this model.
    """

    data: TrainingSet
    further_month: float | None = None
    parts: Mapping[str, Part]
    truth: pd.DataFrame | None
    everybody: pd.DataFrame
    settings: TrainingSettings
    run: TrainingRun | None
    progress: PartialProgress

    @property
    def name(self) -> str:
        """Return the name of the model, which is its key and its folder inside the models folder."""
        return name_model(self.data.technique, self.data.outcome.name, self.further_month)

    def make_stream(self, purpose: str = "") -> np.random.Generator:
        """Make the random stream of this technique and outcome, the same whichever others are trained with it.

        All months of an outcome share it: a model of one month is the same whichever months are trained with it.

        The stream of a purpose is independent of the one that fits and evaluates: using it does not change the model.
        """
        purpose_key = (zlib.crc32(purpose.encode()),) if purpose else ()
        technique = self.data.contract.techniques.index(self.data.technique)
        key = (technique, zlib.crc32(self.data.outcome.name.encode()), *purpose_key)
        return np.random.default_rng(np.random.SeedSequence(self.settings.seed, spawn_key=key))

    def begin(self, stage: str) -> Progress:
        """Report that a stage begins and return the progress of its steps."""
        self.progress.describe(stage)
        return PartialProgress(self.progress, self.compute_stage_weights()[stage])

    def compute_stage_weights(self) -> dict[str, float]:
        """Weight the stages by the approximate number of model fits in each."""
        evaluation = self.settings.evaluation
        weights = {EVALUATING: float(evaluation.folds), FITTING: 2.0, VALIDATING: 0.0, FINISHING: 2.0}
        if self.data.outcome.kind == "binary":
            groups = self.data.episodes[list(HELD_OUT_COLUMNS[evaluation.held_out])]
            weights[EVALUATING] *= evaluation.repeats
            weights[VALIDATING] = float(evaluation.optimism + groups.nunique().sum())
        return weights


@dataclass(frozen=True, kw_only=True)
class Further:
    """What a kind of training logs in addition to what all kinds log.

    Parameters
    ----------
    params : mapping of str to object
        Parameters of the run.
    tables : mapping of str to DataFrame
        Summary tables; never patient-level rows.
    notes : tuple of str
        Sentences for the description.
    """

    params: Mapping[str, object] = field(default_factory=dict)
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class TrainedModel:
    """Result of training one technique and outcome.

    Parameters
    ----------
    predictor : Predictor
        The model as it is saved.
    flow : DataFrame
        Numbers of episodes included and excluded: ``step, n``.
    metrics : DataFrame
        Out-of-fold metrics, weighted for loss to follow-up.
    curve : DataFrame or None
        Calibration curve of those followed up; None for a continuous outcome.
    loss : DataFrame
        Weighted and complete-case metrics, side by side.
    weights : DataFrame
        Effective sample size and spread of the weights: ``measure, value``.
    tipping_point : DataFrame
        Overall risk and O/E if those lost differ from their predictions; empty for a continuous outcome.
    explanation : Explanation
        Contributions over the training cohort.
    review : ExplanationReview
        Ranking of variables with intervals, their directions compared with the evidence, and their dependence.
    instability : Instability or None
        How much predictions vary between refits to resampled patients; None where it was not measured.
    sample_size : DataFrame or None
        Episodes needed and available (:func:`paincast.training.instability.compare_sample_size`); None for a continuous
        outcome.
    assessment : Assessment or None
        Calibration, decision curve and groups; None where no probability at one month is predicted.
    validation : InternalValidation or None
        Results of repeating the whole modelling; None where the outcome is not binary.
    out_of_fold : DataFrame or None
        Out-of-fold predictions, one row per patient; for a local file only, never logged.
    further : Further
        What else is logged.
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
    sample_size: pd.DataFrame | None = None
    assessment: Assessment | None = None
    validation: InternalValidation | None = None
    out_of_fold: pd.DataFrame | None = None
    further: Further = field(default_factory=Further)
