"""The answers: an outcome asked of the visits and events of episodes, and why an episode has none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from paincast.outcomes.questions import COMPLICATION, Line, Outcome, default_window

SLACK = 1e-9
"""Scores are written in decimals: a fall that is short of its line by less has reached it."""

ENDS_RELIEF = ("repeat_procedure", "surgery", "explant")
DEATH = "death"

CENSORED, LOST_RELIEF, DIED = 0.0, 1.0, 2.0

LOST = "no follow-up that answers"


@dataclass(frozen=True, kw_only=True)
class Answers:
    """Answers of episodes to one question; everything is indexed like the episodes.

    Parameters
    ----------
    outcome : Outcome
        The question.
    horizon_months : float
        The month at which it was asked.
    window_months : tuple of float
        First and last month, included, of the follow-up that answers.
    eligible : Series of bool, shape (n,)
        Whether the episode is in the denominator.
    value : Series of float, shape (n,)
        The answer: 1.0 or 0.0, a number for continuous outcomes, and for times whether it had not ended at the horizon,
        of those alive and followed to it; NaN where it is not known or not asked. Whether it is known does not depend
        on what it is, other than by what drives loss to follow-up.
    because : Series of str, shape (n,)
        Why there is no answer; empty where there is one.
    answered_at : Series of float, shape (n,), optional
        For questions asked of a visit: the month of the visit that answered; NaN where there is no answer.
    months, status : Series of float, shape (n,), optional
        For times to an event: when, and 0 for censored, 1 for the event, 2 for death; NaN where nothing is known.
    """

    outcome: Outcome
    horizon_months: float
    window_months: tuple[float, float]
    eligible: pd.Series
    value: pd.Series
    because: pd.Series
    answered_at: pd.Series | None = None
    months: pd.Series | None = None
    status: pd.Series | None = None

    @property
    def known(self) -> pd.Series:
        """Tell which episodes have an answer, shape (n,)."""
        return self.because == ""


def compute_outcome(
    episodes: pd.DataFrame,
    visits: pd.DataFrame,
    events: pd.DataFrame,
    outcome: Outcome,
    horizon_months: float,
    window_months: tuple[float, float] | None = None,
) -> Answers:
    """Ask an outcome of every episode.

    Of the visits inside the window that hold the measure, the one nearest to the horizon answers, of two as near the
    earlier one. An episode whose patient died before the horizon without an answer is out of the denominator: the
    question is asked of the living. Every other episode without an answer is lost to follow-up.

    Parameters
    ----------
    episodes : DataFrame of shape (n_episodes, ...)
        Episodes; ``episode_id`` and the measures before the procedure are read.
    visits, events : DataFrame
        Follow-up in long form.
    outcome : Outcome
        The question.
    horizon_months : float
        The month at which it is asked.
    window_months : tuple of float, optional
        First and last month, included; by default :func:`paincast.outcomes.default_window` of the horizon.

    Returns
    -------
    Answers

    Examples
    --------
    >>> from paincast.outcomes import OUTCOMES
    >>> episodes = pd.DataFrame({"episode_id": ["a", "b"], "pain_nrs": [8.0, 6.0]})
    >>> visits = pd.DataFrame({"episode_id": ["a", "b"], "month": [1.0, 1.0], "pain_nrs": [4.0, 5.0]})
    >>> events = pd.DataFrame({"episode_id": [], "month": [], "kind": [], "detail": []})
    >>> compute_outcome(episodes, visits, events, OUTCOMES["pain_response"], 1.0).value.tolist()
    [1.0, 0.0]
    """
    ids = episodes["episode_id"]
    window = window_months or default_window(outcome, horizon_months)
    denied = list_denials(outcome, episodes)
    if outcome.asked == "course":
        return _ask_course(episodes, visits, events, outcome, horizon_months, window, denied)
    answered_at = None
    if outcome.asked == "events":
        value = _ask_events(ids, visits, events, outcome, window)
    else:
        value, answered_at = _ask_visit(episodes, visits, outcome, horizon_months, window)
    value = value.where(denied == "")
    died = ids.map(_first_months(events[events["kind"] == DEATH])) < horizon_months
    gone = died if outcome.asked == "events" else died & value.isna()
    because = denied.where(denied != "", np.where(value.isna(), LOST, ""))
    because = because.mask((denied == "") & gone, f"died before month {horizon_months:g}")
    return Answers(
        outcome=outcome,
        horizon_months=horizon_months,
        window_months=window,
        eligible=(denied == "") & ~gone,
        value=value.mask(gone).rename(outcome.name),
        because=because,
        answered_at=None if answered_at is None else answered_at.where(because == ""),
    )


def list_denials(outcome: Outcome, episodes: pd.DataFrame) -> pd.Series:
    """Say for each episode why an outcome cannot be asked of it, by what is known before; empty where it can.

    Parameters
    ----------
    outcome : Outcome
        The question.
    episodes : DataFrame of shape (n, ...)
        Episodes.

    Returns
    -------
    Series of str, shape (n,)

    Examples
    --------
    >>> from paincast.outcomes import OUTCOMES
    >>> list_denials(OUTCOMES["opioid_reduction"], pd.DataFrame({"opioid_mme": [40.0, 0.0, None]})).tolist()
    ['', 'opioid_mme is 0 before the procedure: no fall is possible', 'opioid_mme is missing; it is required']
    """
    lines = [line for line in outcome.lines if line.needs_before]
    said = pd.Series("", index=episodes.index, dtype="str")
    if not lines:
        return said
    held = pd.DataFrame({line.measure: _read(episodes, line.measure) for line in lines})
    reached = np.column_stack([_is_open(line, held[line.measure]) for line in lines]).any(axis=1)
    absent = held.isna().all(axis=1).to_numpy()
    names = " and ".join(line.measure for line in lines)
    required = f"{names} is missing; it is required" if len(lines) == 1 else f"{names} are missing; one is required"
    said = said.mask(~reached & ~absent, _say_closed(lines))
    return said.mask(absent, required)


def _read(frame: pd.DataFrame, column: str) -> pd.Series:
    if column in frame:
        return frame[column].astype(float)
    return pd.Series(np.nan, index=frame.index)


def _is_open(line: Line, before: pd.Series) -> pd.Series:
    """Tell from which values before the procedure the line can be reached."""
    if line.direction == "fall":
        return before > 0
    if line.highest is not None:
        return before <= line.highest + SLACK
    return before.notna()


def _say_closed(lines: list[Line]) -> str:
    first = lines[0]
    if first.highest is not None:
        return (
            f"{first.measure} is above {first.highest:g} before the procedure: no rise by {first.points:g} is possible"
        )
    return f"{' or '.join(line.measure for line in lines)} is 0 before the procedure: no fall is possible"


def _ask_visit(
    episodes: pd.DataFrame, visits: pd.DataFrame, outcome: Outcome, horizon: float, window: tuple[float, float]
) -> tuple[pd.Series, pd.Series]:
    """Give the answers, and the months of the visits that gave them."""
    value = pd.Series(np.nan, index=episodes.index)
    month = value.copy()
    for line in outcome.lines:
        nearest = _nearest(visits, line.measure, horizon, window)
        after = episodes["episode_id"].map(nearest[line.measure]).astype(float)
        judged = _judge(line, _read(episodes, line.measure), after)
        at = episodes["episode_id"].map(nearest["month"]).astype(float)
        month = month.where(value.notna() | judged.isna(), at)
        value = value.fillna(judged)
    return value, month


def _nearest(visits: pd.DataFrame, measure: str, horizon: float, window: tuple[float, float]) -> pd.DataFrame:
    """Give the measure at the visit nearest to the horizon, and the month of that visit, by episode."""
    if measure not in visits:
        return pd.DataFrame({"month": pd.Series(dtype=float), measure: pd.Series(dtype=float)})
    inside = visits["month"].between(*window) & visits[measure].notna()
    answering = visits.loc[inside, ["episode_id", "month", measure]]
    distance = (answering["month"] - horizon).abs()
    answering = answering.assign(distance=distance).sort_values(["distance", "month"], kind="stable")
    return answering.drop_duplicates("episode_id").set_index("episode_id")[["month", measure]]


def _judge(line: Line, before: pd.Series, after: pd.Series) -> pd.Series:
    """Say whether a line is reached (or give the change), NaN where a value it needs is missing or leaves no room."""
    if line.direction == "at_most":
        return (after <= float(line.points or 0.0) + SLACK).astype(float).where(after.notna())
    if line.direction == "change":
        return after - before
    fall = before - after if line.direction == "fall" else after - before
    reached = pd.Series(False, index=after.index)
    if line.points is not None:
        reached |= fall >= line.points - SLACK
    if line.share is not None:
        reached |= fall >= line.share * before - SLACK
    return reached.astype(float).where(fall.notna() & _is_open(line, before))


def _ask_events(
    ids: pd.Series, visits: pd.DataFrame, events: pd.DataFrame, outcome: Outcome, window: tuple[float, float]
) -> pd.Series:
    """Say whether a complication happened, of those whose follow-up reached the horizon; of the others nothing.

    That a complication was seen does not make its patient followed: of two patients lost at the same month the one with
    a complication would be kept and the one without left out, and the risk be too high.
    """
    counted = events["kind"] == COMPLICATION
    if outcome.detail:
        counted &= events["detail"] == outcome.detail
    in_time = ~(events["month"] > window[1])
    happened = ids.isin(set(events.loc[counted & in_time, "episode_id"]))
    contacts = pd.concat([visits[["episode_id", "month"]], events[["episode_id", "month"]]])
    followed = ids.isin(set(contacts.loc[contacts["month"] >= window[0], "episode_id"]))
    return happened.astype(float).where(followed)


def _ask_course(
    episodes: pd.DataFrame,
    visits: pd.DataFrame,
    events: pd.DataFrame,
    outcome: Outcome,
    horizon: float,
    window: tuple[float, float],
    denied: pd.Series,
) -> Answers:
    times = _follow_relief(episodes, visits, events, outcome.lines[0])
    asked = denied == ""
    months, status = times["months"].where(asked), times["status"].where(asked)
    followed = (times["last"] >= horizon) & ~(times["died"] < horizon)
    value = _hold(months, status, horizon).where(followed)
    because = denied.where(~asked, np.where(months.isna(), LOST, ""))
    return Answers(
        outcome=outcome,
        horizon_months=horizon,
        window_months=window,
        eligible=asked,
        value=value.rename(outcome.name),
        because=because,
        months=months,
        status=status,
    )


def _follow_relief(episodes: pd.DataFrame, visits: pd.DataFrame, events: pd.DataFrame, line: Line) -> pd.DataFrame:
    """Give ``months`` until relief was lost, the patient died or was last seen, ``status``, ``last`` and ``died``.

    A visit at a month answers for horizons up to twice that month (:func:`paincast.outcomes.default_window`): so long
    its patient counts as followed, and who was never seen until the first month at which anybody was. What is recorded
    after that is left out: who was not seen may have lost relief long before, and would only be counted among those who
    kept it. Nothing is known of who has an end of relief or a death without a month. Of what happens in the same month
    the loss of relief counts before death, and both before the end of follow-up.
    """
    ids = episodes["episode_id"]
    seen = visits.loc[visits[line.measure].notna() & (visits["month"] > 0), ["episode_id", "month", line.measure]]
    before = seen["episode_id"].map(_read(episodes, line.measure).set_axis(ids)).astype(float)
    failed = seen[_judge(line, before, seen[line.measure]) == 0.0]
    last = ids.map(seen.groupby("episode_id")["month"].max()).astype(float)
    until = pd.Series((2.0 * last).fillna(seen["month"].min()).to_numpy(float), index=ids.to_numpy())
    ending = events[events["kind"].isin((*ENDS_RELIEF, DEATH))]
    undated = ids.isin(set(ending.loc[ending["month"].isna(), "episode_id"]))
    recorded = ending[ending["month"] <= ending["episode_id"].map(until).astype(float)]
    dead = recorded["kind"] == DEATH
    lost = ids.map(_first_months(pd.concat([failed[["episode_id", "month"]], recorded.loc[~dead]])))
    died = ids.map(_first_months(recorded[dead]))
    ended = last.where(lost.isna() & died.isna())
    at = pd.DataFrame({LOST_RELIEF: lost, DIED: died, CENSORED: ended}).astype(float).mask(undated)
    known = at.notna().any(axis=1)
    status = at[known].idxmin(axis=1).reindex(ids.index).astype(float)
    return pd.DataFrame({"months": at.min(axis=1), "status": status, "last": last, "died": at[DIED]})


def _first_months(happened: pd.DataFrame) -> pd.Series:
    return happened.groupby("episode_id")["month"].min().astype(float)


def count_answering_months(answers: Answers, among: pd.Series | None = None) -> dict[int, int]:
    """Count how many were answered by a visit of which month, to the nearest whole one.

    Parameters
    ----------
    answers : Answers
        Answers to a question.
    among : Series of bool, shape (n,), optional
        The episodes that are counted; by default those in the denominator.

    Returns
    -------
    dict of int to int
        How many by month, in order. Empty where no visit answers, or every one of the month that was asked.

    Examples
    --------
    >>> from paincast.outcomes import OUTCOMES
    >>> episodes = pd.DataFrame({"episode_id": ["a", "b"], "pain_nrs": [8.0, 6.0]})
    >>> visits = pd.DataFrame({"episode_id": ["a", "b"], "month": [6.1, 3.0], "pain_nrs": [4.0, 5.0]})
    >>> events = pd.DataFrame({"episode_id": [], "month": [], "kind": [], "detail": []})
    >>> count_answering_months(compute_outcome(episodes, visits, events, OUTCOMES["pain_response"], 6.0))
    {3: 1, 6: 1}
    """
    if answers.answered_at is None:
        return {}
    months = answers.answered_at[answers.eligible if among is None else among].dropna().round().astype(int)
    number = months.value_counts().sort_index()
    counts = dict(zip(number.index.tolist(), number.tolist(), strict=True))
    return counts if set(counts) - {round(answers.horizon_months)} else {}


def find_held(answers: Answers, month: float) -> pd.Series:
    """Say whether what was timed had not yet ended at a month.

    Parameters
    ----------
    answers : Answers
        Answers to a question of time.
    month : float
        When.

    Returns
    -------
    Series of float, shape (n,)
        1.0, 0.0, and NaN for who died or was last seen before.
    """
    if answers.months is None or answers.status is None:
        raise TypeError(f"{answers.outcome.name} has no times")
    return _hold(answers.months, answers.status, month)


def _hold(months: pd.Series, status: pd.Series, month: float) -> pd.Series:
    ended = (status == LOST_RELIEF) & (months <= month)
    followed = (months > month) | ((status == CENSORED) & (months >= month))
    return pd.Series(np.where(ended, 0.0, np.where(followed, 1.0, np.nan)), index=months.index)
