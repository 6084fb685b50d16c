"""Gather the evidence of a run for a gate, and name the tags and table that store the verdict."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from paincast.errors import SettingsError
from paincast.gates import GateEvidence, GateVerdict, gate
from paincast.gates.elsewhere import HELD_OUT, VALIDATION
from paincast.gates.use import CONTENT
from paincast.outcomes import get_outcome
from paincast.outcomes.definitions import Kind
from paincast.predictor.validation import Validation, read_validations_tag
from paincast.settings import GateSettings
from paincast.settings.renamed import rename_parameters
from paincast.tracking.model_run import ModelRun

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

CONFIDENCE = "evaluation.confidence"
LEVEL = "uncertainty.confidence"
"""Parameters of a run that a gate reads."""

TABLES: Mapping[str, tuple[str, ...]] = {
    "metrics": ("metric", "group", "estimate", "lower", "upper", "n", "method"),
    "subgroups": ("metric", "group", "estimate", "lower", "upper", "n", "method"),
    "decision_curve": ("metric", "group", "estimate", "threshold", "versus", "band_lower", "band_upper"),
    "sample_size": ("criterion", "n", "available", "met"),
    "instability": ("metric", "estimate"),
    "observation_weights": ("measure", "value"),
    "tipping_point": ("shift", "odds_ratio", "verdict", "tips"),
    **dict.fromkeys(HELD_OUT, ("metric", "estimate", "lower", "upper", "n_groups")),
    VALIDATION: ("part", "status", "says"),
    "checklist": ("item", "status"),
}
"""Tables of a run that a gate reads, and the columns it needs in them."""

AS_THEY_ARE = ("metrics", "subgroups", "decision_curve", "sample_size", "instability", "tipping_point")
"""Tables that are evidence under their own names."""

ANSWERED = ("filled", "does not apply")
"""Statuses of a complete item in ``checklist``: the evidence is there, or the item does not apply to the outcome."""

LONGEST_TAG = 4000


def assess_model(model: ModelRun, criteria: GateSettings) -> GateVerdict:
    """Judge a model before it is logged.

    Parameters
    ----------
    model : ModelRun
        What its run logs.
    criteria : GateSettings
        The gate.

    Returns
    -------
    GateVerdict
    """
    evidence = gather_gate_evidence(
        model.outcome,
        model.basis,
        str(model.n_real),
        model.params,
        {**model.tables, "metrics": model.metrics, "instability": model.instability},
    )
    return gate(evidence, criteria)


def read_gate_evidence(client: MlflowClient, run: Run, version_tags: Mapping[str, str]) -> GateEvidence:
    """Read the evidence of a logged model from its run, and its external validations from its registered version.

    Parameters
    ----------
    client : MlflowClient
        Client of the store.
    run : Run
        Run of one model.
    version_tags : mapping of str to str
        Tags of its registered version.

    Returns
    -------
    GateEvidence
        Evidence that the run does not have is missing.

    Raises
    ------
    DataError
        If the record of validations is damaged.
    """
    tags, params = run.data.tags, rename_parameters(run.data.params)
    with tempfile.TemporaryDirectory() as scratch:
        files = {Path(file.path).name for file in client.list_artifacts(run.info.run_id, "tables")}
        tables = {
            name: pd.read_csv(client.download_artifacts(run.info.run_id, f"tables/{name}.csv", scratch))
            for name in TABLES
            if f"{name}.csv" in files
        }
    evidence = gather_gate_evidence(tags.get("outcome", ""), tags.get("basis", ""), tags.get("n_real"), params, tables)
    content = version_tags.get(CONTENT) or tags.get(CONTENT, "")
    return replace(evidence, validations=_tabulate_validations(read_validations_tag(version_tags, content)))


def _tabulate_validations(validations: Sequence[Validation]) -> pd.DataFrame:
    rows = [(item.cohort, item.n, item.o_e, item.lower, item.upper, item.contradicts) for item in validations]
    return pd.DataFrame(rows, columns=["group", "n", "estimate", "lower", "upper", "contradicts"])


def gather_gate_evidence(
    outcome: str, basis: str, n_real: str | None, params: Mapping[str, Any], tables: Mapping[str, pd.DataFrame]
) -> GateEvidence:
    """Gather evidence from what a run logs.

    Parameters
    ----------
    outcome, basis : str
        Name of the outcome, and the basis of the model.
    n_real : str or None
        Number of real episodes, as in the tag of a run.
    params : mapping
        Parameters of the run; :data:`CONFIDENCE` and :data:`LEVEL` are used.
    tables : mapping of str to DataFrame
        Tables of the run by name; a table without the columns in :data:`TABLES` counts as missing.

    Returns
    -------
    GateEvidence
    """
    complete = {name: table for name, table in tables.items() if set(TABLES.get(name, ())) <= set(table.columns)}
    checklist = complete.get("checklist")
    return GateEvidence(
        kind=_find_kind(outcome),
        basis=basis,
        n_real=int(n_real) if n_real and n_real.isdecimal() else None,
        confidence=_read_number(params, CONFIDENCE),
        level=_read_number(params, LEVEL),
        **{name: complete.get(name) for name in AS_THEY_ARE},
        loss=complete.get("observation_weights"),
        held_out={name: complete[name] for name in (*HELD_OUT, VALIDATION) if name in complete},
        card_items=None
        if checklist is None
        else frozenset(checklist.loc[checklist["status"].isin(ANSWERED), "item"].astype(str)),
    )


def _find_kind(outcome: str) -> Kind:
    """Find the kind of an outcome; those that a contract declares are binary."""
    try:
        return get_outcome(outcome).kind
    except SettingsError:
        return "binary"


def _read_number(params: Mapping[str, Any], name: str) -> float | None:
    try:
        return float(params[name])
    except (KeyError, TypeError, ValueError):
        return None


def tag_verdict(verdict: GateVerdict) -> dict[str, str]:
    """Return the tags of a run or model version that store a verdict.

    Parameters
    ----------
    verdict : GateVerdict
        From :func:`paincast.gates.gate`.

    Returns
    -------
    dict of str
        ``verdict, gate, unmet``.
    """
    return {
        "verdict": "passes" if verdict.passed else "refused",
        "gate": verdict.gate,
        "unmet": "; ".join(f"{finding.criterion}: {finding.reason}" for finding in verdict.unmet)[:LONGEST_TAG],
    }


def name_verdict_table(verdict: GateVerdict) -> str:
    """Return the name of the table that stores the verdict of a gate."""
    return f"verdict_{verdict.gate}"
