"""Put beside a prediction what patients of a matching control arm had, or why nothing is shown."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from paincast.evidence.comparators import Comparator, choose_comparator, explain_silence
from paincast.evidence.rules import TechniqueRules

CONTROL_COLUMNS = (
    "control_probability",
    "control_lower",
    "control_upper",
    "control_month",
    "control_arm",
    "control_definition",
    "control_tag",
    "control_because",
)
"""What patients of a matching control arm had, or why nothing is shown."""

NO_CONTROL: Mapping[str, float | str] = {
    name: math.nan if name in CONTROL_COLUMNS[:4] else "" for name in CONTROL_COLUMNS
}


def find_control(
    rules: TechniqueRules,
    outcome: str,
    month: float,
    indication: str,
    approach: str,
    *,
    unmatched: Sequence[str] = (),
) -> dict[str, float | str]:
    """Find what patients of a control arm had: only where outcome, month, indication and arm fit.

    Parameters
    ----------
    rules : TechniqueRules
        Rules of the technique, with the controls of the outcome.
    outcome : str
        Outcome asked.
    month : float
        Month asked; a control arm was seen within half of it.
    indication, approach : str
        Of the patients; empty where it is not known.
    unmatched : sequence of str
        Instruments of the model by which no control arm was assessed; none is then shown.

    Returns
    -------
    dict
        ``control_probability`` with ``control_lower, control_upper``, ``control_month``, ``control_arm`` (kind of arm),
        ``control_definition`` and ``control_tag``; where they are missing ``control_because`` says why.
    """
    if unmatched:
        return {**NO_CONTROL, "control_because": f"control arms were not assessed by {', '.join(unmatched)}"}
    own = [
        control
        for control in rules.controls
        if control["indication"] == indication and control["approach"] in (None, approach)
    ]
    comparators = [
        Comparator(
            outcome=outcome,
            indication=indication,
            kind=control["arm"],
            share=control["probability"],
            source=tuple(control["source"]),
            **{name: control[name] for name in ("month", "lower", "upper", "n", "definition", "tag")},
        )
        for control in own
    ]
    chosen = choose_comparator(comparators, outcome, month)
    if chosen is None:
        remarks = [
            item["remark"]
            for item in rules.remarks
            if item["indication"] == indication and item["approach"] in (None, approach)
        ]
        return {
            **NO_CONTROL,
            "control_because": explain_silence(comparators, outcome, month, remarks[0] if remarks else ""),
        }
    return {
        "control_probability": chosen.share,
        "control_lower": chosen.lower,
        "control_upper": chosen.upper,
        "control_month": chosen.month,
        "control_arm": chosen.kind,
        "control_definition": f"{chosen.definition} (n {chosen.n}; {', '.join(chosen.source)})",
        "control_tag": chosen.tag,
        "control_because": "",
    }
