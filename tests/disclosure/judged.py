"""What evaluate and compare-runs leave of real patients is attacked: who was left out, and what was measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product

import pandas as pd
from attack import (
    FEW,
    attack_calibration,
    attack_decisions,
    attack_groups,
    attack_methods,
    attack_text,
    is_found,
    read_count,
    read_decimals,
)

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


def attack_loss(weights: pd.DataFrame, told: Mapping[str, object]) -> Iterator[str]:
    """Solve who of the patients asked was lost, and who was not asked, from the weights beside the flow."""
    judged, summary = int(float(str(told["judged"]))), weights.set_index("measure")["value"]
    steps = {name: read_count(told[name]) for name in ("episodes", "followed up", "abstained")}
    steps |= {name: read_count(summary[name]) for name in ("asked", "lost")}
    found: dict[str, set[int]] = {}
    for lost, unasked, abstained in product(range(LARGEST), repeat=3):
        sums = {
            "episodes": judged + lost + unasked + abstained,
            "followed up": judged + abstained,
            "abstained": abstained,
            "asked": judged + lost,
            "lost": lost,
        }
        if all(not steps[name] or n in steps[name] for name, n in sums.items()):
            cells = {"lost": lost, "unasked and lost": unasked, "abstained": abstained, "unasked": unasked + abstained}
            for name, n in cells.items():
                found.setdefault(name, set()).add(n)
    yield from (f"weights: {name} {sorted(n)}" for name, n in found.items() if is_found(n))


def attack_ratios(groups: pd.DataFrame, calibration: pd.DataFrame, n_events: int) -> Iterator[str]:
    """Solve the events of each group from its ratio, the mean prediction lying between those of the calibration."""
    predicted = calibration["predicted"].astype(float)
    for attribute, rows in groups[groups["metric"] == "o_e_ratio"].groupby("attribute"):
        shown = rows.dropna(subset=["estimate", "n"])
        left, n_hidden = {n_events}, int(rows["estimate"].isna().sum())
        for row in shown.to_dict("records"):
            n, ratio, reach = int(float(row["n"])), float(row["estimate"]), read_decimals(row["estimate"])
            events = {
                k
                for k in range(n + 1)
                if (ratio - reach) * n * predicted.min() <= k <= (ratio + reach) * n * predicted.max()
            }
            if is_found(events) or is_found(n - k for k in events):
                yield f"{attribute} {row['level']}: events {sorted(events)}"
            left = {rest - k for rest, k in product(left, events)}
        if n_hidden and len(shown) and is_found(left):
            yield f"{attribute}: hidden levels have {sorted(left)} events"


def attack_reasons(abstentions: pd.DataFrame, told: Mapping[str, object]) -> Iterator[str]:
    """Look at each count of a reason, and at what the total leaves for those without."""
    counts = [read_count(n) for n in abstentions["n"]]
    yield from (f"abstentions: {sorted(n)}" for n in counts if n and is_found(n))
    total, known = read_count(told["abstained"]), [n for n in counts if n]
    if total and len(known) < len(counts):
        rest = {whole - sum(parts) for whole, *parts in product(total, *known)}
        if is_found(rest):
            yield f"abstentions: the others are {sorted(rest)}"


def find_external_leaks(tables: Mapping[str, pd.DataFrame], told: Mapping[str, object], n_events: int) -> list[str]:
    """Attack the further tables of an external validation, each as it was printed; all events are taken as known."""
    n = int(float(str(told["judged"])))
    grouped = [tables[name] for name in ("subgroups", "sites", "years") if name in tables]
    return [
        *attack_methods(tables),
        *attack_loss(tables["observation_weights"], told),
        *attack_groups(tables, n, n_events),
        *attack_calibration(tables["calibration"]),
        *attack_decisions(tables["decision_curve"], n, n_events),
        *(leak for groups in grouped for leak in attack_ratios(groups, tables["calibration"], n_events)),
        *(attack_reasons(tables["abstentions"], told) if "abstentions" in tables else ()),
    ]
