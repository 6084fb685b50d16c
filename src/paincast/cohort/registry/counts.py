"""Count what an ingestion wrote and left out, for its summary and for the share of rows that lost a value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from paincast.cohort.rejects import Lost, count_lost
from paincast.schema import TABLES


@dataclass
class IngestionCounts:
    """Rows by table, and rejects by kind; of rejects that come in parts, a row's must come together.

    Parameters
    ----------
    n_rows : Counter of str
        Rows written, by table.
    kinds : Counter of tuple
        Rejects by action, table, column and rule.
    lost : dict of Lost
        What was left out, by table.
    n_left_out : Counter of str
        Rows left out, by table.
    """

    n_rows: Counter[str] = field(default_factory=Counter)
    kinds: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    lost: dict[str, Lost] = field(default_factory=dict)
    n_left_out: Counter[str] = field(default_factory=Counter)

    def add_rejects(self, rejects: pd.DataFrame) -> None:
        """Count rejects."""
        kinds = rejects[["action", "table", "column", "rule"]]
        self.kinds.update(Counter(kinds.itertuples(index=False, name=None)))
        for name, part in rejects.groupby("table"):
            table, lost = str(name), count_lost(part)
            self.lost[table] = self.lost[table].add(lost) if table in self.lost else lost
            left_out = part.loc[part["action"] == "row left out", ["file", "row"]].drop_duplicates()
            self.n_left_out[table] += len(left_out)

    def compute_worst_share(self, files: Mapping[str, Any]) -> float:
        """Compute the largest share of the rows of a table, or of one of ``files``, that lost a value."""
        shares = [
            lost.compute_share(self.n_rows[table] + self.n_left_out[table] if table in TABLES else files[table]["rows"])
            for table, lost in self.lost.items()
        ]
        return max(shares, default=0.0)


def count_ingested(tables: Mapping[str, pd.DataFrame], rejects: pd.DataFrame) -> IngestionCounts:
    """Count tables and rejects that are in memory."""
    counts = IngestionCounts(n_rows=Counter({table: len(frame) for table, frame in tables.items()}))
    counts.add_rejects(rejects)
    return counts
