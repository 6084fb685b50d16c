"""Visits and events linked to their episodes by row number, and groups of episodes in which everything is counted."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from paincast.cohort.tables import Cohort
from paincast.contract import Contract
from paincast.disclosure.groups import choose_released_groups
from paincast.outcomes import Outcome, OutcomeLabels, compute_outcome
from paincast.schema import MINIMUM_CELL
from paincast.statistics import compute_wilson_interval

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

MOST_GROUPS = 12
"""Most sites, or years, that are told apart; the others are taken together."""

ALL = "all"
NOT_KNOWN = "not known"


@dataclass(frozen=True, kw_only=True)
class Grouping:
    """Groups of rows without common rows, in which shares are counted.

    Parameters
    ----------
    name : str
        What the groups are: ``site``, ``year``, ``technique`` or ``all``.
    labels : tuple of str
        Names of the groups.
    codes : ndarray of shape (n,)
        Position in ``labels`` of the group of each row.
    patients : ndarray of shape (n,)
        Number of the patient of each row.
    """

    name: str
    labels: tuple[str, ...]
    codes: IntArray
    patients: IntArray

    @cached_property
    def _order(self) -> IntArray:
        return np.lexsort((self.patients, self.codes))

    def count(self, flagged: npt.ArrayLike, among: npt.ArrayLike | None = None) -> pd.DataFrame:
        """Count the flagged rows of each group, and the patients behind them and behind the others.

        Parameters
        ----------
        flagged : array-like of bool, shape (n,)
            Rows to be counted.
        among : array-like of bool, shape (n,), optional
            Rows to which the question applies; by default all.

        Returns
        -------
        DataFrame
            The name of the grouping, ``n, count, share, with_patients, without_patients``; one row per group.
        """
        is_counted = np.asarray(flagged, dtype=bool)
        is_asked = np.ones(len(self.codes), dtype=bool) if among is None else np.asarray(among, dtype=bool)
        n_rows = np.bincount(self.codes[is_asked], minlength=len(self.labels))
        n_counted = np.bincount(self.codes[is_asked & is_counted], minlength=len(self.labels))
        return pd.DataFrame(
            {
                self.name: pd.Series(self.labels, dtype="str"),
                "n": n_rows,
                "count": n_counted,
                "share": np.where(n_rows > 0, n_counted / np.maximum(n_rows, 1), np.nan),
                "with_patients": self._count_patients(is_asked & is_counted),
                "without_patients": self._count_patients(is_asked & ~is_counted),
            }
        )

    def _count_patients(self, rows: BoolArray) -> IntArray:
        """Count the patients of each group who have at least one of the rows."""
        order = self._order[rows[self._order]]
        codes, patients = self.codes[order], self.patients[order]
        is_first = np.ones(len(order), dtype=bool)
        is_first[1:] = (codes[1:] != codes[:-1]) | (patients[1:] != patients[:-1])
        return np.bincount(codes[is_first], minlength=len(self.labels)).astype(np.int64)


@dataclass(frozen=True, kw_only=True)
class LinkedCohort:
    """A cohort whose rows are linked by number instead of text, for counting in seconds.

    Parameters
    ----------
    episodes : DataFrame of shape (n, ...)
        Episodes; ``episode_id`` is the number of the row.
    visits, events : DataFrame
        Follow-up; ``episode_id`` is the row of the episode.
    patients : ndarray of shape (n,)
        Number of the patient of each episode.
    contract : Contract
        Columns, techniques and outcomes.
    basis : {"synthetic", "real", "blended"}
        Origin of the rows.
    """

    episodes: pd.DataFrame
    visits: pd.DataFrame
    events: pd.DataFrame
    patients: IntArray
    contract: Contract
    basis: str

    @property
    def n(self) -> int:
        """Number of episodes."""
        return len(self.episodes)

    @cached_property
    def all_episodes(self) -> Grouping:
        """One group of all episodes."""
        return Grouping(name=ALL, labels=(ALL,), codes=np.zeros(self.n, dtype=np.int64), patients=self.patients)

    @cached_property
    def techniques(self) -> Grouping:
        """Episodes by technique or comparator, in the order of the contract."""
        return self._group("technique", self.episodes["technique"], is_pooled=False)

    @cached_property
    def sites(self) -> Grouping:
        """Episodes by site: the largest, and the others together."""
        return self._group("site", self.episodes["site_id"])

    @cached_property
    def years(self) -> Grouping:
        """Episodes by year of the procedure: those with enough patients, and the others together."""
        return self._group("year", self.episodes["procedure_year"].astype("str"))

    def _group(self, name: str, values: pd.Series, *, is_pooled: bool = True) -> Grouping:
        known = values.astype("str").fillna(NOT_KNOWN).to_numpy(dtype=object)
        shown = _choose_groups(known, self.patients) if is_pooled else sorted(set(known))
        other = f"other {name}s"
        labels = [label for label in shown if label not in (NOT_KNOWN, other)]
        grouped = pd.Series(known).where(np.isin(known, [*labels, NOT_KNOWN]), other)
        index = pd.Index([*labels, *(label for label in (other, NOT_KNOWN) if (grouped == label).any())], dtype="str")
        codes = index.get_indexer(pd.Index(grouped, dtype="str"))
        return Grouping(name=name, labels=tuple(index), codes=codes.astype(np.int64), patients=self.patients)

    @cached_property
    def _by_technique(self) -> list[tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]]:
        """Episodes of each technique, with the columns that outcomes read, and their visits and events."""
        measures = dict.fromkeys(measure for outcome in self.contract.outcomes.values() for measure in outcome.measures)
        names = ["episode_id", *(name for name in measures if name in self.episodes)]
        parts = []
        for rows in self.split_techniques().values():
            visits, events = (table[rows[table["episode_id"].to_numpy()]] for table in (self.visits, self.events))
            parts.append((self.episodes.loc[rows, names], visits, events))
        return parts

    def split_techniques(self) -> dict[str, BoolArray]:
        """Flag the episodes of each technique or comparator, each of shape (n,)."""
        return {name: self.techniques.codes == place for place, name in enumerate(self.techniques.labels)}

    def label(self, outcome: Outcome, month: float, technique: str) -> OutcomeLabels:
        """Label the episodes of a technique with an outcome at a month.

        Parameters
        ----------
        outcome : Outcome
            Outcome definition.
        month : float
            Month at which it is assessed.
        technique : str
            Technique or comparator.
        """
        part = self._by_technique[self.techniques.labels.index(technique)]
        return compute_outcome(*part, outcome, month)

    @cached_property
    def pain_measures(self) -> tuple[str, ...]:
        """Measures of pain by which a response can be told, those with any value at follow-up."""
        measures = self.contract.outcomes["pain_response"].measures
        return tuple(name for name in measures if name in self.visits and self.visits[name].notna().any())

    @cached_property
    def has_pain(self) -> BoolArray:
        """Whether each visit holds a measure of pain, shape (n_visits,)."""
        return np.asarray(self.visits[list(self.pain_measures)].notna().any(axis=1), dtype=bool)

    def flag_episodes(self, rows_of_visits: npt.ArrayLike) -> BoolArray:
        """Flag the episodes that have at least one of the flagged visits."""
        episodes = self.visits["episode_id"].to_numpy()[np.asarray(rows_of_visits, dtype=bool)]
        return np.bincount(episodes, minlength=self.n) > 0

    @cached_property
    def death_month(self) -> pd.Series:
        """Month of the first death of each episode; missing where none is recorded."""
        deaths = self.events[self.events["kind"] == "death"]
        return deaths.groupby("episode_id")["month"].min().reindex(range(self.n)).astype(float)


def link_cohort(cohort: Cohort) -> LinkedCohort:
    """Link the tables of a cohort; visits and events of unknown episodes are left out."""
    ids = pd.Index(cohort.episodes["episode_id"])
    tables = {name: _link(getattr(cohort, name), ids) for name in ("visits", "events")}
    patients, _ = pd.factorize(cohort.episodes["patient_id"])
    return LinkedCohort(
        episodes=cohort.episodes.assign(episode_id=np.arange(len(ids))).reset_index(drop=True),
        patients=patients.astype(np.int64),
        contract=cohort.contract,
        basis=cohort.basis,
        **tables,
    )


def _link(table: pd.DataFrame, ids: pd.Index) -> pd.DataFrame:
    rows = ids.get_indexer(pd.Index(table["episode_id"], dtype="str"))
    return table.assign(episode_id=rows)[rows >= 0].reset_index(drop=True)


def _choose_groups(labels: npt.NDArray[np.object_], patients: IntArray) -> list[str]:
    """Choose the largest groups, none of few patients: a name of few patients could be that of one."""
    sizes = pd.Series(labels).value_counts()
    largest = set(sizes.head(MOST_GROUPS).index)
    pooled = np.array([label if label in largest else "" for label in labels], dtype=object)
    return [label for label in choose_released_groups(pooled, patients, smallest=MINIMUM_CELL) if label]


def add_wilson_limits(shares: pd.DataFrame) -> pd.DataFrame:
    """Add the limits of Wilson's interval to a table of shares; missing where nothing is counted."""
    is_known = (shares["n"] > 0).to_numpy()
    lower, upper = compute_wilson_interval(shares["share"].where(is_known, 0.0), shares["n"].where(is_known, 1))
    return shares.assign(lower=np.where(is_known, lower, np.nan), upper=np.where(is_known, upper, np.nan))
