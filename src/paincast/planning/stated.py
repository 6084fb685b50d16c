"""Read what is stated for a plan: weights of a patient or clinic, and a comparison of techniques."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from paincast.effects.average import ATE
from paincast.effects.comparison import RESULT_FORMAT
from paincast.effects.trial import LATEST_MONTH
from paincast.errors import RefusalError, SettingsError
from paincast.files.bounded import read_json
from paincast.files.strict_yaml import Node
from paincast.planning.cost import open_yaml, read_interval, state
from paincast.planning.figures import Figure
from paincast.planning.preferences import BY_CONTRAST, SCALES, Scale, Weights
from paincast.schema import COMPARATORS, INDICATIONS, TECHNIQUES

RECOVERY_KEYS = ("days", "lower", "upper", "source", "year")
CONTRAST_KEYS = ("reference", "indications", "month", "passed", "because", "basis", "n", "source", "contrasts")
COMPONENT_OF: Mapping[str, str] = MappingProxyType(
    {
        "pain_response": "relief",
        "relief_duration": "durability",
        "function_response": "function",
        "opioid_reduction": "opioid_reduction",
    }
)
"""Component that a contrast of an outcome is of."""

BASES_OF_PATIENTS = ("real", "blended", "synthetic")

ONLY_APPROACHES = "a comparison of approaches says nothing of techniques as a whole"
NO_CONTRAST = (
    "a prognosis never orders options: it enters only through a comparison of the techniques whose diagnostics passed"
)


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """Differences between techniques and a reference, from a comparison whose diagnostics passed.

    Parameters
    ----------
    figures : mapping of str to mapping of str to Figure
        By component and technique; the reference is 0.
    refusal : str
        Why there is none.
    indications : tuple of str
        Indications of the patients who were compared; empty if they are not told.
    """

    figures: Mapping[str, Mapping[str, Figure]] = field(default_factory=dict)
    refusal: str = ""
    indications: tuple[str, ...] = ()

    def hold_for(self, indication: str) -> Contrast:
        """Return what the contrast says of patients with an indication: nothing if others were compared."""
        if not self.indications or indication in self.indications:
            return self
        return Contrast(refusal=f"the comparison is of patients with {', '.join(self.indications)}")


def read_weights(source: object) -> Weights:
    """Read weights from a YAML file or a mapping: ``weights``, and optionally ``ranges`` and ``recovery``.

    Raises
    ------
    SettingsError
        If a key is unknown, a weight is below 0, none is above 0, or a range has no width.

    Examples
    --------
    >>> read_weights({"weights": {"complications": 2, "visits": 1}}).weights
    {'complications': 2.0, 'visits': 1.0}
    """
    keys = open_yaml(source, "preferences").section(("weights", "ranges", "recovery"), required=("weights",))
    nodes = keys["weights"].section(SCALES)
    weights = {name: _read_weight(node) for name, node in nodes.items()}
    if not any(weights.values()):
        raise keys["weights"].refuse("at least one weight must be above 0")
    ranges = keys["ranges"].section(SCALES) if "ranges" in keys else {}
    recovery = keys["recovery"].section(TECHNIQUES) if "recovery" in keys else {}
    return Weights(
        weights=weights,
        scales={name: _read_scale(name, ranges[name]) if name in ranges else scale for name, scale in SCALES.items()},
        recovery={technique: _read_recovery(node) for technique, node in recovery.items()},
    )


def _read_weight(node: Node) -> float:
    weight = node.number()
    if weight < 0:
        raise node.refuse("a weight is at least 0")
    return weight


def _read_scale(name: str, node: Node) -> Scale:
    keys = node.section(("worst", "best"), required=("worst", "best"))
    scale = Scale(SCALES[name].unit, keys["worst"].number(), keys["best"].number())
    if (scale.best - scale.worst) * (SCALES[name].best - SCALES[name].worst) <= 0:
        raise node.refuse("worst and best are exchanged or equal")
    return scale


def _read_recovery(node: Node) -> Figure:
    keys = node.section(RECOVERY_KEYS, required=("days", "source", "year"))
    days = keys["days"].number(above=-1e-9)
    lower, upper = read_interval(keys, days)
    return state(
        "days of recovery",
        "days",
        keys["source"].text(),
        value=days,
        lower=lower,
        upper=upper,
        interval="as stated" if lower is not None else "",
        note=f"stated in {keys['year'].number(above=1900, at_most=2100):g}",
    )


def read_contrast(comparison: object) -> Contrast:
    """Read a comparison of techniques.

    Parameters
    ----------
    comparison : mapping, str, Path, object or None
        ``comparison.json`` of ``paincast compare``. Or plain data, or a JSON file of them: ``reference``, ``passed``
        (with ``because`` if it is false), and ``contrasts``, by technique and component the estimate with the ends of
        its interval; ``indications`` of those who were compared; ``month``, ``basis``, ``n`` and ``source`` are shown.
        Or the comparison of ``paincast.effects``: an object with ``trial`` and ``contrasts``, which are refused if a
        diagnostic failed.

    Returns
    -------
    Contrast
        Without figures if a diagnostic failed.

    Raises
    ------
    SettingsError
        If it is something else, or an interval does not hold its estimate.

    Examples
    --------
    >>> contrast = read_contrast({
    ...     "reference": "nerve_root_block", "passed": True, "basis": "real", "n": 5000, "month": 3,
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
        if content["format"] != RESULT_FORMAT:
            raise ValueError
        if content["verdict"] != "answered":
            return Contrast(refusal=f"the comparison was refused: {content['refusal']['message']}")
        strategies = {one["name"]: one for one in content["strategies"]}
        if any(one["approaches"] for one in strategies.values()):
            return Contrast(refusal=ONLY_APPROACHES)
        component = COMPONENT_OF.get(content["outcome"])
        if component is None:
            return Contrast(refusal=f"a comparison of {content['outcome']} is of no component of the preferences")
        if any(one["technique"] in COMPARATORS for one in strategies.values()):
            return Contrast(refusal="a comparison with a comparator does not order techniques")
        rows = [row for row in content["contrasts"] if row["population"] == ATE]
        plain = {
            "reference": strategies[content["reference"]]["technique"],
            "passed": True,
            "contrasts": {
                strategies[row["strategy"]]["technique"]: {
                    component: [row[name] for name in ("estimate", "lower", "upper")]
                }
                for row in rows
            },
            "source": f"{content['question']} (paincast compare, {content['cohort']})",
            **{name: content[name] for name in ("month", "basis", "n", "indications")},
        }
    except (KeyError, TypeError, ValueError) as error:
        raise SettingsError(
            f"comparison: it is not the comparison.json that 'paincast compare' writes in format {RESULT_FORMAT}",
            code="PC-PLANNING-10",
        ) from error
    return _read_plain(plain)


def _read_plain(content: Mapping[str, Any]) -> Contrast:
    unknown = [name for name in content if name not in CONTRAST_KEYS]
    if unknown or not isinstance(content.get("passed"), bool):
        raise SettingsError(
            f"comparison: 'passed' must be true or false, and the keys are {', '.join(CONTRAST_KEYS)}",
            code="PC-PLANNING-07",
        )
    if not content["passed"]:
        reason = str(content.get("because") or "a diagnostic failed")
        return Contrast(refusal=f"the comparison did not pass its diagnostics: {reason}")
    _check_told(content)
    if content["basis"] != "real":
        return Contrast(refusal="the comparison is not of real patients alone, and says nothing of the techniques")
    reference, contrasts = content.get("reference"), content.get("contrasts")
    if reference not in TECHNIQUES or not isinstance(contrasts, Mapping) or not set(contrasts) <= set(TECHNIQUES):
        raise SettingsError(
            "comparison: 'reference' and the keys of 'contrasts' are techniques (paincast schema lists them)",
            code="PC-PLANNING-08",
        )
    told = {
        "basis": content["basis"],
        "month": content.get("month"),
        "n": content.get("n"),
        "source": (str(content.get("source", "comparison")),),
    }
    figures: dict[str, dict[str, Figure]] = {}
    for technique, components in contrasts.items():
        for name, ends in components.items() if isinstance(components, Mapping) else ():
            of = figures.setdefault(name, {reference: _contrast(name, (0.0, 0.0, 0.0), reference, told)})
            of[technique] = _contrast(name, ends, reference, told)
    return Contrast(figures=figures, refusal=NO_CONTRAST, indications=tuple(content.get("indications", ())))


def _check_told(content: Mapping[str, Any]) -> None:
    """Check what is shown of a comparison."""
    indications, month, n = content.get("indications", ()), content.get("month"), content.get("n")
    fits = isinstance(indications, (list, tuple)) and all(name in INDICATIONS for name in indications)
    fits = fits and (month is None or (type(month) in (int, float) and 0 < month <= LATEST_MONTH))
    fits = fits and (n is None or (type(n) is int and n > 0)) and content.get("basis") in BASES_OF_PATIENTS
    if not fits:
        raise SettingsError(
            f"comparison: needs 'basis' ({', '.join(BASES_OF_PATIENTS)}); 'indications' are a list of indications, "
            "'month' is a number of months and 'n' a number of patients",
            code="PC-PLANNING-11",
        )


def _contrast(name: str, ends: Any, reference: str, told: Mapping[str, Any]) -> Figure:
    is_three = isinstance(ends, (list, tuple)) and len(ends) == 3
    are_numbers = is_three and all(type(end) in (int, float) and math.isfinite(end) for end in ends)
    if name not in BY_CONTRAST or not are_numbers or not -1 <= ends[1] <= ends[0] <= ends[2] <= 1:
        raise SettingsError(
            f"comparison: each technique has components ({', '.join(BY_CONTRAST)}) with [estimate, lower, upper]",
            code="PC-PLANNING-09",
        )
    return Figure(
        name=f"{name}: difference from {reference}",
        unit="share",
        value=float(ends[0]),
        lower=float(ends[1]),
        upper=float(ends[2]),
        interval="95 % interval",
        validation="diagnostics of the comparison passed",
        **told,
    )


def _read_object(comparison: Any) -> Contrast:
    """Read a comparison of ``paincast.effects``."""
    trial = comparison.trial
    component = COMPONENT_OF.get(trial.outcome.name)
    if component is None:
        return Contrast(refusal=f"a comparison of {trial.outcome.name} is of no component of the preferences")
    try:
        table = comparison.contrasts
    except RefusalError as refusal:
        return Contrast(refusal=str(refusal))
    if any(strategy.approaches for strategy in trial.strategies):
        return Contrast(refusal=ONLY_APPROACHES)
    techniques = {strategy.name: strategy.technique for strategy in trial.strategies}
    rows = table[table["population"] == ATE].to_dict("records")
    contrasts = {
        techniques[row["strategy"]]: {component: [float(row[name]) for name in ("estimate", "lower", "upper")]}
        for row in rows
    }
    return _read_plain(
        {
            "reference": techniques[trial.strategies[0].name],
            "indications": trial.indications,
            "passed": True,
            "month": float(trial.month),
            "basis": comparison.basis,
            "n": int(max((row["n"] for row in rows), default=0)),
            "source": trial.question,
            "contrasts": contrasts,
        }
    )
