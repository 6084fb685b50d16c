"""Values that a mapping reads by name from long tables: before each procedure, and at visits after it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import pandas as pd

from paincast.cohort.long.linking import Procedures
from paincast.cohort.long.pivot import find_nearest_before, link_follow_ups, pivot_visits
from paincast.cohort.long.types import BaselineWindow
from paincast.cohort.registry.conversion.ledger import Ledger
from paincast.cohort.registry.conversion.rows import mask_absent
from paincast.cohort.registry.mapping_types import Block, Field
from paincast.cohort.rejects import BrokenRule

STRANGER = "the person has no procedure"
UNUSED = "it is neither the latest value before a procedure nor a value after one"
_WITHOUT_DIMENSION = r"\{.*\}|1"
"""Units of UCUM that say what is counted, such as ``{score}``, but no dimension."""


@dataclass(kw_only=True)
class NamedValues:
    """The rows of the long tables, and which of them have been used.

    Parameters
    ----------
    rows : DataFrame with columns table, file, place, person, name, value, unit, day
        Indexed from 0.
    window : BaselineWindow
        How long before a procedure a value may be.
    missing : frozenset of str
        Codes that mean "no value" anywhere in this source.
    names : frozenset of str
        Names that the mapping reads.
    before : set of int
        Index of the rows used as baseline.
    after : dict of int to str
        Episode of each row used at a visit, by index.
    """

    rows: pd.DataFrame
    window: BaselineWindow
    missing: frozenset[str]
    names: frozenset[str]
    before: set[int] = field(default_factory=set)
    after: dict[int, str] = field(default_factory=dict)

    def select(self, reader: Field) -> pd.DataFrame:
        """Select the rows of a field that hold a value."""
        rows = self.rows[self.rows["name"].isin(reader.named)]
        if reader.file:
            rows = rows[rows["table"] == reader.file]
        rows = rows.assign(
            value=mask_absent(reader, rows["value"], self.missing),
            unit=rows["unit"].mask(rows["unit"].str.fullmatch(_WITHOUT_DIMENSION), ""),
        )
        return rows[rows["value"].notna()]

    def read_before(self, fields: Iterable[Field], person: pd.Series, day: pd.Series) -> dict[str, pd.DataFrame]:
        """Read the value of each procedure: the latest before it within the window."""
        named = {}
        for reader in fields:
            rows = self.select(reader)
            most_days = reader.most_days_before or self.window.most_days_before
            values = find_nearest_before(rows, person, day, most_days=most_days, same_day=self.window.same_day)
            self.before |= set(values["source"].dropna())
            named[reader.target.name] = values.assign(has_units=bool((rows["unit"] != "").any()))
        return named

    def read_visits(self, block: Block, procedures: Procedures, ledger: Ledger) -> Visits:
        """Read the visits of a block: one for each day on which a person has a value after a procedure."""
        values = {reader.target.name: self.select(reader) for reader in block.fields.values() if reader.named}
        index = sorted(set().union(*(rows.index for rows in values.values())))
        links = link_follow_ups(self.rows.loc[index], procedures, same_day=self.window.same_day)
        _reject_several(self.rows.loc[index], links["several"], ledger)
        linked = self.rows.assign(episode_id=links["episode_id"]).dropna(subset="episode_id")
        self.after |= {int(str(row)): episode for row, episode in linked["episode_id"].items()}
        first = linked.drop_duplicates(["episode_id", "day"])
        keys = pd.MultiIndex.from_frame(first[["episode_id", "day"]])
        named = {}
        for target, rows in values.items():
            of_visits = rows[rows.index.isin(linked.index)].assign(episode_id=linked["episode_id"])
            named[target] = pivot_visits(of_visits, keys).assign(has_units=bool((rows["unit"] != "").any()))
        return Visits(first["episode_id"], first["day"], first["place"], named)

    def tell(self, procedures: Procedures, ledger: Ledger) -> None:
        """List the values that were not used in the ledger, and count those that were."""
        unused = self.rows[~self.rows.index.isin(self.before | set(self.after))]
        is_stranger = ~unused["person"].isin(procedures.person)
        ledger.leave_out(int(is_stranger.sum()), "", STRANGER)
        ledger.leave_out(int((~is_stranger).sum()), "", UNUSED)
        first = procedures.episode_id.loc[procedures.day.dropna().groupby(procedures.person).idxmin()]
        of_later = ~pd.Series(self.after, dtype="str").isin(first)
        ledger.long_values = {
            "before a procedure": len(self.before),
            "after a procedure": len(self.after),
            "after a second or later procedure of the person": int(of_later.sum()),
            "both before a procedure and after an earlier one": len(self.before & set(self.after)),
        }
        ledger.names_not_found = sorted(set(self.names) - set(self.rows["name"]))


@dataclass(frozen=True)
class Visits:
    """Visits of a long table; each Series has one row for each visit.

    ``named`` holds the values, by target, in the same order and indexed from 0.
    """

    episode_id: pd.Series
    day: pd.Series
    place: pd.Series
    named: dict[str, pd.DataFrame]


def _reject_several(rows: pd.DataFrame, several: pd.Series, ledger: Ledger) -> None:
    for file in rows.loc[several, "file"].unique():
        of_file = rows["file"] == file
        finding = BrokenRule(
            broken=several[of_file],
            column="",
            rule="several procedures",
            allowed="one procedure of the person on a day",
            action="row left out",
        )
        ledger.reject(str(file), [finding], pd.Index(rows.loc[of_file, "place"]))
