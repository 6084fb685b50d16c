"""Count what a batch prediction answered and left out, part by part, in memory that does not grow with the rows."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from paincast.cohort.rejects import NOT_A_PATIENT, WHOLE_COLUMN, Lost, count_lost
from paincast.deferred import pandas as pd
from paincast.scoring.arrays import to_arrow

MOST_REASONS = 1000
"""Reasons of one technique that are counted by themselves; they name columns, which can be combined in many ways."""

OTHER_REASONS = "other reasons"


@dataclass(kw_only=True)
class Tally:
    """Counts of a part, or of all parts so far.

    Parameters
    ----------
    n_patients : int
        Rows read, without those that are not patients.
    n_answers : int
        Predictions, abstentions among them.
    n_written : int
        Rows in which they were written: fewer where each patient has one.
    predicted, abstained : Counter of str
        Answers and abstentions by technique, in the order in which they first occur.
    marked : dict of str to None
        Techniques with an answer for research use only.
    reasons : dict of str to Counter of str
        Reasons to abstain by technique.
    n_rejects : int
        Lines of the rejects.
    lost : Lost
        What they left out.
    """

    n_patients: int = 0
    n_answers: int = 0
    n_written: int = 0
    predicted: Counter[str] = field(default_factory=Counter)
    abstained: Counter[str] = field(default_factory=Counter)
    marked: dict[str, None] = field(default_factory=dict)
    reasons: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    n_rejects: int = 0
    lost: Lost = field(default_factory=lambda: Lost(False, 0, Counter()))

    def note_answers(self, predictions: pa.Table, n_written: int) -> None:
        """Count the predictions of a batch, and the rows in which they were written."""
        self.n_answers += len(predictions)
        self.n_written += n_written
        kinds = _count_kinds(predictions, ("abstained", "technique", "use", "abstained_because"))
        for (is_silent, technique, use, reason), n in kinds.items():
            if is_silent:
                self.abstained[technique] += n
                self._note_reason(technique, reason, n)
                continue
            self.predicted[technique] += n
            if use:
                self.marked[technique] = None

    def note_unread(self, rejects: pd.DataFrame | None) -> None:
        """Count the patients whom the reader left out."""
        if rejects is None:
            return
        rows = rejects[(rejects["action"] == "row left out") & (rejects["row"] != WHOLE_COLUMN)]
        self.n_patients += int(rows.loc[rows["rule"] != NOT_A_PATIENT, "row"].nunique())

    def note_rejects(self, rejects: pd.DataFrame) -> None:
        """Count rejects; those of a row must all be among them."""
        self.n_rejects += len(rejects)
        self.lost = self.lost.add(count_lost(rejects))

    def add(self, part: Tally) -> None:
        """Add the counts of a further part."""
        self.n_patients += part.n_patients
        self.n_answers += part.n_answers
        self.n_written += part.n_written
        self.predicted.update(part.predicted)
        self.abstained.update(part.abstained)
        self.marked |= part.marked
        for technique, reasons in part.reasons.items():
            for reason, n in reasons.items():
                self._note_reason(technique, reason, n)
        self.n_rejects += part.n_rejects
        self.lost = self.lost.add(part.lost)

    def _note_reason(self, technique: str, reason: str, n: int) -> None:
        counted = self.reasons[technique]
        counted[reason if reason in counted or len(counted) < MOST_REASONS else OTHER_REASONS] += n

    def to_plain(self) -> dict[str, Any]:
        """Convert to plain data for JSON, in which the order of keys matters."""
        return {
            "n_patients": self.n_patients,
            "n_answers": self.n_answers,
            "n_written": self.n_written,
            "predicted": dict(self.predicted),
            "abstained": dict(self.abstained),
            "marked": list(self.marked),
            "reasons": {technique: dict(counted) for technique, counted in self.reasons.items()},
            "n_rejects": self.n_rejects,
            "lost": [self.lost.columns, self.lost.rows, dict(self.lost.cells)],
        }

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Tally:
        """Revert :meth:`to_plain`."""
        columns, rows, cells = plain["lost"]
        return cls(
            n_patients=int(plain["n_patients"]),
            n_answers=int(plain["n_answers"]),
            n_written=int(plain["n_written"]),
            predicted=Counter(plain["predicted"]),
            abstained=Counter(plain["abstained"]),
            marked=dict.fromkeys(plain["marked"]),
            reasons=defaultdict(Counter, {name: Counter(counted) for name, counted in plain["reasons"].items()}),
            n_rejects=int(plain["n_rejects"]),
            lost=Lost(bool(columns), int(rows), Counter(cells)),
        )


def sum_tallies(parts: Iterable[Tally]) -> Tally:
    """Add the counts of parts in their order."""
    total = Tally()
    for part in parts:
        total.add(part)
    return total


def _count_kinds(rows: pa.Table, columns: Sequence[str]) -> dict[tuple[Any, ...], int]:
    """Count the rows of each combination of values, in the order in which they first occur."""
    key, words = np.zeros(len(rows), dtype=np.int64), []
    for name in columns:
        column = rows[name].combine_chunks()
        encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
        words.append(encoded.dictionary.to_pylist())
        key = key * len(words[-1]) + encoded.indices.to_numpy()
    found = pc.value_counts(to_arrow(key))
    kinds = {}
    for combined, n in zip(found.field("values").to_pylist(), found.field("counts").to_pylist(), strict=True):
        values = []
        for names in reversed(words):
            combined, place = divmod(combined, len(names))
            values.append(names[place])
        kinds[tuple(reversed(values))] = n
    return kinds
