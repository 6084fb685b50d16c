"""Detect columns that contain patient ids, and ids that occur in several rows."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection

import pandas as pd

from paincast.cohort.coercion import find_missing_words
from paincast.cohort.rejects import TWIN_COLUMN

MOST_ROWS_EACH = 30
"""A column with fewer distinct values than the number of rows divided by this identifies groups, not patients."""

FEWEST_IDS = 8
"""A column with fewer distinct values does not look like ids."""

_PERSON = (
    r"(?:pat|patient|patients|patienten|subj|subject|participant|proband|probanden|person|personen|client|member|bids"
    r"|pers|zorg)"
)
_RECORD = r"(?:case|fall|record|study|studien|encounter|episode)"
_NUMBER = r"(?:id|ids|nr|num|no|number|nummer|code|key|uuid|pseudonym|mrn)"
_MANY_LANGUAGES = (
    r"(?:n|no|nr|num|numero)?(?:de|di|do)?(?:dossier|paziente|paciente|patient|expediente|cartella|journal)(?:nr)?"
    r"|ipp|nip|aktenzeichen|akte(?:nnr|nnummer)?|historiaclinica|cpr(?:nr|nummer)?|personnummer|bsn"
)
_NAME = re.compile(
    rf"{_PERSON}{_NUMBER}?|{_RECORD}{_NUMBER}|id|pid|mrn|uuid|pseudonym|pseudo{_NUMBER}|{_MANY_LANGUAGES}"
)
_PLAIN_NUMBER = re.compile(r"n|nr|no|num|nummer|lfdnr|laufendenummer|laufnummer|kod|code")
"""Names that may be those of a patient's id if their values are like ids."""


def find_repeating_ids(sheet: pd.DataFrame, used: Collection[str] | None = None) -> list[str]:
    """Find columns whose names indicate patient ids and in which an id occurs more than once.

    Parameters
    ----------
    sheet : DataFrame of str
        A file.
    used : collection of str, optional
        Columns that are read as something else; given, plain numbers (``Nr``) are also found if their values are like
        ids.

    Examples
    --------
    >>> find_repeating_ids(pd.DataFrame({"PatNr": ["P1", "P1", "P2"], "site_id": ["a", "a", "a"], "id": [1, 2, 3]}))
    ['PatNr']
    """
    return [
        str(name)
        for name in sheet
        if (names_patients(str(name)) and _repeats(sheet[name]))
        or (
            used is not None
            and str(name) not in used
            and may_number_patients(str(name))
            and repeats_like_ids(sheet[name])
        )
    ]


def find_twin_ids(rejects: pd.DataFrame) -> list[str]:
    """Find names of patient ids that appear twice in the header of a file, from its rejects."""
    return [str(name) for name in rejects.loc[rejects["rule"] == TWIN_COLUMN, "column"] if names_patients(str(name))]


def names_patients(name: str) -> bool:
    """Check whether the name of a column indicates patient ids."""
    return _NAME.fullmatch(_letters(name)) is not None


def may_number_patients(name: str) -> bool:
    """Check whether a plain name such as ``Nr`` may be that of patient ids, which its values must then tell."""
    return _PLAIN_NUMBER.fullmatch(_letters(name)) is not None


def repeats_like_ids(given: pd.Series) -> bool:
    """Check for many values of which each occurs in two rows or more, all about equally often.

    Examples
    --------
    >>> repeats_like_ids(pd.Series([1, 2, 3, 4, 5, 6, 7, 8] * 3)), repeats_like_ids(pd.Series([0, 1, 1, 5] * 9))
    (True, False)
    """
    counts = given.value_counts()
    if len(counts) < FEWEST_IDS or len(given) > MOST_ROWS_EACH * len(counts):
        return False
    usual = float(counts.median())
    return usual >= 2 and bool(counts.max() <= 2 * usual)


def _letters(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name.replace("º", "").replace("°", ""))
    return "".join(letter for letter in plain if letter.isalpha()).casefold()


def _repeats(column: pd.Series) -> bool:
    text = column.astype("str")
    given = text[text.notna() & ~find_missing_words(text)]
    n_distinct = given.nunique()
    return 2 <= n_distinct < len(given) <= MOST_ROWS_EACH * n_distinct
