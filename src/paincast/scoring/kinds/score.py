"""What a model of any kind gives for patients, and what all kinds make of their draws."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from paincast.scoring.functions import expit, ndtri
from paincast.scoring.kinds.encoding import Encoded

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int16]
BoolArray = npt.NDArray[np.bool_]

BLOCK_ROWS = 2048
"""Rows that are scored together: their arrays stay in the processor's cache."""


class Request(NamedTuple):
    """What is computed: the level of the limits, whether there are any, and the most reasons in either direction.

    ``compiled`` says whether draws are scored in machine code; by default for many rows, or where it is loaded.
    """

    level: float
    interval: bool = True
    most: int = 3
    compiled: bool | None = None


class Strongest(NamedTuple):
    """Variables and sizes of the strongest contributions in favour and against, shape (n, most); -1 for none."""

    upward: IntArray
    upward_sizes: FloatArray
    downward: IntArray
    downward_sizes: FloatArray

    def spread(self, rows: npt.NDArray[np.intp], n: int) -> Strongest:
        """Give them to some rows of n, and nothing to the others."""
        whole = tell_nothing(n, self.upward.shape[1])
        whole.upward[rows], whole.upward_sizes[rows] = self.upward, self.upward_sizes
        whole.downward[rows], whole.downward_sizes[rows] = self.downward, self.downward_sizes
        return whole


class Score(NamedTuple):
    """What a model says of n patients.

    ``numbers`` by their column of predictions; ``far``, shape (n_names, n), whether each number is far from the
    training mean, and ``squared_distance`` of all together; ``strongest`` contributions; ``missing_scale``, what the
    reach of a missing value is multiplied by for each patient, or None.
    """

    numbers: dict[str, FloatArray]
    far: BoolArray
    squared_distance: FloatArray
    strongest: Strongest
    missing_scale: FloatArray | None = None


class Beliefs(NamedTuple):
    """What makes a contribution certain enough to be told; see :func:`paincast.explain.find_certain`.

    ``effect_weight`` is the degree to which recorded values are believed to matter; 1 without a prior.
    ``least_certainty`` is the least probability of the sign, ``reach`` the standard deviations that correspond to it.
    ``shows_reasons`` is false where nothing is told.
    """

    effect_weight: float
    least_certainty: float
    reach: float
    shows_reasons: bool


class Uncertainty(NamedTuple):
    """Variances of log odds beside those of the draws and of missing values.

    ``evidence_share`` of the variance of the draws is disagreement of the evidence.
    """

    between_sites: float
    unexplained: float
    evidence_share: float

    def divide(self, refitting: FloatArray, missing: FloatArray) -> dict[str, FloatArray]:
        """Divide the variance of each patient's log odds by where it comes from.

        Parameters
        ----------
        refitting : ndarray of shape (n,)
            Mean square distance of the draws.
        missing : ndarray of shape (n,)
            Variance of missing values.
        """
        return {
            "evidence": self.evidence_share * refitting,
            "model": (1.0 - self.evidence_share) * refitting + self.unexplained,
            "site": np.full(len(refitting), self.between_sites),
            "missing": missing,
        }


def add_up_variances(variances: dict[str, FloatArray]) -> FloatArray:
    """Add up the parts of a variance."""
    return variances["evidence"] + variances["model"] + variances["site"] + variances["missing"]


def share_variances(variances: dict[str, FloatArray]) -> dict[str, FloatArray]:
    """Give the share of each part of a variance; missing where there is none."""
    total = add_up_variances(variances)
    whole = np.where(total > 0, total, np.nan)
    return {f"uncertainty_{name}": part / whole for name, part in variances.items()}


def describe_log_odds(log_odds: FloatArray, variances: dict[str, FloatArray], level: float) -> dict[str, FloatArray]:
    """Describe log odds with a normal uncertainty: probability, limits, and the share of each part of the variance."""
    reach = ndtri(0.5 + level / 2) * np.sqrt(add_up_variances(variances))
    limits = {"lower": expit(log_odds - reach), "upper": expit(log_odds + reach)}
    return {"probability": expit(log_odds), **limits, **share_variances(variances)}


def average_squares(served: FloatArray, drawn: Iterable[FloatArray]) -> FloatArray:
    """Average the squared distance of draws from what is served, one draw after the other; missing without draws."""
    total, count = np.zeros(served.shape), 0
    for one in drawn:
        distance = one - served
        total += distance * distance
        count += 1
    return total / count if count else np.full(served.shape, np.nan)


def find_certain(
    served: FloatArray, drawn: Iterable[FloatArray], beliefs: Beliefs, *, compiled: bool = False
) -> BoolArray:
    """Find the contributions whose sign is certain enough.

    Parameters
    ----------
    served : ndarray of shape (n_variables, n)
        Contributions by the served model.
    drawn : iterable of ndarray of shape (n_variables, n)
        Contributions by each draw; without any, all are certain.
    beliefs : Beliefs
        What makes them certain.
    compiled : bool
        Whether draws are compared in machine code.
    """
    weight, count = beliefs.effect_weight, 0
    agreeing, squares = np.zeros(served.shape, dtype=np.int64), np.zeros(served.shape)
    count_agreeing, add_squares = _count_agreeing, _add_squares
    if compiled:
        from paincast.scoring.kinds.compiled import add_squares, count_agreeing
    for one in drawn:
        if weight == 1.0:
            count_agreeing(one, served, agreeing)
        else:
            add_squares(one, served, squares)
        count += 1
    if weight == 1.0 or not count:
        return np.asarray(agreeing >= beliefs.least_certainty * count)
    expected = served / weight
    variance = np.maximum(squares / count - weight * (1.0 - weight) * (expected * expected), 0.0) / weight
    return np.asarray((served != 0.0) & (np.abs(expected) >= beliefs.reach * np.sqrt(variance)))


def _count_agreeing(drawn: FloatArray, served: FloatArray, agreeing: npt.NDArray[np.int64]) -> None:
    agreeing += np.sign(drawn) == np.sign(served)


def _add_squares(drawn: FloatArray, served: FloatArray, squares: FloatArray) -> None:
    distance = drawn - served
    squares += distance * distance


def find_strongest(
    contributions: Iterator[FloatArray], encoded: Encoded, beliefs: Beliefs, *, most: int, sign: float = 1.0
) -> Strongest:
    """Find the strongest contributions of each patient that are told.

    Parameters
    ----------
    contributions : iterator of ndarray of shape (n_variables, n)
        By the served model and by each draw.
    encoded : Encoded
        The patients; a missing value is never told.
    beliefs : Beliefs
        What makes a contribution certain enough.
    most : int
        Most in either direction; with 0, nothing is computed.
    sign : float
        Sign of contributions that favour the outcome.
    """
    if not most or not beliefs.shows_reasons:
        return tell_nothing(len(encoded), most)
    served = next(contributions)
    certain = find_certain(served, contributions, beliefs, compiled=encoded.compiled)
    told = np.where(certain & encoded.known, sign * served, 0.0)
    upward, upward_sizes = _pick(told, most)
    # Of equal ones the last comes first: the order is that of the upward ones, turned round.
    downward, downward_sizes = _pick(-told[::-1], most)
    downward = np.where(downward >= 0, np.int16(len(told) - 1) - downward, np.int16(-1))
    return Strongest(upward, sign * upward_sizes, downward.astype(np.int16), -sign * downward_sizes)


def tell_nothing(n: int, most: int) -> Strongest:
    """Give no contribution to any of n patients."""
    terms, sizes = np.full((n, most), -1, dtype=np.int16), np.zeros((n, most))
    return Strongest(terms, sizes, terms.copy(), sizes.copy())


def score_blocks(encoded: Encoded, score_block: Callable[[Encoded, slice], Score]) -> Score:
    """Score patients block by block.

    Parameters
    ----------
    encoded : Encoded
        Patients, n of them.
    score_block : callable
        Scores some, given with their rows.
    """
    blocks = [slice(first, first + BLOCK_ROWS) for first in range(0, max(len(encoded), 1), BLOCK_ROWS)]
    return _join([score_block(encoded.take(rows), rows) for rows in blocks])


def _join(parts: Sequence[Score]) -> Score:
    if len(parts) == 1:
        return parts[0]
    scales = [part.missing_scale for part in parts if part.missing_scale is not None]
    return Score(
        numbers={name: np.concatenate([part.numbers[name] for part in parts]) for name in parts[0].numbers},
        far=np.concatenate([part.far for part in parts], axis=1),
        squared_distance=np.concatenate([part.squared_distance for part in parts]),
        strongest=Strongest(*map(np.concatenate, zip(*(part.strongest for part in parts), strict=True))),
        missing_scale=np.concatenate(scales) if scales else None,
    )


def _pick(told: FloatArray, most: int) -> tuple[IntArray, FloatArray]:
    """Pick the largest above 0; of equal ones the first."""
    n_terms, n = told.shape
    terms, sizes = np.full((n, most), -1, dtype=np.int16), np.zeros((n, most))
    left, rows = told.copy(), np.arange(n)
    for spot in range(min(most, n_terms)):
        place = np.argmax(left, axis=0)
        found = left[place, rows]
        kept = found > 0.0
        terms[:, spot] = np.where(kept, place, -1)
        sizes[:, spot] = np.where(kept, found, 0.0)
        left[place, rows] = 0.0
    return terms, sizes
