"""Large simulated cohorts, read back from their folders a column at a time."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from paincast.evidence import Record, simulated_records
from paincast.outcomes import OUTCOMES, compute_outcome
from paincast.simulator import Assumptions, Truth, write_cohort

SEED = 20260101
WORKERS = 2

OPEN = Assumptions(
    visit_missing_share=0.0,
    loss_share=0.0,
    loss_mnar=0.0,
    missing={},
    missing_other=0.0,
    missing_at_visits={},
    data_end_year=2200.0,
)
"""A registry that misses nothing; all else at its default."""


@contextmanager
def draw(techniques: Sequence[str], n: int, **settings: Any) -> Iterator[Path]:
    """Write a cohort of ``n`` episodes a technique into a folder that goes away."""
    with tempfile.TemporaryDirectory(prefix="paincast-benchmark-") as scratch:
        folder = Path(scratch) / "cohort"
        kept = {"seed": SEED, "workers": WORKERS, "assumptions": OPEN, **settings}
        write_cohort(folder, techniques=list(techniques), episodes_per_technique=n, **kept)
        yield folder


def open_with(**changes: Any) -> Assumptions:
    """A registry that misses nothing, with other settings changed."""
    return replace(OPEN, **changes)


def read_episodes(folder: Path, columns: Sequence[str] | None = None) -> pd.DataFrame:
    return pq.read_table(folder / "episodes.parquet", columns=columns).to_pandas()


def read_outcome(folder: Path, episodes: pd.DataFrame, month: float, outcome: str = "pain_response") -> np.ndarray:
    """Answer of each episode at a month (1, 0, or missing where nothing answers).

    A visit must be at that month. Complications and relief count from the first day, so all visits are read.
    """
    question = OUTCOMES[outcome]
    at_visit = question.assessed_by == "visit"
    visits = pq.read_table(folder / "visits.parquet", filters=[("month", "==", month)] if at_visit else None)
    events = pq.read_table(folder / "events.parquet").to_pandas()
    window = (month, month) if at_visit else None
    answers = compute_outcome(episodes, visits.to_pandas(), events, question, month, window)
    return answers.value.to_numpy(dtype=float)


def read_probability(
    truth: Truth, episodes: pd.DataFrame, month: float, technique: str | None = None, outcome: str = "pain_response"
) -> np.ndarray:
    """True probability of each episode, under the technique it received or another."""
    total = np.full(len(episodes), np.nan)
    for name in [technique] if technique else episodes["technique"].unique():
        own = np.ones(len(episodes), dtype=bool) if technique else (episodes["technique"] == name).to_numpy()
        expanded = truth.expand(technique=name, outcome=outcome, month=month)
        total[own] = expanded.set_index("episode_id")["probability"].reindex(episodes.loc[own, "episode_id"]).to_numpy()
    return total


def own_rows(episodes: pd.DataFrame, record: Record) -> np.ndarray:
    """Episodes of a record's technique and approach in its own indication."""
    rows = (episodes["technique"] == record.technique) & (episodes["indication"] == record.indication)
    return (rows if record.approach is None else rows & (episodes["approach"] == record.approach)).to_numpy()


def records_in(technique: str, scenario: str) -> list[Record]:
    """Records of a technique that can be simulated in a scenario."""
    return [record for record in simulated_records(technique) if scenario in (record.scenarios or {})]


def size_for(technique: str, wanted: int, scenario: str = "literature") -> int:
    """Episodes of a technique so that the rarest of its records has about ``wanted``."""
    records = records_in(technique, scenario)
    if len(records) == 1 and len(records[0].indications) == 1:
        return wanted
    with draw([technique], 20_000, scenario=scenario) as folder:
        episodes = read_episodes(folder, ["technique", "indication", "approach"])
    rarest = min(own_rows(episodes, record).mean() for record in records)
    return int(wanted / rarest * 1.03) + 1


def as_markdown(frame: pd.DataFrame) -> str:
    """Write a table in Markdown."""
    lines = ["| " + " | ".join(map(str, frame.columns)) + " |", "|" + " --- |" * frame.shape[1]]
    for row in frame.itertuples(index=False):
        lines.append("| " + " | ".join(_show(value) for value in row) + " |")
    return "\n".join(lines)


def _show(value: object) -> str:
    if isinstance(value, float):
        return "" if np.isnan(value) else f"{value:.3f}" if abs(value) < 100 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int | np.integer) and not isinstance(value, bool) else str(value)
