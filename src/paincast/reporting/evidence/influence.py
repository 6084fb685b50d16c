"""Write the audit of the evidence for a terminal: figures that move the simulated response, and what they stand on."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from paincast.evidence.context import LEAST_FOUND, MOST_ASSUMED, Standing
from paincast.evidence.synthesis.audit import summarise_audit
from paincast.evidence.wording import percent

SHOWN = 10
_STUDIES = 3


def write_influence(table: pd.DataFrame, shown: int = SHOWN) -> str:
    """Write the figures of highest influence of each technique, and what its figures stand on.

    Parameters
    ----------
    table : DataFrame
        From :func:`paincast.evidence.synthesis.audit.audit_figures`.
    shown : int
        Figures per technique.

    Returns
    -------
    str
    """
    heading = (
        "Share of influence on the simulated response (its mean, and the spread between patients), with tag and study."
    )
    lines = [heading]
    for _, row in summarise_audit(table).iterrows():
        rows = table[table["technique"] == row["technique"]]
        standing = Standing(float(row["found"]), float(row["assumed"]))
        lines += ["", str(row["technique"]), *_list_figures(rows.head(shown)), f"  {describe_standing(standing)}"]
    return "\n".join([*lines, ""])


def describe_standing(standing: Standing) -> str:
    """Describe what the figures of a technique stand on, and whether that meets the bar.

    Examples
    --------
    >>> describe_standing(Standing(0.85, 0.15))
    'stands on studies: 85 %, assumed: 15 %'
    """
    told = f"stands on studies: {percent(standing.found)}, assumed: {percent(standing.assumed)}"
    if standing.meets_bar:
        return told
    return f"{told}; below the bar (at least {percent(LEAST_FOUND)}, at most {percent(MOST_ASSUMED)})"


def _list_figures(rows: pd.DataFrame) -> Iterator[str]:
    several = rows["record"].nunique() > 1
    names = [f"{row['figure']} ({row['record']})" if several else str(row["figure"]) for row in rows.to_dict("records")]
    widest, tags = max(map(len, names)), max(map(len, rows["tag"]))
    for name, (_, row) in zip(names, rows.iterrows(), strict=True):
        influence = percent(row["influence"]) if row["influence"] >= 0.0005 else "0 %"
        yield f"  {influence:>6}  {name:<{widest}}  {row['tag']:<{tags}}  {_shorten(row['source'])}".rstrip()


def _shorten(source: str) -> str:
    names = source.split(", ")
    more = f" and {len(names) - _STUDIES} more" if len(names) > _STUDIES else ""
    return ", ".join(names[:_STUDIES]) + more
