"""What MLflow logs of a training and of one of its models, and where it was logged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from paincast.predictor import Predictor
from paincast.settings import GateSettings
from paincast.tracking.dataset import DatasetSummary
from paincast.tracking.store import Store


class Figure(Protocol):
    """What can be saved as an image, as a figure of matplotlib."""

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
        Which model it is; the registered name is ``paincast.<technique>.<outcome>``.
    horizon_months : float
        Month at which the outcome is asked.
    model_kind : str
        ``logistic`` or ``xgboost``.
    basis : {"synthetic", "real", "blended"}
        What the model stands on.
    n_real : int
        Real episodes behind it.
    predictor : Predictor
        The sealed model.
    metrics : DataFrame
        Columns ``metric, group, estimate, lower, upper, n, method``.
    instability : DataFrame
        The same columns: how far predictions would move had the model been fitted to other patients. They are metrics
        of the run too, and saved as ``tables/instability.csv``.
    validation : DataFrame
        The same columns: metrics of the run that come of doing the whole modelling again.
    dataset : DatasetSummary
        Lineage, from :func:`paincast.tracking.dataset.summarize_dataset`.
    params : mapping
        Parameters, flat.
    figures : mapping of str to Figure
        Saved as ``figures/<name>.png``; a name may hold a folder.
    captions : mapping of str to str
        A sentence for each figure, for those who cannot see it.
    tables : mapping of str to DataFrame
        Summary tables, saved as ``tables/<name>.csv``; never rows of patients.
    tags : mapping of str to str
        Further tags.
    notes : tuple of str
        Further limits or findings for the description.
    gate : GateSettings
        The gate that judges the model when it is logged, from the tables in
        :data:`paincast.tracking.gate_evidence.TABLES`.
    write_report : callable, optional
        Given a folder of tables and figures, tags and parameters, writes ``report`` there and gives the model card.
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
        """Give the name of the run."""
        return f"{self.technique} · {self.basis} · {self.outcome}"

    @property
    def registered_name(self) -> str:
        """Give the name of the model in the registry."""
        return f"paincast.{self.technique}.{self.outcome}"
