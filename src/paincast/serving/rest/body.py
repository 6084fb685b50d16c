"""Read what a request asks: JSON of patients, and the keywords of ``paincast.predict``."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from paincast.predictor.answers import MOST_REASONS
from paincast.serving.asked import ALL
from paincast.serving.rest.errors import RequestError

MOST_COLUMNS = 1000
"""Most different names of columns: each that is not known is compared with all that are."""

MOST_MONTHS = 12
MOST_TOLD = 50
"""Most months, and most reasons, that can be asked."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """What a request asks.

    Parameters
    ----------
    patients : list of dict
        Patients as they were given.
    techniques : tuple of str, "all" or None
    outcomes : tuple of str or None
    months : tuple of float or None
    interval : bool
    explain : int
    allow_contradicted : bool
        As for :func:`paincast.predict`.
    """

    patients: list[dict[str, Any]]
    techniques: tuple[str, ...] | str | None = None
    outcomes: tuple[str, ...] | None = None
    months: tuple[float, ...] | None = None
    interval: bool = True
    explain: int = MOST_REASONS
    allow_contradicted: bool = False

    @property
    def keywords(self) -> dict[str, Any]:
        """What is asked of the patients, as keywords of :func:`paincast.predict`."""
        return {name: getattr(self, name) for name in KEYWORDS}


@dataclass(frozen=True)
class Known:
    """Names that a request may ask."""

    techniques: Collection[str]
    outcomes: Collection[str]


def read_question(raw: bytes, known: Known, *, max_patients: int) -> Question:
    """Read the body of a request.

    Parameters
    ----------
    raw : bytes
        JSON.
    known : Known
        Names that it may ask.
    max_patients : int
        Most patients.

    Raises
    ------
    RequestError
        If it is not JSON, has unknown names, values of a wrong type or too many patients.
    """
    content = _parse(raw)
    if not isinstance(content, dict):
        raise RequestError('the body has to be an object: {"patients": [...]}', code="PC-REST-12")
    if not content.keys() <= {"patients", *KEYWORDS}:
        raise RequestError(f"the body has an unknown name; known: patients, {', '.join(KEYWORDS)}", code="PC-REST-13")
    patients = content.get("patients")
    if not isinstance(patients, list) or not all(isinstance(patient, dict) for patient in patients):
        raise RequestError("patients: needs a list with an object for each patient", code="PC-REST-14")
    if len(patients) > max_patients:
        raise RequestError(
            f"patients: more than {max_patients:,} in one request; send several", code="PC-REST-15", status=413
        )
    if sum(map(len, patients)) > MOST_COLUMNS and len(set().union(*patients)) > MOST_COLUMNS:
        raise RequestError(f"patients: more than {MOST_COLUMNS:,} different columns", code="PC-REST-23", status=413)
    asked = {name: KEYWORDS[name](given, known) for name, given in content.items() if name in KEYWORDS}
    return Question(patients=patients, **asked)


def _parse(raw: bytes) -> Any:
    try:
        return json.loads(raw.decode("utf-8"), object_pairs_hook=_refuse_twice, parse_constant=_refuse_constant)
    except RecursionError:
        raise RequestError("the body is nested too deeply", code="PC-REST-10", status=400) from None
    except ValueError:  # also of text that is not UTF-8, and of whole numbers of thousands of digits
        raise RequestError("the body is not JSON in UTF-8", code="PC-REST-11", status=400) from None


def _refuse_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        raise RequestError("the body has an object with the same name twice", code="PC-REST-16", status=400)
    return content


def _refuse_constant(_: str) -> NoReturn:
    raise RequestError("the body has a number that JSON does not have; give null", code="PC-REST-17", status=400)


def _read_techniques(given: object, known: Known) -> tuple[str, ...] | str | None:
    return ALL if given == ALL else _read_names("techniques", given, known.techniques)


def _read_outcomes(given: object, known: Known) -> tuple[str, ...] | None:
    return None if given == ALL else _read_names("outcomes", given, known.outcomes)


def _read_names(what: str, given: object, known: Collection[str]) -> tuple[str, ...] | None:
    if given is None:
        return None
    names = [given] if isinstance(given, str) else given
    if not isinstance(names, list) or not 0 < len(names) <= MOST_COLUMNS or not all(isinstance(n, str) for n in names):
        raise RequestError(f"{what}: needs one name or more; leave it out to ask for all", code="PC-REST-18")
    if not set(names) <= set(known):
        raise RequestError(f"{what}: has an unknown name; known: {', '.join(known)}", code="PC-REST-19")
    return tuple(dict.fromkeys(names))


def _read_months(given: object, _: Known) -> tuple[float, ...] | None:
    if given is None:
        return None
    months = given if isinstance(given, list) else []
    are_numbers = all(isinstance(month, int | float) and not isinstance(month, bool) for month in months)
    if not 0 < len(months) <= MOST_MONTHS or not are_numbers or not all(0 < month < 1e6 for month in months):
        raise RequestError(
            f"months: needs 1 to {MOST_MONTHS} numbers of months after the procedure, above 0, for example [3, 6]",
            code="PC-REST-20",
        )
    return tuple(sorted({float(month) for month in months}))


def _read_flag(what: str, default: bool) -> Callable[[object, Known], bool]:
    def read(given: object, _: Known) -> bool:
        if given is None:
            return default
        if not isinstance(given, bool):
            raise RequestError(f"{what}: needs true or false", code="PC-REST-21")
        return given

    return read


def _read_explain(given: object, _: Known) -> int:
    if given is None:
        return MOST_REASONS
    number = int(given) if isinstance(given, float) and given.is_integer() else given  # in JSON, 3.0 is a whole number
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= MOST_TOLD:
        raise RequestError(f"explain: needs a whole number of reasons from 0 to {MOST_TOLD}", code="PC-REST-22")
    return number


KEYWORDS: Mapping[str, Callable[[object, Known], Any]] = {
    "techniques": _read_techniques,
    "outcomes": _read_outcomes,
    "months": _read_months,
    "interval": _read_flag("interval", True),
    "explain": _read_explain,
    "allow_contradicted": _read_flag("allow_contradicted", False),
}
"""What can be asked, and how each is read; null is what stands where nothing is given."""
