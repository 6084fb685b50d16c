"""Decide what is asked: which techniques of which patients, which outcomes and months, and with how much detail.

:class:`Asking` holds what a caller asks for, checked once by :func:`check_asking`. :func:`select_patients` decides of
whom a technique is asked. It works on codes and names, so that it needs no table.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from paincast.contract import Contract
from paincast.eligibility import check_techniques
from paincast.errors import SettingsError
from paincast.outcomes import get_outcome, sort_outcomes
from paincast.predictor import Predictor
from paincast.predictor.answers import MOST_REASONS, check_most_reasons
from paincast.serving.months import check_months

ALL = "all"
"""Asks every technique that has a model, and the one a row names, of every patient."""

NOBODY = "no technique that has a model treats the indication"
"""Beginning of the reason in the only row of a patient of whom no technique is asked."""

NO_INDICATION = "the indication is missing; it is required"

IntArray = npt.NDArray[np.intp]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Asking:
    """What a caller asks for, as checked by :func:`check_asking`.

    Parameters
    ----------
    techniques : tuple of str, "all" or None
        Techniques asked of every patient. ``None`` asks those that have a model of the patients whose indication they
        treat, and the one that a patient's row names; ``"all"`` asks them of every patient.
    outcomes : tuple of str or None
        Outcomes in the canonical order; None for those of :meth:`list_outcomes`.
    months : tuple of float or None
        Months in ascending order; None for the primary month of each model.
    interval : bool
        Whether limits and shares of the uncertainty are computed.
    explain : int
        Most reasons for, and against; with 0 there are neither reasons nor missing values.
    allow_contradicted : bool
        Whether a model answers where an external validation contradicts it.
    """

    techniques: tuple[str, ...] | str | None = None
    outcomes: tuple[str, ...] | None = None
    months: tuple[float, ...] | None = None
    interval: bool = True
    explain: int = MOST_REASONS
    allow_contradicted: bool = False

    @property
    def named_techniques(self) -> tuple[str, ...] | None:
        """Techniques that are asked by name; None if the models decide."""
        return self.techniques if isinstance(self.techniques, tuple) else None

    def list_outcomes(self, technique: str, models: Iterable[Predictor], contract: Contract) -> tuple[str, ...]:
        """List the outcomes that are asked of a technique, in the canonical order.

        Where nothing else is said, they are those for which the technique has a model; of a technique that is asked
        without regard to the models, those for which any has.
        """
        if self.outcomes is not None:
            return self.outcomes
        answered = {(model.technique, model.outcome) for model in models}
        own = {outcome for of, outcome in answered if of == technique and self.techniques is None}
        return tuple(sort_outcomes(own or {outcome for _, outcome in answered}, contract.outcomes))

    def keep_models(self, models: Mapping[str, Predictor]) -> dict[str, Predictor]:
        """Keep the models of the outcomes that are asked."""
        return {
            name: model for name, model in models.items() if self.outcomes is None or model.outcome in self.outcomes
        }


EVERYTHING = Asking()
"""What is asked where nothing is said."""


def check_asking(
    contract: Contract,
    *,
    techniques: Sequence[str] | str | None = None,
    outcomes: Sequence[str] | str | None = None,
    months: Iterable[float] | None = None,
    interval: bool = True,
    explain: int = MOST_REASONS,
    wide: bool = False,
    allow_contradicted: bool = False,
) -> Asking:
    """Check what is asked for; the parameters are those of :func:`paincast.predict`.

    The wide layout has no columns for reasons, so that none are asked.

    Raises
    ------
    SettingsError
        If a technique, an outcome, a month or a number of reasons is not one, or an empty list is given.
    RefusalError
        If there is no evidence for a technique.

    Examples
    --------
    >>> from paincast.contract import BUILT_IN
    >>> check_asking(BUILT_IN, techniques="facet_rfa", outcomes=["pain_change", "pain_response"]).outcomes
    ('pain_response', 'pain_change')
    """
    named: tuple[str, ...] | str | None = ALL if _is_all(techniques) else None
    if techniques is not None and named is None:
        named = _list_names(techniques, "techniques")
        check_techniques(named, contract)
    most_reasons = check_most_reasons(explain)
    return Asking(
        techniques=named,
        outcomes=_check_outcomes(outcomes, contract),
        months=check_months(months),
        interval=bool(interval),
        explain=0 if wide else most_reasons,
        allow_contradicted=allow_contradicted,
    )


def _is_all(given: object) -> bool:
    return isinstance(given, str) and given == ALL


def _list_names(given: Sequence[str] | str, what: str) -> tuple[str, ...]:
    names = (given,) if isinstance(given, str) else tuple(given) if isinstance(given, Iterable) else ()
    if not names or not all(isinstance(name, str) for name in names):
        raise SettingsError(f"{what}: needs one name or more; leave it out to ask for all", code="PC-SERVING-51")
    return tuple(dict.fromkeys(names))


def _check_outcomes(given: Sequence[str] | str | None, contract: Contract) -> tuple[str, ...] | None:
    if given is None or _is_all(given):
        return None
    named = [get_outcome(name, outcomes=contract.outcomes).name for name in _list_names(given, "outcomes")]
    return tuple(sort_outcomes(named, contract.outcomes))


class Coded(NamedTuple):
    """A column of names: a code for each row, -1 where it is missing, and the name of each code."""

    codes: IntArray
    names: tuple[str, ...]


class AskedPatients(NamedTuple):
    """Of whom each technique is asked.

    Parameters
    ----------
    rows : dict of str to ndarray of int
        Positions of the patients of whom a technique is asked, ascending; only techniques that are asked of someone,
        in the given order.
    nobody : ndarray of int
        Positions of the patients of whom none is asked.
    """

    rows: dict[str, IntArray]
    nobody: IntArray


def select_patients(
    indication: Coded,
    named: Coded,
    treated: Mapping[str, Collection[str]],
    *,
    order: Iterable[str],
    techniques: Collection[str] | str | None = None,
) -> AskedPatients:
    """Select of which patients each technique is asked.

    Parameters
    ----------
    indication : Coded
        Indication of each patient, n rows.
    named : Coded
        Technique that each patient's row names, n rows.
    treated : mapping of str to collection of str
        For each technique that has a model, the indications that it treats.
    order : iterable of str
        All techniques and comparators, in the order of the rows.
    techniques : collection of str, "all" or None
        As :attr:`Asking.techniques`.

    Returns
    -------
    AskedPatients

    Examples
    --------
    >>> indication = Coded(np.array([0, 1, -1, 1]), ("lumbar_facet", "crps"))
    >>> named = Coded(np.array([-1, -1, -1, 0]), ("surgery",))
    >>> asked = select_patients(indication, named, {"facet_rfa": ["lumbar_facet"]}, order=["facet_rfa", "surgery"])
    >>> {name: rows.tolist() for name, rows in asked.rows.items()}, asked.nobody.tolist()
    ({'facet_rfa': [0], 'surgery': [3]}, [1, 2])
    """
    n_patients = len(indication.codes)
    rows: dict[str, IntArray] = {}
    is_asked = np.zeros(n_patients, dtype=bool)
    for technique in order:
        if isinstance(techniques, str) or techniques is None:
            chosen = _flag(named, (technique,))
            if technique in treated:
                chosen |= techniques == ALL or _flag(indication, treated[technique])
        else:
            chosen = np.full(n_patients, technique in techniques)
        if chosen.any():
            rows[technique] = np.flatnonzero(chosen)
            is_asked |= chosen
    return AskedPatients(rows=rows, nobody=np.flatnonzero(~is_asked))


def _flag(column: Coded, names: Collection[str]) -> BoolArray:
    """Flag the rows with one of the names; a missing one is at the end of the table of codes."""
    table = np.array([*(name in names for name in column.names), False])
    return np.asarray(table[column.codes])


def list_treated(models: Iterable[Predictor]) -> dict[str, tuple[str, ...]]:
    """List by technique the indications that one of its models treats."""
    treated: dict[str, tuple[str, ...]] = {}
    for model in models:
        known = treated.get(model.technique, ())
        treated[model.technique] = tuple(dict.fromkeys([*known, *model.rules.indications]))
    return treated


def explain_nobody(techniques: Iterable[str]) -> str:
    """Say why no technique is asked of a patient whose indication is known, given those that have a model."""
    return f"{NOBODY}; loaded: {', '.join(techniques)}"
