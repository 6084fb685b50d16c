"""What a model answers for patients, before it is written into rows: numbers and what explains them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from numbers import Integral

import numpy as np
import numpy.typing as npt

from paincast.deferred import pandas as pd
from paincast.deferred import special
from paincast.eligibility import join_reasons
from paincast.errors import SettingsError
from paincast.explain import Explanation, Reason, list_reasons
from paincast.predictor.rows import LISTS, UNCERTAINTY_COLUMNS

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

PROBABILITIES = ("probability", "lower", "upper")

MOST_REASONS = 3
"""Reasons for, and against, that an answer tells where no other number is asked."""

NEAREST = 1e-12
"""Minimum distance of a probability from 0 and 1 before its log odds are taken."""


def check_most_reasons(explain: object) -> int:
    """Check the number of reasons that are asked.

    Raises
    ------
    SettingsError
        If it is not a whole number, or is below 0.
    """
    if isinstance(explain, bool) or not isinstance(explain, Integral) or explain < 0:
        raise SettingsError("explain: needs a whole number of reasons, 0 for none", code="PC-SERVING-50")
    return int(explain)


@dataclass(frozen=True, kw_only=True)
class Answers:
    """Answers of one model, one for each patient.

    Parameters
    ----------
    outcome : str
        Name of the outcome.
    month : float
        The month at which it is predicted.
    rows : DataFrame of shape (n, len(PREDICTION_COLUMNS))
        Predictions with all but the numbers and the reasons.
    measures : tuple of str
        Measures by which the model's outcome is answered.
    numbers : DataFrame of shape (n, ...)
        Columns ``ANSWERS`` and ``UNCERTAINTY_COLUMNS``; missing for patients who get no answer.
    explanation : Explanation or None
        Of the patients who get an answer; None if nobody does, or no reasons are asked.
    certain : ndarray of bool, shape (n_answered, n_variables)
        Whether the sign of a contribution is certain enough for a reason.
    missing : list
        Missing values of each patient who gets an answer, and how far they could move it.
    most_reasons : int
        Most reasons for, and against, that are told.
    """

    outcome: str
    month: float
    rows: pd.DataFrame
    numbers: pd.DataFrame
    measures: tuple[str, ...] = ()
    explanation: Explanation | None = None
    certain: BoolArray = field(default_factory=lambda: np.empty((0, 0), dtype=bool))
    missing: list[list[Reason]] = field(default_factory=list)
    most_reasons: int = MOST_REASONS

    @property
    def answered(self) -> BoolArray:
        """Whether each patient gets an answer, shape (n,)."""
        return ~self.rows["abstained"].to_numpy(bool)

    @property
    def lists(self) -> dict[str, pd.Series]:
        """Reasons and missing values, each a list by patient; empty for those who get no answer."""
        if self.explanation is None:
            return {name: pd.Series([[] for _ in self.rows.index], self.rows.index, dtype=object) for name in LISTS}
        parts = [*list_reasons(self.explanation, self.certain, most=self.most_reasons), self.missing]
        listed: dict[str, pd.Series] = {}
        for name, told in zip(LISTS, parts, strict=True):
            of_answered = iter(told)
            lists = [next(of_answered) if is_answered else [] for is_answered in self.answered]
            listed[name] = pd.Series(lists, self.rows.index, dtype=object)
        return listed

    def write(self) -> pd.DataFrame:
        """Write numbers and reasons into the rows."""
        return self.rows.assign(**{str(name): self.numbers[name] for name in self.numbers}, **self.lists)

    def mix(self, other: Answers, where: BoolArray, share: float) -> Answers:
        """Replace a share of some patients' answers by those of another model for the same patients.

        Log odds are averaged, of the limits as of the probability, and with them the contributions, which go on adding
        up. A contribution stays certain if it is in both, or in the only one that counts.

        Parameters
        ----------
        other : Answers
            Of the same patients.
        where : ndarray of bool, shape (n,)
            Patients, all answered by both.
        share : float
            Share of the other model, above 0 and at most 1.
        """
        if not where.any():
            return self
        numbers = self.numbers.copy()
        if share == 1.0:
            told = [*PROBABILITIES, *UNCERTAINTY_COLUMNS]
            numbers.loc[where, told] = other.numbers.loc[where, told]
        else:
            for name in PROBABILITIES:
                mine, theirs = (_read_log_odds(one.numbers.loc[where, name]) for one in (self, other))
                numbers.loc[where, name] = special.expit((1.0 - share) * mine + share * theirs)
            for name in UNCERTAINTY_COLUMNS:
                numbers.loc[where, name] = (1.0 - share) * self.numbers[name] + share * other.numbers[name]
        mixed = replace(self, numbers=numbers)
        return mixed if self.explanation is None else mixed._mix_contributions(other, where, share)

    def _mix_contributions(self, other: Answers, where: BoolArray, share: float) -> Answers:
        assert self.explanation is not None
        assert other.explanation is not None
        here, there = where[self.answered], where[other.answered]
        own, foreign = self.explanation, other.explanation
        names = list(dict.fromkeys([*own.contributions, *foreign.contributions]))
        contributions = own.contributions.reindex(columns=names, fill_value=0.0)
        theirs_of_them = foreign.contributions.loc[there].reindex(columns=names, fill_value=0.0).to_numpy()
        contributions.loc[here] = (1.0 - share) * contributions.loc[here].to_numpy() + share * theirs_of_them
        base = own.base.copy()
        base[here] = (1.0 - share) * base[here] + share * foreign.base[there]
        values = own.values.assign(**{name: foreign.values[name] for name in names if name not in own.values})
        certain = self._align_certain(names)
        theirs_certain = other._align_certain(names)[there]
        certain[here] = theirs_certain if share == 1.0 else certain[here] & theirs_certain
        return replace(
            self,
            explanation=replace(own, base=base, contributions=contributions, values=values[names]),
            certain=certain,
        )

    def _align_certain(self, names: list[object]) -> BoolArray:
        assert self.explanation is not None
        known = pd.DataFrame(self.certain, columns=self.explanation.contributions.columns)
        return known.reindex(columns=names, fill_value=False).to_numpy(bool, copy=True)

    def move(self, expected: FloatArray, variable: str) -> Answers:
        """Move expected changes, shape (n,); the distance goes to the contribution of a variable, or to the base."""
        points = np.nan_to_num(expected - self.numbers["expected"].to_numpy(float))
        if not points.any():
            return self
        numbers = self.numbers.assign(expected=expected)
        numbers["expected_lower"] = np.minimum(numbers["expected_lower"], expected)
        numbers["expected_upper"] = np.maximum(numbers["expected_upper"], expected)
        if self.explanation is None:
            return replace(self, numbers=numbers)
        added, contributions = points[self.answered], self.explanation.contributions.copy()
        base = self.explanation.base
        if variable in contributions:
            contributions[variable] += added
        else:
            base = base + added
        return replace(
            self, numbers=numbers, explanation=replace(self.explanation, base=base, contributions=contributions)
        )

    def caution(self, where: BoolArray, text: str) -> Answers:
        """Add a caution to some patients' answers."""
        if not where.any():
            return self
        noted = pd.Series(np.where(where, text, ""), index=self.rows.index, dtype="str")
        return replace(
            self, rows=self.rows.assign(cautions=join_reasons(self.rows.index, [self.rows["cautions"], noted]))
        )


def _read_log_odds(probability: pd.Series) -> FloatArray:
    return np.asarray(special.logit(np.clip(probability.to_numpy(float), NEAREST, 1 - NEAREST)))
