"""Try a draft on its file: what is certain is read, and counted with small cells hidden."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from paincast.cohort.registry.ingest import ingest
from paincast.cohort.registry.mapping import load_mapping
from paincast.cohort.registry.suggestion.drafting import MappingDraft, has_times, keep_certain, list_open, write_yaml
from paincast.cohort.tables import Cohort
from paincast.contract import CONTRACT_FILE
from paincast.disclosure.suppression import is_small, suppress_small_cells
from paincast.errors import PaincastError
from paincast.schema import MINIMUM_CELL

RESPONSE = 0.5
"""Share by which pain must fall for a response."""
WORST = 10
"""Number of columns that are listed as the worst."""


@dataclass(frozen=True, kw_only=True)
class DryRun:
    """What a draft reads.

    Parameters
    ----------
    counts : DataFrame with columns what, n
        Episodes, visits and responders; ``n`` is missing where it is hidden.
    worst : DataFrame with columns column, rejected, missing
        Columns of the contract of which most values are rejected or missing.
    still_open : tuple of str
        Columns of the contract that were left out because they are still TODO.
    failed : str
        Why nothing could be read; empty if it could.
    """

    counts: pd.DataFrame
    worst: pd.DataFrame
    still_open: tuple[str, ...] = ()
    failed: str = ""


def run_dry(draft: MappingDraft, file: str | Path) -> DryRun:
    """Read a file by what is certain in a draft.

    Parameters
    ----------
    draft : MappingDraft
        See :func:`paincast.cohort.registry.suggestion.suggest`.
    file : str or Path
        The file for which it was drafted.
    """
    still_open = tuple(dict.fromkeys(list_open(draft)))
    with tempfile.TemporaryDirectory() as folder:
        mapping = Path(folder) / "dry-run.yaml"
        mapping.write_text(write_yaml(keep_certain(draft)), encoding="utf-8")
        if draft.contract.declared:
            (Path(folder) / CONTRACT_FILE).write_text(draft.contract.declared, encoding="utf-8")
        try:
            cohort, rejects = ingest(load_mapping(mapping), [file])
        except PaincastError as error:
            return DryRun(
                counts=_no_counts(),
                worst=_no_worst(),
                still_open=still_open,
                failed=f"{error.code}: the draft is not complete enough",
            )
    counts = _count(cohort, is_timed=has_times(draft))
    return DryRun(counts=counts, worst=_find_worst(cohort, rejects, draft), still_open=still_open)


def _no_counts() -> pd.DataFrame:
    return pd.DataFrame(columns=["what", "n"])


def _no_worst() -> pd.DataFrame:
    return pd.DataFrame(columns=["column", "rejected", "missing"])


def _count(cohort: Cohort, *, is_timed: bool) -> pd.DataFrame:
    rows: list[tuple[str, int | None]] = [
        (name, None if is_small(n) else n)
        for name, n in (("episodes", len(cohort.episodes)), ("visits", len(cohort.visits)))
    ]
    return pd.DataFrame([*rows, *_count_responders(cohort, is_timed=is_timed)], columns=["what", "n"]).astype(
        {"n": "Int64"}
    )


def _count_responders(cohort: Cohort, *, is_timed: bool) -> list[tuple[str, int | None]]:
    """Count responders at the month at which most episodes have a pain score."""
    before = cohort.episodes.set_index("episode_id")["pain_nrs"]
    visits = cohort.visits.dropna(subset=["pain_nrs"])
    visits = visits.assign(before=visits["episode_id"].map(before))
    visits = visits[visits["before"] > 0]
    if visits.empty:
        return [("episodes with pain before and after", 0)]
    at = visits["month"].round().mode().iloc[0]
    nearest = (
        visits.assign(far=(visits["month"] - at).abs()).sort_values("far", kind="stable").drop_duplicates("episode_id")
    )
    responded = int((nearest["pain_nrs"] <= (1 - RESPONSE) * nearest["before"]).sum())
    shown = suppress_small_cells(pd.DataFrame({"responded": [responded], "did_not": [len(nearest) - responded]}))
    hidden = {name: None if pd.isna(n) else int(n) for name, n in shown.iloc[0].items()}
    label = f"at the visit nearest to month {at:g}" if is_timed else "at the follow-up, whose month is not told"
    return [
        (f"episodes with pain before and {label}", hidden["total"]),
        (f"with at least {RESPONSE:.0%} less pain {label}", hidden["responded"]),
    ]


def _find_worst(cohort: Cohort, rejects: pd.DataFrame, draft: MappingDraft) -> pd.DataFrame:
    """Find the columns with most rejected and missing values; a share of fewer than five patients is not told."""
    names = [entry.name for entry in draft.episodes if entry.name in cohort.episodes]
    n = max(1, len(cohort.episodes))
    missing = cohort.episodes[names].isna().sum().rename("missing")
    rejected = rejects["column"].value_counts().reindex(names).fillna(0).astype(int).rename("rejected")
    worst = pd.concat([rejected, missing], axis="columns").sort_values(["rejected", "missing"], ascending=False)
    worst = worst[(worst["rejected"] > 0) | (worst["missing"] > 0)].head(WORST)
    return (
        worst.assign(missing=(worst["missing"] / n).where(~is_small(worst["missing"])))
        .rename_axis("column")
        .reset_index()
    )


def format_dry_run(run: DryRun) -> str:
    """Write a dry run for a terminal."""
    if run.failed:
        return f"dry run: nothing can be read yet ({run.failed})"
    head = f"dry run, without what is still TODO ({', '.join(run.still_open)}):" if run.still_open else "dry run:"
    hidden = f"fewer than {MINIMUM_CELL}, or hidden because it would tell one"
    lines = [
        head,
        *[f"  {row['what']}: {hidden if pd.isna(row['n']) else row['n']}" for row in run.counts.to_dict("records")],
    ]
    if not run.worst.empty:
        lines.append("  columns with most rejected or missing values:")
    for row in run.worst.to_dict("records"):
        missing = "few missing" if pd.isna(row["missing"]) else f"{row['missing']:.0%} missing"
        rejected = "few rejected" if is_small(row["rejected"]) else f"{row['rejected']} rejected"
        lines.append(f"    {row['column']}: {rejected}, {missing}")
    return "\n".join(lines)
