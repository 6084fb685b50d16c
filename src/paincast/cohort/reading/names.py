"""Select columns by name: columns to read, duplicated names, and columns without a name."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import NamedTuple

from paincast.cohort.reading.types import Decoded
from paincast.errors import DataError

_RESEMBLES = 0.8
_INVISIBLE = str.maketrans("", "", "\ufeff\u200b\u200e\u200f\u2060\u00ad\0")


class Header(NamedTuple):
    """Selected columns: ``wanted`` are the positions to read, ``kept`` flags those that are returned.

    ``unnamed`` are the columns without a name that are known to contain data.
    """

    all_names: tuple[str, ...]
    wanted: tuple[int, ...]
    kept: tuple[bool, ...]
    twins: tuple[str, ...]
    unnamed: frozenset[int]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns that are read."""
        return tuple(self.all_names[position] for position in self.wanted)


def clean_name(name: str) -> str:
    r"""Normalize a column name: single spaces, no invisible characters.

    Examples
    --------
    >>> clean_name("\ufeff vas\u00a0  after ")
    'vas after'
    """
    return " ".join(name.translate(_INVISIBLE).split())


def match_case(names: Sequence[str], known: Collection[str]) -> tuple[str, ...]:
    """Replace names that differ from known names only in case.

    Examples
    --------
    >>> match_case(["INR", "Notes"], {"inr", "odi"})
    ('inr', 'Notes')
    """
    by_fold = {name.casefold(): name for name in known}
    return tuple(name if name in known else by_fold.get(name.casefold(), name) for name in names)


def find_misspelt(names: Sequence[str], known: Collection[str]) -> dict[str, str]:
    """Find unknown names that are similar to a known name that is absent.

    Examples
    --------
    >>> find_misspelt(["Age (years)", "odi", "odi_2", "surgeon"], {"age_years", "odi"})
    {'Age (years)': 'age_years'}
    """
    absent = [name for name in known if name not in names]
    plain = {name: "_".join(re.findall(r"[^\W_]+", name.casefold())) for name in names if name not in known}
    from difflib import get_close_matches

    matches_by_name = {name: get_close_matches(text, absent, n=1, cutoff=_RESEMBLES) for name, text in plain.items()}
    return {name: matches[0] for name, matches in matches_by_name.items() if matches}


def name_columns(
    file: Path, decoded: Decoded, used: Collection[str] | None, besides: Callable[[str], bool] | None = None
) -> Header:
    """Select the columns to read: used ones and, without types, unnamed ones and the first (it may label sums)."""
    names, is_text = decoded.header, not decoded.is_typed
    counted = Counter(name for name in names if name)
    twins = tuple(name for name, n in counted.items() if n > 1)
    if used is not None and (mixed := [name for name in twins if name in used]):
        quoted_names = ", ".join(f"'{name}'" for name in mixed)
        raise DataError(
            f"{file}: {quoted_names} appears twice in the header; rename one",
            code="PC-READING-11",
        )
    kept = [
        bool(name) and name not in twins and (used is None or name in used or (besides is not None and besides(name)))
        for name in names
    ]
    if not any(kept):
        # If no column is used, the first column with a unique name is read so that rows can be counted.
        first = next((at for at, name in enumerate(names) if name and name not in twins), None)
        kept = [at == first for at in range(len(names))]
    wanted = [at for at, name in enumerate(names) if kept[at] or (is_text and (not name or at == 0))]
    unnamed = frozenset() if is_text else frozenset(at for at, name in enumerate(names) if not name)
    return Header(names, tuple(wanted), tuple(kept[at] for at in wanted), twins, unnamed)
