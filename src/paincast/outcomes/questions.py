"""Outcomes: questions asked of the visits and events of an episode, with the month at which they are asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from paincast.errors import SettingsError, suggest_name

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A question asked of follow-up.

    Parameters
    ----------
    name : str
        Name of the outcome.
    question : str
        What a probability of this outcome is the probability of.
    is_not : str
        What it must not be read as.
    measure : str
        Column of ``visits`` and of ``episodes`` that is compared.
    relative_fall : float
        Smallest fall, as a share of the value before the procedure, that counts as the outcome.
    """

    name: str
    question: str
    is_not: str
    measure: str
    relative_fall: float


OUTCOMES: Mapping[str, Outcome] = MappingProxyType(
    {
        "pain_response": Outcome(
            name="pain_response",
            question="pain (NRS) lower by at least 50 % than before the procedure",
            is_not="the effect of the procedure: some patients respond to placebo or with time alone",
            measure="pain_nrs",
            relative_fall=0.5,
        ),
        "pain_response_30": Outcome(
            name="pain_response_30",
            question="pain (NRS) lower by at least 30 % than before the procedure",
            is_not="the effect of the procedure: some patients respond to placebo or with time alone",
            measure="pain_nrs",
            relative_fall=0.3,
        ),
    }
)


def get_outcome(name: str) -> Outcome:
    """Look an outcome up by name.

    Raises
    ------
    SettingsError
        If there is none of that name.
    """
    if name not in OUTCOMES:
        raise SettingsError(f"outcome: unknown name '{name}'; {suggest_name(name, OUTCOMES)}")
    return OUTCOMES[name]


def visit_window(horizon_months: float) -> tuple[float, float]:
    """Give the months, ends included, in which a visit answers for a horizon: half to one and a half times of it."""
    return 0.5 * horizon_months, 1.5 * horizon_months


def compute_outcome(
    episodes: pd.DataFrame,
    visits: pd.DataFrame,
    outcome: Outcome,
    horizon_months: float,
    window_months: tuple[float, float] | None = None,
) -> pd.Series:
    """Compute a binary outcome for every episode.

    Of the visits inside the window that hold the measure, the one nearest to the horizon answers.

    Parameters
    ----------
    episodes : DataFrame of shape (n_episodes, ...)
        Episodes; ``episode_id`` and the measure before the procedure are read.
    visits : DataFrame
        Visits in long form.
    outcome : Outcome
        The question.
    horizon_months : float
        The month at which it is asked.
    window_months : tuple of float, optional
        First and last month, included; by default :func:`visit_window` of the horizon.

    Returns
    -------
    Series of shape (n_episodes,)
        1.0 or 0.0, and NaN where the value before the procedure is missing or zero or no visit answers.
        Indexed like ``episodes``.

    Examples
    --------
    >>> import pandas as pd
    >>> episodes = pd.DataFrame({"episode_id": ["a", "b"], "pain_nrs": [8.0, 6.0]})
    >>> visits = pd.DataFrame({"episode_id": ["a", "b"], "month": [1.0, 1.0], "pain_nrs": [4.0, 5.0]})
    >>> compute_outcome(episodes, visits, OUTCOMES["pain_response"], 1.0).tolist()
    [1.0, 0.0]
    """
    first, last = window_months or visit_window(horizon_months)
    in_window = visits["month"].between(first, last) & visits[outcome.measure].notna()
    answering = visits.loc[in_window, ["episode_id", "month", outcome.measure]]
    distance = (answering["month"] - horizon_months).abs()
    answering = answering.assign(distance=distance).sort_values(["distance", "month"], kind="stable")
    after = answering.drop_duplicates("episode_id").set_index("episode_id")[outcome.measure]
    before = episodes[outcome.measure].astype(float)
    value = episodes["episode_id"].map(after).astype(float)
    fall = 1.0 - value / before.where(before > 0)
    return (fall >= outcome.relative_fall - 1e-12).astype(float).where(fall.notna()).rename(outcome.name)
