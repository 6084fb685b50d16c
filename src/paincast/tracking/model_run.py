"""Define what MLflow logs of a training, of one model and of a comparison, and where it was logged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from paincast.gates.use import name_registered
from paincast.predictor import Predictor
from paincast.settings import GateSettings
from paincast.tracking.dataset import DatasetSummary
from paincast.tracking.store import Store


class Figure(Protocol):
    """A figure that can be saved as an image, such as a matplotlib figure."""

    def savefig(self, fname: Any, *, dpi: float, metadata: Mapping[str, str]) -> None:
        """Save the image."""


@dataclass(frozen=True, kw_only=True)
class TrainingRun:
    """The parent run of a training, still open."""

    run_id: str
    experiment_id: str
    store: Store


@dataclass(frozen=True, kw_only=True)
class LoggedModel:
    """Where a model was logged; name and version are None when it was not registered."""

    run_id: str
    model_uri: str
    model_name: str | None
    model_version: int | None


@dataclass(frozen=True, kw_only=True)
class ModelRun:
    """Everything that the run of one model logs.

    Parameters
    ----------
    technique, outcome : str
        Which model it is; the registered name is ``paincast.<technique>.<outcome>``, with the month of a further
        model.
    horizon_months : float
        Horizon of the outcome in months.
    model_kind : str
        ``logistic`` or ``xgboost``.
    basis : {"synthetic", "real", "blended"}
        The kind of data that the model is based on.
    n_real : int
        Number of real episodes it was trained on.
    predictor : Predictor
        The model as it is saved.
    metrics : DataFrame
        Columns ``metric, group, estimate, lower, upper, n, method``.
    instability : DataFrame
        The same columns: how much predictions vary between refits to resampled patients. Logged as metrics of the run
        and saved as ``tables/instability.csv``.
    validation : DataFrame
        The same columns: metrics from repeating the whole modelling, logged as metrics of the run.
    dataset : DatasetSummary
        Lineage, from :func:`paincast.tracking.dataset.summarize_dataset`.
    params : mapping
        Parameters, flat.
    figures : mapping of str to Figure
        Saved as ``figures/<name>.png``; a name may include a folder.
    captions : mapping of str to str
        A sentence for each figure, as a text alternative.
    tables : mapping of str to DataFrame
        Summary tables, saved as ``tables/<name>.csv``; never patient-level rows.
    tags : mapping of str to str
        Further tags.
    notes : tuple of str
        Further limits or findings for the description.
    gate : GateSettings
        The gate that judges the model when it is logged, from the tables in
        :data:`paincast.tracking.gate_evidence.TABLES`.
    write_report : callable, optional
        Takes a folder of tables and figures, tags and parameters; writes ``report`` there and returns the model card.
    """

    technique: str
    outcome: str
    horizon_months: float
    model_kind: str
    basis: str
    n_real: int
    predictor: Predictor
    metrics: pd.DataFrame
    dataset: DatasetSummary
    instability: pd.DataFrame = field(default_factory=pd.DataFrame)
    validation: pd.DataFrame = field(default_factory=pd.DataFrame)
    params: Mapping[str, object] = field(default_factory=dict)
    figures: Mapping[str, Figure] = field(default_factory=dict)
    captions: Mapping[str, str] = field(default_factory=dict)
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    gate: GateSettings = field(default_factory=GateSettings)
    write_report: Callable[[Path, Mapping[str, str], Mapping[str, str]], str] | None = None

    @property
    def name(self) -> str:
        """Return the name of the run."""
        return f"{self.technique} · {self.basis} · {self.outcome} · month {self.horizon_months:g}"

    @property
    def registered_name(self) -> str:
        """Return the name of the model in the registry."""
        return name_registered(self.technique, self.outcome, self.predictor.further_month)


@dataclass(frozen=True, kw_only=True)
class ComparisonRun:
    """Everything that the run of a comparison of techniques logs.

    Parameters
    ----------
    name : str
        Name of the run.
    basis : {"synthetic", "real", "blended"}
        Basis of the cohort.
    n_real : int
        Real episodes of the cohort.
    verdict : {"answered", "refused"}
        Whether there are estimates.
    unmet : tuple of str
        Diagnostics that failed; the code of the refusal if none was computed.
    question : str
        The question of the trial.
    findings : tuple of str
        Sentences for the top of the page: the result, or why there is none.
    limits : tuple of str
        What stands between this and a randomised trial.
    dataset : DatasetSummary
        Lineage.
    params : mapping
        Parameters, flat.
    tables : mapping of str to DataFrame
        Aggregated tables, saved as ``tables/<name>.csv``. Those named ``diagnostics`` and ``contrasts`` are logged as
        metrics too.
    figures : mapping of str to Figure
        Saved as ``figures/<name>.png``.
    captions : mapping of str to str
        A text alternative for each figure.
    files : mapping of str to str
        Texts by path, such as ``report/report.html``.
    """

    name: str
    basis: str
    n_real: int
    verdict: str
    unmet: tuple[str, ...]
    question: str
    findings: tuple[str, ...]
    limits: tuple[str, ...]
    dataset: DatasetSummary
    params: Mapping[str, object]
    tables: Mapping[str, pd.DataFrame]
    figures: Mapping[str, Figure]
    captions: Mapping[str, str]
    files: Mapping[str, str]
