"""Round everything measured on real patients before it is plotted, judged or logged."""

from __future__ import annotations

from dataclasses import fields, replace

import pandas as pd

from paincast.disclosure.rounding import round_measured
from paincast.evaluation.assessment import Assessment
from paincast.training.instability import Instability
from paincast.training.task import TrainedModel


def round_trained(trained: TrainedModel) -> TrainedModel:
    """Round every table of a model that was measured on real patients.

    Parameters
    ----------
    trained : TrainedModel
        The model with its evaluation.

    Returns
    -------
    TrainedModel
        The same tables with few digits; the model itself is unchanged.
    """
    measured, validation = trained.instability, trained.validation
    return replace(
        trained,
        metrics=round_measured(trained.metrics),
        curve=None if trained.curve is None else round_measured(trained.curve),
        loss=round_measured(trained.loss),
        weights=round_measured(trained.weights),
        tipping_point=round_measured(trained.tipping_point),
        instability=None if measured is None else Instability(*map(round_measured, measured)),
        assessment=None if trained.assessment is None else _round_assessment(trained.assessment),
        validation=None if validation is None else replace(validation, tables=_round_all(validation.tables)),
        further=replace(trained.further, tables=_round_all(dict(trained.further.tables))),
    )


def _round_assessment(assessment: Assessment) -> Assessment:
    contents = {part.name: getattr(assessment, part.name) for part in fields(assessment)}
    return replace(
        assessment, **_round_all({name: table for name, table in contents.items() if isinstance(table, pd.DataFrame)})
    )


def _round_all(tables: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    return {name: round_measured(table) for name, table in tables.items()}
