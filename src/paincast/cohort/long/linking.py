"""Link dated rows of persons to their procedures."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd


class Procedures(NamedTuple):
    """Procedures of persons; one row for each, all of the same index.

    Parameters
    ----------
    episode_id : Series of str
        The episode; rows that share it are one procedure.
    person : Series of str
        The person.
    day : Series of datetime64[s]
        Day of the procedure.
    """

    episode_id: pd.Series
    person: pd.Series
    day: pd.Series


class Links(NamedTuple):
    """The procedure that each row belongs to.

    Parameters
    ----------
    episode_id : Series of str
        The episode of each row; missing where there is none, or where several are equally near.
    several : Series of bool
        Where the person had several procedures on the day that the row would belong to.
    """

    episode_id: pd.Series
    several: pd.Series


def link_to_latest_before(person: pd.Series, day: pd.Series, procedures: Procedures) -> Links:
    """Link each row to the latest procedure of its person before its day.

    Parameters
    ----------
    person : Series of str
        The person of each row.
    day : Series of datetime64[s]
        The day of each row; same index.
    procedures : Procedures
        All procedures; the day of the procedure itself is not after it.

    Returns
    -------
    Links

    Examples
    --------
    >>> days = pd.to_datetime(pd.Series(["2024-01-01", "2024-06-01"]))
    >>> procedures = Procedures(pd.Series(["a", "b"]), pd.Series(["p", "p"]), days)
    >>> persons, dates = pd.Series(["p", "p", "q"]), pd.to_datetime(pd.Series(["2024-01-09"] * 3))
    >>> link_to_latest_before(persons, dates, procedures).episode_id.tolist()
    ['a', 'a', nan]
    """
    rows = pd.DataFrame({"person": person.to_numpy(), "day": day.astype("datetime64[s]").to_numpy()})
    rows = rows.astype({"person": "str"}).rename_axis("row").reset_index()
    dated = rows.dropna().sort_values("day", kind="stable")
    by_day = _group_by_day(procedures)
    linked = pd.merge_asof(dated, by_day, on="day", by="person", direction="backward", allow_exact_matches=False)
    linked = linked.set_index("row").reindex(rows.index).set_axis(person.index)
    several = linked["n"] > 1
    return Links(linked["episode_id"].astype("str").mask(several), several)


def _group_by_day(procedures: Procedures) -> pd.DataFrame:
    """Count the procedures of each person and day, with the first; sorted by day."""
    frame = pd.DataFrame(procedures._asdict()).dropna().astype({"day": "datetime64[s]"})
    grouped = frame.groupby(["person", "day"], as_index=False).agg(
        episode_id=("episode_id", "first"), n=("episode_id", "nunique")
    )
    return grouped.astype({"person": "str", "episode_id": "str"}).sort_values("day", kind="stable")
