"""What evaluate and compare-runs leave of real patients is attacked: who was left out, and what was measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product

import pandas as pd
from attack import FEW, attack_methods, attack_text, is_found, read_count, read_decimals

LARGEST = 60
"""Most patients that are tried for each cell."""

SHARES = ("coverage", "below_interval", "above_interval", "below_median")


def attack_steps(told: Mapping[str, object], abstained: tuple[str, ...]) -> Iterator[str]:
    """Solve who was lost and for whom each model abstains, from all steps that are told.

    Cells are those lost, and those left out by each set of models; steps are sums of them and of those judged.
    """
    sets = [chosen for chosen in product((False, True), repeat=len(abstained)) if any(chosen)]
    judged = int(float(str(told["judged"])))
    steps = {name: read_count(n) for name, n in told.items()}
    found: dict[str, set[int]] = {}
    largest = LARGEST if len(sets) == 1 else 12
    for lost, *cells in product(range(largest), repeat=1 + len(sets)):
        sums = {
            "followed up": judged + sum(cells),
            "episodes": judged + sum(cells) + lost,
            **{
                name: sum(n for n, chosen in zip(cells, sets, strict=True) if chosen[place])
                for place, name in enumerate(abstained)
            },
        }
        if all(not steps[name] or n in steps[name] for name, n in sums.items()):
            named = {"lost": lost, "left out": sum(cells), "lost or left out": lost + sum(cells)}
            named |= {f"left out by {chosen}": n for chosen, n in zip(sets, cells, strict=True)}
            for name, n in named.items():
                found.setdefault(name, set()).add(n)
    yield from (f"flow: {name} {sorted(n)}" for name, n in found.items() if is_found(n))
    yield from (f"flow: {name} is {sorted(n)}" for name, n in steps.items() if n and is_found(n))


def attack_shares(metrics: pd.DataFrame) -> Iterator[str]:
    """Multiply each share with its number, and add up those that sum to one."""
    known, n = {}, 0
    for row in metrics[metrics["metric"].isin(SHARES)].dropna(subset="estimate").to_dict("records"):
        n = int(float(row["n"]))
        counts = {
            k / 2 for k in range(2 * n + 1) if abs(k / 2 / n - float(row["estimate"])) <= read_decimals(row["estimate"])
        }
        known[row["metric"]] = counts
        if counts and counts <= FEW:
            yield f"{row['metric']} of {n} is {counts}"
    parts = [known[name] for name in SHARES[:3] if name in known]
    if len(parts) == 2 and is_found(int(n - a - b) for a, b in product(*parts)):
        yield "the share that is hidden"


def find_judged_leaks(
    metrics: pd.DataFrame, told: Mapping[str, object], abstained: tuple[str, ...], said: str
) -> list[str]:
    """Attack tables as they were printed, and the terminal."""
    return [
        *attack_steps(told, abstained),
        *attack_methods({"metrics": metrics}),
        *(attack_shares(metrics) if "estimate" in metrics else ()),
        *attack_text({"terminal": said}),
    ]
