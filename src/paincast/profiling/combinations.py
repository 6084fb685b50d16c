"""Count impossible and contradictory combinations of values, by the declared rules."""

from __future__ import annotations

import pandas as pd

from paincast.profiling.linked import LinkedCohort
from paincast.profiling.rules import RULES

COMBINATION_COLUMNS = (
    *("rule", "kind", "finding", "meaning", "columns", "n", "count", "share", "with_patients", "without_patients"),
)


def compute_combinations(linked: LinkedCohort) -> pd.DataFrame:
    """Count the episodes that break each rule.

    Parameters
    ----------
    linked : LinkedCohort
        The cohort.

    Returns
    -------
    DataFrame
        ``rule, kind, finding, meaning, columns``; ``n`` episodes that can be judged (0 where a column is not recorded),
        ``count`` that break the rule, ``share`` and the patients of both parts.
    """
    counted = []
    for rule in RULES:
        judged, broken = rule.judge(linked)
        told = {"rule": rule.name, "kind": rule.kind, "finding": rule.finding, "meaning": rule.meaning}
        counted.append(linked.all_episodes.count(broken, judged).assign(**told, columns=", ".join(rule.columns)))
    return pd.concat(counted, ignore_index=True)[list(COMBINATION_COLUMNS)]
