"""Turn rows of long tables into values before a procedure and at follow-up visits after it."""

from __future__ import annotations

import pandas as pd

from paincast.cohort.long.linking import Procedures, link_to_latest_before


def find_nearest_before(
    rows: pd.DataFrame, person: pd.Series, day: pd.Series, *, most_days: int, same_day: bool
) -> pd.DataFrame:
    """Find the value of each procedure: the latest before it within some days.

    Parameters
    ----------
    rows : DataFrame with columns person, value, unit, day
        Values of one kind, of any person.
    person, day : Series
        Person and day of each procedure; same index.
    most_days : int
        How many days before the procedure a value may be.
    same_day : bool
        Whether a value of the day of the procedure counts as before it.

    Returns
    -------
    DataFrame with columns value, unit, several, and source
        Indexed like the procedures. ``several`` is true where the nearest day has values that differ; then there is no
        value. ``source`` is the index of the row that the value was taken from.

    Examples
    --------
    >>> rows = pd.DataFrame({"person": ["p", "p"], "value": ["8", "7"], "unit": ["", ""]})
    >>> rows["day"] = pd.to_datetime(pd.Series(["2024-01-01", "2024-02-01"])).astype("datetime64[s]")
    >>> procedure = pd.to_datetime(pd.Series(["2024-02-10"]))
    >>> find_nearest_before(rows, pd.Series(["p"]), procedure, most_days=30, same_day=True)["value"].tolist()
    ['7']
    """
    procedures = pd.DataFrame({"person": person.to_numpy(), "day": day.astype("datetime64[s]").to_numpy()})
    procedures = procedures.astype({"person": "str"})
    dated = procedures.rename_axis("procedure").reset_index().dropna().sort_values("day", kind="stable")
    values = _collapse(rows, ["person", "day"]).reset_index().astype({"person": "str"})
    nearest = pd.merge_asof(
        dated,
        values.sort_values("day", kind="stable"),
        on="day",
        by="person",
        direction="backward",
        allow_exact_matches=same_day,
        tolerance=pd.Timedelta(days=most_days),
    )
    return _complete(nearest.set_index("procedure").reindex(procedures.index).set_axis(day.index))


def link_follow_ups(rows: pd.DataFrame, procedures: Procedures, *, same_day: bool) -> pd.DataFrame:
    """Link rows to the latest procedure of their person before them.

    Parameters
    ----------
    rows : DataFrame with columns person and day
        Values of any kind.
    procedures : Procedures
        All procedures.
    same_day : bool
        Whether a value of the day of a procedure counts as before it, and so as a follow-up of the procedure before
        that; otherwise it belongs to no visit.

    Returns
    -------
    DataFrame with columns episode_id and several
        Indexed like the rows.
    """
    links = link_to_latest_before(rows["person"], rows["day"], procedures)
    episode_id, several = links
    if not same_day:
        on_the_day = pd.MultiIndex.from_frame(rows[["person", "day"]]).isin(
            pd.MultiIndex.from_arrays([procedures.person, procedures.day])
        )
        episode_id, several = episode_id.mask(on_the_day), several & ~on_the_day
    return pd.DataFrame({"episode_id": episode_id, "several": several}, index=rows.index)


def pivot_visits(rows: pd.DataFrame, visits: pd.MultiIndex) -> pd.DataFrame:
    """Give the value of each visit.

    Parameters
    ----------
    rows : DataFrame with columns episode_id, day, value, unit
        Values of one kind.
    visits : MultiIndex of episode_id and day
        The visits.

    Returns
    -------
    DataFrame with columns value, unit, several and source
        One row for each visit, as of :func:`find_nearest_before`.
    """
    return _complete(_collapse(rows, ["episode_id", "day"]).reindex(visits).reset_index(drop=True))


def _collapse(rows: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Take one value for each key, and flag keys whose values differ."""
    texts = rows.assign(pair=rows["value"] + "|" + rows["unit"], source=rows.index)
    by_key = texts.groupby(keys)
    return by_key.agg(
        value=("value", "first"), unit=("unit", "first"), n=("pair", "nunique"), source=("source", "first")
    )


def _complete(values: pd.DataFrame) -> pd.DataFrame:
    several = values["n"] > 1
    return pd.DataFrame(
        {
            "value": values["value"].astype("str").mask(several),
            "unit": values["unit"].astype("str").fillna(""),
            "several": several,
            "source": values["source"].astype("Int64"),
        },
        index=values.index,
    )
