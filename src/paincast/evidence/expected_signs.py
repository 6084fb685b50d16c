"""Load the expected signs (direction of association) of published predictors."""

from __future__ import annotations

from paincast.evidence.figures import PredictorEffect
from paincast.evidence.records import load_records

STRONG = 1.645
"""Standard deviations between a log odds ratio and 0 from which its sign may constrain a model: one in twenty would
have the other."""


def load_expected_signs(technique: str, *, strong: bool = False) -> dict[str, int]:
    """Load the expected signs of the published predictors of response to a technique.

    Parameters
    ----------
    technique : str
        The technique; its records of all indications must agree on the direction.
    strong : bool
        Return only predictors whose sign is all but certain.

    Returns
    -------
    dict of str to {-1, 1}
        By column of ``episodes``, or ``column=level`` for a category: 1 if higher values (or yes) are associated with
        more response, -1 with less. Contradictory directions are left out.

    Examples
    --------
    >>> load_expected_signs("facet_rfa")["depression"]
    -1
    """
    signs_by_name: dict[str, set[int]] = {}
    for record in load_records():
        if record.technique == technique and record.response:
            for effect in record.active_predictors:
                signs_by_name.setdefault(_name(effect), set()).add(_find_sign(effect, strong))
    agreed = {name: next(iter(signs)) for name, signs in signs_by_name.items() if len(signs) == 1}
    return {name: sign for name, sign in agreed.items() if sign}


def _name(effect: PredictorEffect) -> str:
    value = effect.transform.value
    is_level = effect.transform.kind == "equals" and isinstance(value, str)
    return f"{effect.column}={value}" if is_level else effect.column


def _find_sign(effect: PredictorEffect, strong: bool) -> int:
    if strong and abs(effect.log_odds) < STRONG * effect.sd:
        return 0
    sign = (effect.log_odds > 0) - (effect.log_odds < 0)
    falls = effect.transform.kind == "below" or effect.transform.value is False
    return -sign if falls else sign
