"""Detect columns that contain patient ids, and ids that occur in several rows."""

from __future__ import annotations

import re

import pandas as pd

from paincast.cohort.coercion import find_missing_words
from paincast.cohort.rejects import TWIN_COLUMN

MOST_ROWS_EACH = 30
"""A column with fewer distinct values than the number of rows divided by this identifies groups, not patients."""

_PERSON = (
    r"(?:pat|patient|patients|patienten|subj|subject|participant|proband|probanden|person|personen|client|member|bids)"
)
_RECORD = r"(?:case|fall|record|study|studien|encounter|episode)"
_NUMBER = r"(?:id|ids|nr|num|no|number|nummer|code|key|uuid|pseudonym)"
_NAME = re.compile(rf"{_PERSON}{_NUMBER}?|{_RECORD}{_NUMBER}|id|pid|mrn|uuid|pseudonym|pseudo{_NUMBER}")


def find_repeating_ids(sheet: pd.DataFrame) -> list[str]:
    """Find columns whose names indicate patient ids and in which an id occurs more than once.

    Examples
    --------
    >>> find_repeating_ids(pd.DataFrame({"PatNr": ["P1", "P1", "P2"], "site_id": ["a", "a", "a"], "id": [1, 2, 3]}))
    ['PatNr']
    """
    return [str(name) for name in sheet if names_patients(str(name)) and _repeats(sheet[name])]


def find_twin_ids(rejects: pd.DataFrame) -> list[str]:
    """Find names of patient ids that appear twice in the header of a file, from its rejects."""
    return [str(name) for name in rejects.loc[rejects["rule"] == TWIN_COLUMN, "column"] if names_patients(str(name))]


def names_patients(name: str) -> bool:
    """Check whether the name of a column indicates patient ids."""
    return _NAME.fullmatch("".join(re.findall(r"[^\W\d_]+", name)).casefold()) is not None


def _repeats(column: pd.Series) -> bool:
    text = column.astype("str")
    given = text[text.notna() & ~find_missing_words(text)]
    n_distinct = given.nunique()
    return 2 <= n_distinct < len(given) <= MOST_ROWS_EACH * n_distinct
