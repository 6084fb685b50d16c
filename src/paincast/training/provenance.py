"""Record where a model comes from: question, data, software, and a summary of the patients."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import pandas as pd

from paincast.disclosure.rounding import round_measured
from paincast.disclosure.suppression import is_small, suppress_small_cells
from paincast.evidence import evidence_version
from paincast.models.release import FEW_VALUES
from paincast.predictor import Predictor
from paincast.reporting.model.run_contents import CONTRACT
from paincast.schema import MINIMUM_CELL
from paincast.settings import TrainingSettings
from paincast.tracking import DatasetSummary
from paincast.training_set import TrainingSet
from paincast.version import list_software

PACKAGES = ("numpy", "pandas", "scikit-learn", "scipy", "shap", "xgboost-cpu")
MISSING = "missing"


def list_facts(
    predictor: Predictor, data: TrainingSet, dataset: DatasetSummary, settings: TrainingSettings, notes: tuple[str, ...]
) -> pd.DataFrame:
    """List the facts about the question, the data and the software.

    Parameters
    ----------
    predictor : Predictor
        The model as it is saved.
    data : TrainingSet
        The training set.
    dataset : DatasetSummary
        The summary of the cohort that is logged to MLflow.
    settings : TrainingSettings
        How it was trained.
    notes : tuple of str
        Sentences about limits and findings.

    Returns
    -------
    DataFrame
        ``fact, value``; facts without a value are left out.
    """
    outcome, first, last = data.outcome, *data.window_months
    counted = data.episodes["procedure_year"].value_counts()
    years = counted.index[counted >= MINIMUM_CELL]
    facts = {
        "question": outcome.question,
        "is_not": outcome.is_not,
        "kind": outcome.kind,
        "denominator": outcome.denominator,
        "horizon_rule": outcome.horizon_rule,
        "window": f"months {first:g} to {last:g}",
        "loss": outcome.missing,
        "outcome_references": "; ".join(outcome.references),
        "sources": "\n".join(dict.fromkeys([*dataset.sources, *predictor.sources])),
        "dataset": dataset.name,
        "digest": dataset.digest,
        "sites": _count_of(data.episodes["site_id"].nunique()),
        "years": f"{years.min():g} to {years.max():g}" if len(years) else "",
        "indications": ", ".join(predictor.rules.indications).replace("_", " "),
        "without_evidence": ", ".join(predictor.rules.without_evidence).replace("_", " "),
        "evidence_version": evidence_version(),
        "predictors": ", ".join(data.contract.label(name) for name in dict.fromkeys(predictor.response.encoder.owners)),
        "confidence": f"{settings.evaluation.confidence:g}",
        "content": predictor.version,
        "software": "; ".join(list_software(PACKAGES)),
        "notes": "\n".join(notes),
        "contract": f"{data.contract.name} ({data.contract.digest})" if data.contract.declared else "",
        CONTRACT: data.contract.declared,
    }
    return pd.DataFrame([(fact, value) for fact, value in facts.items() if value], columns=["fact", "value"])


def _count_of(n: int) -> str:
    return str(n) if n else ""


def describe_patients(data: TrainingSet) -> pd.DataFrame:
    """Describe the episodes with a known outcome: means, shares and missing values; small counts are suppressed.

    They are the episodes that subgroups are computed on. If all eligible episodes were described, differences between
    the tables would disclose how few of each category were lost.

    Returns
    -------
    DataFrame
        ``variable, level, n, share, mean, sd``; missing values have the level ``missing``.
    """
    known = data.episodes[data.known]
    columns = [
        column for column in data.contract.model_columns if column.name in known and known[column.name].notna().any()
    ]
    describe_number = partial(_describe_number, real=data.cohort.basis != "synthetic")
    rows = [
        {"variable": column.display_name, **row}
        for column in columns
        for row in (describe_number if column.type in ("number", "integer") else _describe_levels)(known[column.name])
    ]
    table = pd.DataFrame(rows, columns=["variable", "level", "n", "share", "mean", "sd"])
    numbers = ["n", "share", "mean", "sd"]
    return (
        table if data.cohort.basis == "synthetic" else round_measured(table.astype(dict.fromkeys(numbers, "float64")))
    )


def _describe_number(values: pd.Series, *, real: bool) -> Iterator[dict[str, Any]]:
    values = values.astype("float64")
    known, lost = int(values.notna().sum()), int(values.isna().sum())
    hidden = is_small(known) or is_small(lost)
    row = {"level": "", "n": None if hidden else known, "share": None}
    measured = {"mean": values.mean(), "sd": values.std()}
    if real and values.nunique() <= FEW_VALUES:
        # With all digits, the counts of each value could be worked out.
        measured = {name: round(value, 1) for name, value in measured.items()}
    yield row | ({} if known < MINIMUM_CELL else measured)
    if lost:
        share = None if hidden else lost / len(values)
        yield {"level": MISSING, "n": None if hidden else lost, "share": share}


def _describe_levels(values: pd.Series) -> Iterator[dict[str, Any]]:
    named = values.map({True: "yes", False: "no"}) if values.dtype == "boolean" else values
    counts = named.astype(object).where(named.notna(), MISSING).value_counts(sort=False).sort_index()
    shown = suppress_small_cells(counts.to_frame("n"))["n"]
    for level, n in shown.items():
        hidden: Mapping[str, Any] = {"n": None, "share": None}
        yield {"level": str(level), **(hidden if pd.isna(n) else {"n": int(n), "share": int(n) / len(values)})}
