"""Read a comparison of techniques: ``comparison.json``, plain data, or an object of ``paincast.effects``."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from paincast.effects.comparison import RESULT_FORMAT
from paincast.effects.trial import LATEST_MONTH
from paincast.errors import DataError, RefusalError, SettingsError
from paincast.evidence.conditions import check_condition
from paincast.files.bounded import read_json
from paincast.planning.figures import CONFIDENCE, Figure
from paincast.planning.preferences import BY_CONTRAST
from paincast.planning.stated.contrast import NO_CONTRAST, Contrast, refuse
from paincast.planning.stated.result import (
    ENDS,
    check_ends,
    check_strategies,
    check_verdict,
    find_unusable,
    tabulate,
)
from paincast.planning.stated.values import MOST_CHARACTERS, MOST_PATIENTS, flatten_text
from paincast.schema import INDICATIONS, TECHNIQUES

CONTRAST_KEYS = (
    "reference",
    "indications",
    "conditions",
    "month",
    "passed",
    "because",
    "basis",
    "n",
    "source",
    "contrasts",
)
BASES_OF_PATIENTS = ("real", "blended", "synthetic")


def read_contrast(comparison: object) -> Contrast:
    """Read a comparison of techniques.

    Parameters
    ----------
    comparison : mapping, str, Path, object or None
        ``comparison.json`` of ``paincast compare``. Or plain data, or a JSON file of them: ``passed`` (with ``because``
        if it is false), ``reference``, and ``contrasts``, by technique and component the estimate with the ends of its
        95 % interval; ``indications`` and ``conditions`` of those who were compared, and ``month``, which are held
        against patient and plan; ``basis``, ``n`` and ``source``, which are shown. Or the comparison of
        ``paincast.effects``: an object with ``trial`` and ``contrasts``, which are refused if a diagnostic failed.

    Returns
    -------
    Contrast
        Without figures if a diagnostic failed, and where the comparison says nothing of techniques.

    Raises
    ------
    SettingsError
        If it is something else, or contradicts itself: it is answered though a diagnostic failed, a strategy stands
        there twice or is unknown, the reference differs from itself, or an interval does not hold its estimate.

    Examples
    --------
    >>> contrast = read_contrast({
    ...     "reference": "nerve_root_block", "passed": True, "basis": "real", "n": 5000, "month": 3,
    ...     "indications": ["lumbar_radicular_disc"],
    ...     "contrasts": {"epidural_steroid_injection": {"relief": [0.02, -0.01, 0.05]}},
    ... })
    >>> sorted(contrast.figures["relief"])
    ['epidural_steroid_injection', 'nerve_root_block']
    """
    if comparison is None:
        return Contrast(refusal=NO_CONTRAST)
    if isinstance(comparison, (str, os.PathLike)):
        comparison = read_json(Path(comparison))
    if isinstance(comparison, Mapping):
        return _read_result(comparison) if "verdict" in comparison else _read_plain(comparison)
    if hasattr(comparison, "trial") and hasattr(type(comparison), "contrasts"):
        return _read_object(comparison)
    raise SettingsError(
        "comparison: give the result of a comparison, or a mapping or JSON file of it (docs/plan.md)",
        code="PC-PLANNING-06",
    )


def _read_result(content: Mapping[str, Any]) -> Contrast:
    """Read ``comparison.json`` of ``paincast compare``."""
    try:
        if content["format"] != RESULT_FORMAT or content["verdict"] not in ("answered", "refused"):
            raise ValueError
        check_verdict(content)
        if content["verdict"] == "refused":
            return refuse("diagnostics", f"it was refused: {_check_text(content['refusal']['message'])}")
        strategies = [(one["name"], one["technique"], bool(one["approaches"])) for one in content["strategies"]]
        rows = content["contrasts"]
        techniques = check_strategies(strategies, content["reference"], rows)
        unusable = find_unusable(strategies, content["outcome"])
        if unusable is not None:
            return refuse(*unusable)
        told = {name: content[name] for name in ("month", "basis", "n", "indications", "conditions")}
        told["source"] = f"{content['question']} (paincast compare, {content['cohort']})"
        return _read_plain(tabulate(techniques, content["reference"], content["outcome"], rows, told))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SettingsError(
            f"comparison: it is not the comparison.json that 'paincast compare' writes in format {RESULT_FORMAT}",
            code="PC-PLANNING-10",
        ) from error


def _read_plain(content: Mapping[str, Any]) -> Contrast:
    unknown = [name for name in content if name not in CONTRAST_KEYS]
    if unknown or not isinstance(content.get("passed"), bool):
        raise SettingsError(
            f"comparison: 'passed' must be true or false, and the keys are {', '.join(CONTRAST_KEYS)}",
            code="PC-PLANNING-07",
        )
    if not content["passed"]:
        reason = _check_text(content.get("because") or "a diagnostic failed")
        return refuse("diagnostics", f"it did not pass its diagnostics: {reason}")
    indications, month = _check_told(content)
    source = _check_text(content.get("source", "comparison"))
    if content["basis"] != "real":
        return refuse("basis", "it is not of real patients alone, and says nothing of the techniques")
    reference, contrasts = content.get("reference"), content.get("contrasts")
    if reference not in TECHNIQUES or not isinstance(contrasts, Mapping) or not set(contrasts) <= set(TECHNIQUES):
        raise SettingsError(
            "comparison: 'reference' and the keys of 'contrasts' are techniques (paincast schema lists them)",
            code="PC-PLANNING-08",
        )
    told = {"basis": "real", "month": month, "n": content.get("n"), "source": (source,)}
    figures: dict[str, dict[str, Figure]] = {}
    for technique, components in contrasts.items():
        for name, ends in _list_components(components):
            check_ends(ends, is_reference=technique == reference)
            of = figures.setdefault(name, {reference: _contrast(name, (0.0, 0.0, 0.0), reference, told)})
            of[technique] = _contrast(name, ends, reference, told)
    return Contrast(
        figures=figures,
        refusal=NO_CONTRAST,
        indications=indications,
        conditions=tuple(content.get("conditions", ())),
        month=month,
    )


def _check_text(text: Any) -> str:
    """Check a text that is shown."""
    flat = flatten_text(text) if isinstance(text, str) else None
    if flat is None:
        raise SettingsError(
            f"comparison: texts hold at most {MOST_CHARACTERS} characters, all of which print", code="PC-PLANNING-15"
        )
    return flat


def _check_told(content: Mapping[str, Any]) -> tuple[tuple[str, ...], float]:
    """Check what is held against the patient, and what is shown; return indications and month."""
    indications, month, n = content.get("indications"), content.get("month"), content.get("n")
    fits = n is None or (type(n) is int and 0 < n <= MOST_PATIENTS)
    fits = fits and content.get("basis") in BASES_OF_PATIENTS
    is_list = isinstance(indications, (list, tuple)) and all(name in INDICATIONS for name in indications)
    is_month = isinstance(month, (int, float)) and not isinstance(month, bool) and 0 < month <= LATEST_MONTH
    if not (fits and is_list and indications and is_month):
        raise SettingsError(
            f"comparison: needs 'basis' ({', '.join(BASES_OF_PATIENTS)}), 'indications' (a list of indications) and "
            "'month' (a number of months); 'n' is a number of patients",
            code="PC-PLANNING-11",
        )
    conditions = content.get("conditions", ())
    if not isinstance(conditions, (list, tuple)) or not all(map(_is_condition, conditions)):
        raise SettingsError(
            "comparison: 'conditions' is a list of conditions as in a trial file (docs/compare.md)",
            code="PC-PLANNING-16",
        )
    return tuple(indications), float(month)  # type: ignore[arg-type]


def _is_condition(condition: Any) -> bool:
    try:
        check_condition(condition, "comparison")
    except DataError:
        return False
    return True


def _list_components(components: Any) -> list[tuple[str, Sequence[Any]]]:
    """List the components of a technique, each with three values."""
    listed = [*components.items()] if isinstance(components, Mapping) else []
    are_three = [isinstance(ends, (list, tuple)) and len(ends) == len(ENDS) for _, ends in listed]
    if not listed or not all(are_three) or any(name not in BY_CONTRAST for name, _ in listed):
        raise SettingsError(
            f"comparison: each technique has components ({', '.join(BY_CONTRAST)}) with [{', '.join(ENDS)}]",
            code="PC-PLANNING-09",
        )
    return listed


def _contrast(name: str, ends: Sequence[float], reference: str, told: Mapping[str, Any]) -> Figure:
    return Figure(
        name=f"{name}: difference from {reference}",
        unit="share",
        value=float(ends[0]),
        lower=float(ends[1]),
        upper=float(ends[2]),
        interval="95 % interval",
        confidence=CONFIDENCE,
        validation="diagnostics of the comparison passed",
        **told,
    )


def _read_object(comparison: Any) -> Contrast:
    """Read a comparison of ``paincast.effects``."""
    trial = comparison.trial
    strategies = [(one.name, one.technique, bool(one.approaches)) for one in trial.strategies]
    unusable = find_unusable(strategies, trial.outcome.name)
    if unusable is not None:
        return refuse(*unusable)
    try:
        rows = comparison.contrasts.to_dict("records")
    except RefusalError as refusal:
        return refuse("diagnostics", f"it was refused: {refusal}")
    told = {
        "indications": trial.indications,
        "conditions": trial.conditions,
        "month": float(trial.month),
        "basis": comparison.basis,
        "n": int(max((row["n"] for row in rows), default=0)) or None,
        "source": trial.question,
    }
    techniques = {name: technique for name, technique, _ in strategies}
    return _read_plain(tabulate(techniques, trial.strategies[0].name, trial.outcome.name, rows, told))
