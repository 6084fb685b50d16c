"""The contents of a run of one model, from memory or its artefacts: what report, card and checklists are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas.errors import EmptyDataError

from paincast.contract import Contract, restore_contract
from paincast.evaluation.names import name_metric
from paincast.evidence.wording import name_technique
from paincast.gates.use import CONTENT
from paincast.gates.verdict import NOT_ASKED, OVERALL
from paincast.predictor.validation import Validation, read_validations_tag
from paincast.settings.renamed import rename_parameters

FACTS = "provenance"
"""Table of ``fact, value`` on question, data and software."""

CONTRACT = "contract_declared"
"""Fact that holds what the contract of the cohort declares, as JSON."""

PICTURES = "figures"
"""Table of ``figure, shows``: the caption of each figure."""

CHECKLIST = "checklist"

OPTIMISM = "optimism"
"""Part of internal validation, and the table that holds it."""


@dataclass(frozen=True, kw_only=True)
class RunContents:
    """The contents of a run of one model.

    Parameters
    ----------
    tags, params : mapping of str to str
        Tags and parameters of the run.
    tables : mapping of str to DataFrame
        Its tables by name.
    pictures : mapping of str to bytes
        Its figures as PNG, by folder and name; empty before they are drawn.
    """

    tags: Mapping[str, str]
    params: Mapping[str, str]
    tables: Mapping[str, pd.DataFrame]
    pictures: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """Name technique and outcome in words."""
        return f"{name_technique(self.tags['technique'])}: {self.tags['outcome'].replace('_', ' ')}"

    @property
    def validations(self) -> tuple[Validation, ...]:
        """Give what patients of other cohorts said of the model, the worst first."""
        return read_validations_tag(self.tags, self.tags.get(CONTENT, ""))

    @property
    def facts(self) -> Mapping[str, str]:
        """Give the facts on question, data and software."""
        table = self.tables.get(FACTS)
        return {} if table is None else dict(zip(table["fact"], table["value"].astype(str), strict=True))

    @property
    def contract(self) -> Contract:
        """Contract of the cohort: labels and units of columns."""
        return restore_contract(self.facts.get(CONTRACT, ""))

    @property
    def sources(self) -> list[str]:
        """Give the citations of the evidence or data of the model."""
        return [source for source in self.facts.get("sources", "").split("\n") if source]

    def format_sources(self) -> str:
        """Format the only source, or how many there are and where they are listed."""
        if len(self.sources) == 1:
            return self.sources[0]
        return f"{len(self.sources)} sources, listed in tables/provenance.csv"

    @property
    def verdict(self) -> pd.DataFrame:
        """Give the criteria that the gate asked for, unmet ones first."""
        table = self.tables.get(f"verdict_{self.tags.get('gate', '')}")
        if table is None:
            return pd.DataFrame(columns=["criterion", "status", "required", "reason"])
        asked = table[table["status"] != NOT_ASKED].fillna("")
        return asked.sort_values("status", key=lambda status: status == "passed", kind="stable")

    def format_verdict(self) -> str:
        """Format the verdict and its reasons in a sentence."""
        criteria, gate = self.verdict, self.tags.get("gate", "")
        if criteria.empty:
            return "No gate has judged this model."
        unmet = criteria[criteria["status"] != "passed"]
        if unmet.empty:
            return f"Passes the gate '{gate}' in all {len(criteria)} criteria."
        names = ", ".join(unmet["criterion"].str.replace("_", " "))
        return f"Refused by the gate '{gate}' for {len(unmet)} of {len(criteria)} criteria: {names}."

    def list_metrics(self, names: tuple[str, ...] = ()) -> pd.DataFrame:
        """Tabulate overall metrics, those named and in that order, or all: metric, estimate, interval, n."""
        rows = {row["metric"]: row for row in self.tables["metrics"].to_dict("records") if row["group"] == OVERALL}
        shown = [rows[name] for name in names if name in rows] if names else list(rows.values())
        return pd.DataFrame(
            [
                {
                    "Metric": name_metric(row["metric"]),
                    "Estimate": show_number(row["estimate"]),
                    "Interval": show_interval(row),
                    "n": f"{row['n']:,.0f}",
                    "Method": row["method"],
                }
                for row in shown
            ]
        )


def read_run_folder(folder: Path, tags: Mapping[str, str], params: Mapping[str, str]) -> RunContents:
    """Read the artefacts of a run from a folder.

    Parameters
    ----------
    folder : Path
        Holds ``tables/*.csv`` and ``figures/*/*.png``.
    tags, params : mapping of str to str
        Of the run.
    """
    figures = folder / "figures"
    tables = {path.stem: _read(path) for path in sorted((folder / "tables").glob("*.csv"))}
    return RunContents(
        tags=tags,
        params=rename_parameters(params),
        tables={name: table for name, table in tables.items() if table is not None},
        pictures={
            path.relative_to(figures).with_suffix("").as_posix(): path.read_bytes()
            for path in sorted(figures.rglob("*.png"))
        },
    )


def _read(path: Path) -> pd.DataFrame | None:
    """Read a table, with empty text as text; None where it has no column."""
    try:
        table = pd.read_csv(path, keep_default_na=True)
    except EmptyDataError:
        return None
    text = [name for name in table if table[name].isna().any() and not pd.api.types.is_numeric_dtype(table[name])]
    return table.fillna(dict.fromkeys(text, ""))


def show_number(value: Any, digits: int = 3) -> str:
    """Format an estimate."""
    return f"{value:z.{digits}f}" if np.isfinite(value) else "not estimable"


def show_interval(row: Mapping[Any, Any], digits: int = 3) -> str:
    """Format an interval, or that there is none."""
    if not np.isfinite(row["estimate"]):
        return ""
    return "none" if np.isnan(row["lower"]) else f"{row['lower']:z.{digits}f} to {row['upper']:z.{digits}f}"


def show_count(n: float) -> str:
    """Format a count, or that it is hidden."""
    return "not shown" if pd.isna(n) else f"{n:,.0f}"
