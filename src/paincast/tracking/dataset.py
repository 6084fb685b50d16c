"""Summarize a data set for MLflow: name, digest, sources, columns and counts, but no rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from paincast.cohort.tables import Cohort, digest_rows
from paincast.disclosure.rounding import round_count
from paincast.schema import TABLES, Column


@dataclass(frozen=True, kw_only=True)
class DatasetSummary:
    """Lineage of a data set.

    Parameters
    ----------
    name : str
        Name of the data set.
    digest : str
        Hash of its contents, at most 36 characters.
    sources : tuple of str
        Citations or generator versions.
    n_episodes : int
        Number of episodes.
    counts : mapping of str to int
        Further counts.
    is_rounded : bool
        Whether the counts are rounded to five, as for real patients: together with the number a model was trained on,
        exact counts would disclose how few were lost.
    columns : list of dict
        Name and type of each column with at least one value, as an MLflow schema.
    """

    name: str
    digest: str
    sources: tuple[str, ...]
    n_episodes: int
    counts: Mapping[str, int] = field(default_factory=dict)
    columns: list[dict[str, Any]] = field(default_factory=list)
    is_rounded: bool = False


def summarize_dataset(cohort: Cohort, name: str) -> DatasetSummary:
    """Summarize a cohort for its lineage.

    Parameters
    ----------
    cohort : Cohort
        The rows a model was trained on.
    name : str
        Display name, for example ``caudal_esi_2018``.

    Returns
    -------
    DatasetSummary
        Contains no patient-level value.
    """
    tables = {table: getattr(cohort, table) for table in TABLES}
    episodes = tables["episodes"]
    is_rounded = cohort.basis != "synthetic"
    format_count = round_count if is_rounded else int
    return DatasetSummary(
        name=name,
        digest=digest_rows(cohort),
        sources=cohort.sources,
        n_episodes=format_count(len(episodes)),
        counts={
            "num_patients": format_count(episodes["patient_id"].nunique()),
            "num_visits": format_count(len(tables["visits"])),
            "num_events": format_count(len(tables["events"])),
        },
        columns=[
            _describe_column(column)
            for name, column in cohort.contract.episodes.items()
            if name in episodes and episodes[name].notna().any()
        ],
        is_rounded=is_rounded,
    )


def _describe_column(column: Column) -> dict[str, Any]:
    kind = {"number": "double", "integer": "long", "boolean": "boolean"}.get(column.type, "string")
    return {"name": column.name, "type": kind, "required": column.required}
