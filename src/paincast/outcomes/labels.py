"""Compute outcome labels: the outcome of each episode at a horizon, or why it is unknown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from paincast.deferred import pandas as pd
from paincast.outcomes.criteria import Line, assess_change, is_reachable
from paincast.outcomes.definitions import COMPLICATION, Outcome, default_window

ENDS_RELIEF = ("repeat_procedure", "surgery", "explant")
DEATH = "death"

CENSORED, LOST_RELIEF, DIED = 0.0, 1.0, 2.0

LOST = "no follow-up that answers"
OTHER_INSTRUMENT = "followed up by another instrument than before the procedure"

NAMED = 2
"""Most measures that a reason names; of more, it tells how many."""


@dataclass(frozen=True, kw_only=True)
class OutcomeLabels:
    """Labels of an outcome; all series are indexed like the episodes.

    Parameters
    ----------
    outcome : Outcome
        Outcome definition.
    horizon_months : float
        Month at which it was assessed.
    window_months : tuple of float
        First and last month, included, of the follow-up that counts.
    eligible : Series of bool, shape (n,)
        Whether the episode is in the denominator.
    value : Series of float, shape (n,)
        1.0 or 0.0; a number for continuous outcomes; for durations, whether it lasts beyond the horizon among patients
        alive and followed to it. NaN if unknown or not eligible. Whether it is known does not depend on its value,
        except through the mechanism of loss to follow-up.
    because : Series of str, shape (n,)
        Why the outcome is unknown; empty if it is known.
    visit_month : Series of float, shape (n,), optional
        For outcomes assessed at a visit: the month of that visit; NaN if the outcome is unknown.
    instrument : Series of str, shape (n,), optional
        For outcomes assessed at a visit: the measure by which the outcome is known; empty if it is unknown.
    months, status : Series of float, shape (n,), optional
        For durations: the time, and 0 for censored, 1 for the event, 2 for death; NaN if nothing is known.
    """

    outcome: Outcome
    horizon_months: float
    window_months: tuple[float, float]
    eligible: pd.Series
    value: pd.Series
    because: pd.Series
    visit_month: pd.Series | None = None
    instrument: pd.Series | None = None
    months: pd.Series | None = None
    status: pd.Series | None = None

    @property
    def known(self) -> pd.Series:
        """Flag the episodes whose outcome is known, shape (n,)."""
        return self.because == ""

    @property
    def measures(self) -> tuple[str, ...]:
        """Measures by which eligible episodes have an answer, in the order of the outcome."""
        if self.instrument is None:
            return ()
        answered = set(self.instrument[self.eligible & self.known])
        return tuple(line.measure for line in self.outcome.lines if line.measure in answered)


def compute_outcome(
    episodes: pd.DataFrame,
    visits: pd.DataFrame,
    events: pd.DataFrame,
    outcome: Outcome,
    horizon_months: float,
    window_months: tuple[float, float] | None = None,
) -> OutcomeLabels:
    """Label every episode with an outcome.

    The visit in the window with the measure that is nearest to the horizon is used; in a tie, the earlier visit. Each
    episode is answered by one measure: the first of the outcome that it has before the procedure, with room for the
    change, and at such a visit. Scores of different measures are never compared. An
    episode with an unknown outcome whose patient died before the horizon is not in the denominator: the outcome is
    defined for living patients. Every other eligible episode without a label is lost to follow-up.

    Parameters
    ----------
    episodes : DataFrame of shape (n_episodes, ...)
        Episodes; ``episode_id`` and the baseline measures are read.
    visits, events : DataFrame
        Follow-up in long format.
    outcome : Outcome
        Outcome definition.
    horizon_months : float
        Month at which it is assessed.
    window_months : tuple of float, optional
        First and last month, included; by default :func:`paincast.outcomes.default_window` of the horizon.

    Returns
    -------
    OutcomeLabels

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
    recorded = [name for name in outcome.measures if name in episodes and episodes[name].notna().any()]
    named = outcome.answered_by([*outcome.evidence_measures, *recorded])
    ineligible_because = list_ineligibility(named, episodes)
    if outcome.assessed_by == "follow_up":
        return _label_follow_up(episodes, visits, events, outcome, horizon_months, window, ineligible_because)
    answers = pd.DataFrame(index=episodes.index)
    if outcome.assessed_by == "events":
        value = _label_events(ids, visits, events, outcome, window)
    else:
        answers = _label_visit(episodes, visits, outcome, horizon_months, window)
        value = answers["value"]
    value = value.where(ineligible_because == "")
    died = ids.map(_first_months(events[events["kind"] == DEATH])) < horizon_months
    is_excluded = died if outcome.assessed_by == "events" else died & value.isna()
    lost = np.where(answers["seen"], OTHER_INSTRUMENT, LOST) if "seen" in answers else LOST
    because = ineligible_because.where(ineligible_because != "", np.where(value.isna(), lost, ""))
    because = because.mask((ineligible_because == "") & is_excluded, f"died before month {horizon_months:g}")
    return OutcomeLabels(
        outcome=outcome,
        horizon_months=horizon_months,
        window_months=window,
        eligible=(ineligible_because == "") & ~is_excluded,
        value=value.mask(is_excluded).rename(outcome.name),
        because=because,
        visit_month=answers["month"].where(because == "") if "month" in answers else None,
        instrument=answers["instrument"].where(because == "", "") if "instrument" in answers else None,
    )


def list_ineligibility(outcome: Outcome, episodes: pd.DataFrame) -> pd.Series:
    """List for each episode why the outcome is impossible given its baseline values; empty if it is possible.

    Parameters
    ----------
    outcome : Outcome
        Outcome definition.
    episodes : DataFrame of shape (n, ...)
        Episodes.

    Returns
    -------
    Series of str, shape (n,)

    Examples
    --------
    >>> from paincast.outcomes import OUTCOMES
    >>> list_ineligibility(OUTCOMES["opioid_reduction"], pd.DataFrame({"opioid_mme": [40.0, 0.0, None]})).tolist()
    ['', 'opioid_mme is 0 before the procedure: no fall is possible', 'opioid_mme is missing; it is required']
    """
    lines = [line for line in outcome.lines if line.needs_before]
    reasons = np.full(len(episodes), "", dtype=object)
    if not lines:
        return pd.Series(reasons, index=episodes.index, dtype="str")
    before = pd.DataFrame({line.measure: _read(episodes, line.measure) for line in lines})
    known = before.notna().to_numpy(bool)
    is_possible = np.column_stack([is_reachable(line, before[line.measure]) for line in lines]).any(axis=1)
    for pattern in np.unique(known[~is_possible], axis=0):
        alike = ~is_possible & (known == pattern).all(axis=1)
        reasons[alike] = explain_ineligibility(outcome, pattern.tolist())
    return pd.Series(reasons, index=episodes.index, dtype="str")


def explain_ineligibility(outcome: Outcome, known: Sequence[bool]) -> str:
    """Explain why an outcome is impossible, given which of the baseline values that it needs are known."""
    lines = [line for line in outcome.lines if line.needs_before]
    measures = outcome.evidence_measures
    named = [line for line, is_known in zip(lines, known, strict=True) if is_known or line.measure in measures]
    return (_describe_impossible if any(known) else _describe_absent)(named or lines)


def _describe_absent(lines: Sequence[Line]) -> str:
    """Say that no measure of the outcome is known, for an episode of whom none is."""
    if len(lines) == 1:
        return f"{lines[0].measure} is missing; it is required"
    return f"{_name(lines, 'and')} are missing; one is required"


def _name(lines: Sequence[Line], joined_by: str) -> str:
    """Name the measures of some criteria; of many, the first and how many there are."""
    names = [line.measure for line in lines]
    if len(names) <= NAMED:
        return f" {joined_by} ".join(names)
    return f"{', '.join(names[:NAMED])} {joined_by} {len(names) - NAMED} other instruments"


def _read(frame: pd.DataFrame, column: str) -> pd.Series:
    if column in frame:
        return frame[column].astype(float)
    return pd.Series(np.nan, index=frame.index)


def _describe_impossible(lines: Sequence[Line]) -> str:
    first = lines[0]
    if len(lines) > NAMED:
        return f"{_name(lines, 'or')}: the score before the procedure leaves no room for the change"
    if first.share is None and first.points is not None:
        rises = first.direction == "rise"
        limit = first.end - first.points if rises else first.end + first.points
        side = "above" if rises else "below"
        return (
            f"{first.measure} is {side} {limit:g} before the procedure: no {first.direction} by {first.points:g} is "
            "possible"
        )
    return f"{_name(lines, 'or')} is {first.end:g} before the procedure: no {first.direction} is possible"


def _label_visit(
    episodes: pd.DataFrame, visits: pd.DataFrame, outcome: Outcome, horizon: float, window: tuple[float, float]
) -> pd.DataFrame:
    """Label each episode by the first criterion that it can be judged by.

    Returns
    -------
    DataFrame
        ``value``, the ``month`` of the visit, the ``instrument``, and whether any measure was ``seen`` in the window.
    """
    value = pd.Series(np.nan, index=episodes.index)
    month = value.copy()
    instrument = pd.Series("", index=episodes.index, dtype="str")
    seen = pd.Series(False, index=episodes.index)
    for line in outcome.lines:
        if line.measure not in visits or not visits[line.measure].notna().any():
            continue
        nearest = _nearest(visits, line.measure, horizon, window)
        after = episodes["episode_id"].map(nearest[line.measure]).astype(float)
        judged = assess_change(line, _read(episodes, line.measure), after)
        is_new = value.isna() & judged.notna()
        month = month.mask(is_new, episodes["episode_id"].map(nearest["month"]).astype(float))
        instrument = instrument.mask(is_new, line.measure)
        value = value.fillna(judged)
        seen |= after.notna()
    return pd.DataFrame({"value": value, "month": month, "instrument": instrument, "seen": seen})


def _nearest(visits: pd.DataFrame, measure: str, horizon: float, window: tuple[float, float]) -> pd.DataFrame:
    """Return the measure at the visit nearest to the horizon, and the month of that visit, by episode."""
    inside = visits["month"].between(*window) & visits[measure].notna()
    in_window = visits.loc[inside, ["episode_id", "month", measure]]
    distance = (in_window["month"] - horizon).abs()
    in_window = in_window.assign(distance=distance).sort_values(["distance", "month"], kind="stable")
    return in_window.drop_duplicates("episode_id").set_index("episode_id")[["month", measure]]


def _label_events(
    ids: pd.Series, visits: pd.DataFrame, events: pd.DataFrame, outcome: Outcome, window: tuple[float, float]
) -> pd.Series:
    """Label whether a complication occurred, among episodes followed to the horizon; NaN for the others.

    A complication does not make an episode count as followed. Otherwise, of two patients lost at the same month, the
    patient with a complication would be kept and the other left out, and the risk would be overestimated.
    """
    counted = events["kind"] == COMPLICATION
    if outcome.detail:
        counted &= events["detail"] == outcome.detail
    in_time = ~(events["month"] > window[1])
    occurred = ids.isin(set(events.loc[counted & in_time, "episode_id"]))
    contacts = pd.concat([visits[["episode_id", "month"]], events[["episode_id", "month"]]])
    followed = ids.isin(set(contacts.loc[contacts["month"] >= window[0], "episode_id"]))
    return occurred.astype(float).where(followed)


def _label_follow_up(
    episodes: pd.DataFrame,
    visits: pd.DataFrame,
    events: pd.DataFrame,
    outcome: Outcome,
    horizon: float,
    window: tuple[float, float],
    ineligible_because: pd.Series,
) -> OutcomeLabels:
    times = _time_relief(episodes, visits, events, outcome.lines[0])
    eligible = ineligible_because == ""
    months, status = times["months"].where(eligible), times["status"].where(eligible)
    followed = (times["last"] >= horizon) & ~(times["died"] < horizon)
    value = _flag_ongoing(months, status, horizon).where(followed)
    because = ineligible_because.where(~eligible, np.where(months.isna(), LOST, ""))
    return OutcomeLabels(
        outcome=outcome,
        horizon_months=horizon,
        window_months=window,
        eligible=eligible,
        value=value.rename(outcome.name),
        because=because,
        months=months,
        status=status,
    )


def _time_relief(episodes: pd.DataFrame, visits: pd.DataFrame, events: pd.DataFrame, line: Line) -> pd.DataFrame:
    """Compute ``months`` until loss of relief, death or last contact, and ``status``, ``last`` and ``died``.

    A visit counts for horizons up to twice its month (:func:`paincast.outcomes.default_window`): the patient counts as
    followed until then, and a patient without visits until the earliest visit in the data. Events after that are
    ignored: relief may have been lost unseen long before, and the patient would count as having kept it until the
    event. Episodes with an end of relief or a death without a month are unknown. In the same month, loss of relief
    precedes death, and both precede the end of follow-up.
    """
    ids = episodes["episode_id"]
    seen = visits.loc[visits[line.measure].notna() & (visits["month"] > 0), ["episode_id", "month", line.measure]]
    before = seen["episode_id"].map(_read(episodes, line.measure).set_axis(ids)).astype(float)
    failed = seen[assess_change(line, before, seen[line.measure]) == 0.0]
    last = ids.map(seen.groupby("episode_id")["month"].max()).astype(float)
    followed_until = pd.Series((2.0 * last).fillna(seen["month"].min()).to_numpy(float), index=ids.to_numpy())
    ending = events[events["kind"].isin((*ENDS_RELIEF, DEATH))]
    undated = ids.isin(set(ending.loc[ending["month"].isna(), "episode_id"]))
    recorded = ending[ending["month"] <= ending["episode_id"].map(followed_until).astype(float)]
    dead = recorded["kind"] == DEATH
    lost = ids.map(_first_months(pd.concat([failed[["episode_id", "month"]], recorded.loc[~dead]])))
    died = ids.map(_first_months(recorded[dead]))
    ended = last.where(lost.isna() & died.isna())
    times = pd.DataFrame({LOST_RELIEF: lost, DIED: died, CENSORED: ended}).astype(float).mask(undated)
    known = times.notna().any(axis=1)
    status = times[known].idxmin(axis=1).reindex(ids.index).astype(float)
    return pd.DataFrame({"months": times.min(axis=1), "status": status, "last": last, "died": times[DIED]})


def _first_months(dated: pd.DataFrame) -> pd.Series:
    return dated.groupby("episode_id")["month"].min().astype(float)


def _flag_ongoing(months: pd.Series, status: pd.Series, month: float) -> pd.Series:
    """Flag episodes with ongoing relief at a month; NaN if the patient died or was last seen before."""
    ended = (status == LOST_RELIEF) & (months <= month)
    followed = (months > month) | ((status == CENSORED) & (months >= month))
    return pd.Series(np.where(ended, 0.0, np.where(followed, 1.0, np.nan)), index=months.index)
