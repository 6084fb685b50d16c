"""Everything left out while a registry's files are read: rejects, and rows that the mapping excludes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from paincast.cohort.rejects import BrokenRule, make_rejects


@dataclass
class Ledger:
    """Everything left out during ingestion: rejects, and rows that the mapping excludes.

    ``long_values`` counts the values of long tables that were used, by what for; ``names_not_found`` lists the names
    that no row has.
    """

    rejects: list[pd.DataFrame] = field(default_factory=list)
    left_out: list[dict[str, Any]] = field(default_factory=list)
    long_values: dict[str, int] = field(default_factory=dict)
    names_not_found: list[str] = field(default_factory=list)

    def reject(self, table: str, findings: Sequence[BrokenRule], rows: pd.Index) -> None:
        """Add the rows that break a rule."""
        self.rejects.append(make_rejects(table, findings, rows.to_series()))

    def leave_out(self, n_rows: int, column: str, because: str) -> None:
        """Add rows that the mapping excludes, if there are any."""
        if n_rows:
            self.left_out.append({"column": column, "because": because, "rows": n_rows})
