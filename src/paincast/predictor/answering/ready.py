"""Patients that were checked and are ready to be scored, with what could not be used of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from paincast.cohort.checking import Checked
from paincast.cohort.reading.patients import PatientRows
from paincast.cohort.rejects import NOTHING_LOST, UNKNOWN_COLUMN, WHOLE_COLUMN
from paincast.cohort.tables import conform
from paincast.cohort.validate import check_rows
from paincast.contract import BUILT_IN, Contract
from paincast.deferred import pandas as pd
from paincast.predictor.answering.frames import spell_out
from paincast.scoring.patients import FEW_PATIENTS, Patients

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Unreadable:
    """Columns whose value was given but could not be used: a set of names for each patient.

    Parameters
    ----------
    sets : sequence of tuple of str
        Distinct sets.
    codes : ndarray of int, shape (n,)
        Which set each patient has.
    """

    sets: Sequence[tuple[str, ...]]
    codes: IntArray

    def take(self, rows: npt.NDArray[np.intp]) -> Unreadable:
        """Select patients, and the sets that any of them has."""
        if len(self.sets) == 1:
            return Unreadable(sets=self.sets, codes=self.codes[rows])
        present, codes = np.unique(self.codes[rows], return_inverse=True)
        return Unreadable(sets=[self.sets[code] for code in present.tolist()], codes=codes)

    def list(self) -> list[tuple[str, ...]]:
        """List the set of each patient."""
        return [self.sets[code] for code in self.codes]


@dataclass(frozen=True, kw_only=True)
class ReadyPatients:
    """Checked patients.

    Parameters
    ----------
    patients : Patients
        Columns of the contract in their types; both ids are there.
    places : ndarray of int, shape (n,)
        Position of each patient in the source, ascending.
    unreadable : Unreadable
        What could not be used.
    contract : Contract
        Declares the columns.
    """

    patients: Patients
    places: IntArray
    unreadable: Unreadable
    contract: Contract = BUILT_IN
    _without_choices: dict[bytes, Patients] = field(default_factory=dict, repr=False, compare=False)
    _frames: dict[str, tuple[pd.DataFrame, pd.Series]] = field(default_factory=dict, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.places)

    def take(self, rows: npt.NDArray[np.intp]) -> ReadyPatients:
        """Select patients by position, in ascending order."""
        if len(rows) == len(self):
            return self
        return replace(
            self,
            patients=self.patients.take(rows),
            places=self.places[rows],
            unreadable=self.unreadable.take(rows),
            _without_choices={},
            _frames={},
        )

    def select(self, names: Sequence[str], technique: str) -> Patients:
        """Select columns, without choices made for another technique.

        Of few patients all columns are kept, so that what is read of them for one model is there for the next.
        """
        for_another = self.patients.codes("technique", (technique,)) == 2
        if len(self) > FEW_PATIENTS:
            return self.patients.select(names).empty([name for name in names if name in self._choices], for_another)
        key = for_another.tobytes()
        if key not in self._without_choices:
            self._without_choices[key] = self.patients.empty(self._choices, for_another)
        return self._without_choices[key]

    @property
    def _choices(self) -> list[str]:
        columns = self.contract.episodes.values()
        return [column.name for column in columns if column.role == "technique" and column.name != "technique"]

    def to_episodes(self) -> tuple[pd.DataFrame, pd.Series]:
        """Return the patients as ``episodes`` and their unreadable columns, both indexed by place.

        Of few patients they are kept, as all who ask need them.
        """
        if "episodes" in self._frames:
            return self._frames["episodes"]
        episodes = conform("episodes", self.patients.table.to_pandas(), self.contract)
        index = pd.Index(self.places)
        made = episodes.set_axis(index, axis="index"), pd.Series(self.unreadable.list(), index=index, dtype=object)
        if len(self) <= FEW_PATIENTS:
            self._frames["episodes"] = made
        return made


def check_patients(read: PatientRows, contract: Contract) -> tuple[ReadyPatients, Checked]:
    """Check patients that are read.

    Returns
    -------
    ready : ReadyPatients
        Those who were kept.
    checked : Checked
        The same before they were made ready, with rejects and counts of all.
    """
    checked = check_rows(read, contract)
    places = read.places[checked.kept]
    unreadable = code_unreadable(checked.rejects, places)
    return ReadyPatients(
        patients=Patients(checked.table), places=places, unreadable=unreadable, contract=contract
    ), checked


def join_patients(parts: Sequence[ReadyPatients]) -> ReadyPatients:
    """Join patients of several sources, so that all are answered at once: each gets the answer that it gets alone.

    Parameters
    ----------
    parts : sequence of ReadyPatients
        One or more, of one contract.

    Returns
    -------
    ReadyPatients
        Placed by their order.
    """
    sets: dict[tuple[str, ...], int] = {}
    codes = []
    for unreadable in (part.unreadable for part in parts):
        numbers = np.array([sets.setdefault(names, len(sets)) for names in unreadable.sets], dtype=np.int64)
        codes.append(numbers[unreadable.codes])
    tables = [spell_out(part.patients.table) for part in parts]
    return ReadyPatients(
        patients=Patients(pa.concat_tables(tables, promote_options="permissive").combine_chunks()),
        places=np.arange(sum(map(len, parts))),
        unreadable=Unreadable(sets=list(sets), codes=np.concatenate(codes)),
        contract=parts[0].contract,
    )


def from_episodes(episodes: pd.DataFrame, unreadable: pd.Series | None, contract: Contract) -> ReadyPatients:
    """Make ready patients of ``episodes`` in the types of the contract, placed by their order."""
    table = pa.Table.from_pandas(episodes, preserve_index=False)
    sets: dict[tuple[str, ...], int] = {(): 0}
    codes = np.zeros(len(episodes), dtype=np.int64)
    if unreadable is not None:
        codes = np.array([sets.setdefault(tuple(names), len(sets)) for names in unreadable], dtype=np.int64)
    return ReadyPatients(
        patients=Patients(table.replace_schema_metadata()),
        places=np.arange(len(episodes)),
        unreadable=Unreadable(sets=list(sets), codes=codes),
        contract=contract,
    )


def code_unreadable(rejects: pd.DataFrame | None, places: IntArray) -> Unreadable:
    """Code for each patient the columns in which a value was given but could not be used.

    Parameters
    ----------
    rejects : DataFrame or None
        Rejects of the patients; a column that was left out is unreadable in every row.
    places : ndarray of int, shape (n,)
        Positions of the patients who were kept, ascending.
    """
    if rejects is None:
        return Unreadable(sets=[()], codes=np.zeros(len(places), dtype=np.int64))
    is_lost = ~rejects["rule"].isin(NOTHING_LOST).to_numpy()
    rows, action = rejects["row"].to_numpy(), rejects["action"]
    is_left_out = is_lost & (action == "column left out").to_numpy() & (rejects["rule"] != UNKNOWN_COLUMN).to_numpy()
    of_all = tuple(dict.fromkeys(rejects["column"][is_left_out]))
    sets: dict[tuple[str, ...], int] = {of_all: 0}
    codes = np.zeros(len(places), dtype=np.int64)
    emptied = np.flatnonzero(is_lost & (action == "cell emptied").to_numpy() & (rows != WHOLE_COLUMN))
    emptied = emptied[np.argsort(rows[emptied], kind="stable")]
    named, starts = np.unique(rows[emptied], return_index=True)
    columns, names = pd.factorize(rejects["column"])
    unread = np.asarray(names, dtype=object)[columns[emptied]].tolist()
    positions = np.minimum(np.searchsorted(places, named), len(places) - 1)
    bounds = [*starts.tolist(), len(unread)]
    for place in np.flatnonzero(places[positions] == named).tolist() if len(places) else ():
        found = tuple(dict.fromkeys([*of_all, *unread[bounds[place] : bounds[place + 1]]]))
        codes[positions[place]] = sets.setdefault(found, len(sets))
    return Unreadable(sets=list(sets), codes=codes)
