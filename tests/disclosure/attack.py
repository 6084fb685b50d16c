"""What whoever reads all that a run leaves can work out of few patients; it shares no code with what protects them.

A number that is printed stands for all whole numbers that would be printed so. A cell is found when each of them is 1
to 4.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise, permutations, product

import pandas as pd

FEW = frozenset({1, 2, 3, 4})
TOTALS = ("episodes of the technique", "asked: ", "with an answer", "patients with an answer")


def is_found(candidates: Iterable[int]) -> bool:
    """Say whether all that a count can be is few; what cannot be at all is no finding."""
    possible = {count for count in candidates if count >= 0}
    return bool(possible) and possible <= FEW


def read_decimals(printed: str) -> float:
    """Give how far a number may be from what is printed."""
    digits = printed.partition(".")[2]
    return 0.5 * 10.0 ** -len(digits) + 1e-9


def solve_share(printed: str, n: int) -> list[int]:
    """List the counts among n that would be printed as this share."""
    return [k for k in range(n + 1) if abs(k / n - float(printed)) <= read_decimals(printed)]


def read_count(told: object) -> set[int]:
    """List what a count that is told can be: one number, or five of a rounded one."""
    numbers = re.findall(r"\d+", str(told).removesuffix(".0"))
    if not numbers or "fewer" in str(told) or str(told) == "nan":
        return set()
    n = int(numbers[0])
    return set(range(max(n - 2, 0), n + 3)) if "about" in str(told) else {n}


def attack_counts(run: Mapping[str, pd.DataFrame], params: Mapping[str, str]) -> Iterator[str]:
    """Look at each count, at those without, and at differences between totals."""
    for name, table in run.items():
        for column in [c for c in table if c in ("n", "n_patients", "n_events", "n_lost", "at_risk")]:
            if name == "importance" or ("n_groups" in table and column == "n_groups"):
                continue
            for told in table[column].dropna():
                if is_found(read_count(told)):
                    yield f"{name}: {column} is {told}"
    flow = run["flow"].set_index("step")["n"]
    totals = {f"flow: {step}": read_count(n) for step, n in flow.items() if str(step).startswith(TOTALS)}
    totals |= {name: read_count(told) for name, told in params.items() if name in PARAMS}
    for (one, more), (other, less) in permutations(totals.items(), 2):
        if more and less and is_found({a - b for a, b in product(more, less) if a >= b} | _overlap(more, less)):
            yield f"{one} less {other}"


PARAMS = (
    "n_training",
    "n_events",
    "n_lost",
    "n_episodes",
    "n_real",
    "num_rows",
    "num_patients",
    "num_events",
    "n_seen",
)


def _overlap(more: set[int], less: set[int]) -> set[int]:
    """Where the first may be the smaller one nothing is known of the difference."""
    return {0} if any(a < b for a, b in product(more, less)) and len(more | less) > 2 else set()


def attack_groups(run: Mapping[str, pd.DataFrame], n: int, n_events: int) -> Iterator[str]:
    """Add up groups: what is hidden in an attribute is what the totals leave; and take metrics apart."""
    for name in [name for name in ("subgroups", "sites", "years") if name in run]:
        for attribute, rows in run[name].groupby("attribute"):
            levels = rows.drop_duplicates("level")
            if (
                "n_patients" in rows
                and (levels["n"].astype(float) - levels["n_patients"].astype(float)).isin(FEW).any()
            ):
                yield f"{name}: {attribute}, few episodes are further ones of a patient"
            for column, total in (("n", n), ("n_events", n_events)):
                told = levels[column].dropna().astype(float)
                if len(told) < len(levels) and is_found({int(total - told.sum())}):
                    yield f"{name}: {attribute}, hidden {column} sum to {int(total - told.sum())}"
            both = levels.dropna(subset=["n", "n_events"]).astype({"n": float, "n_events": float})
            if ((both["n"] - both["n_events"]).isin(FEW)).any():
                yield f"{name}: {attribute}, those without the outcome"
            hidden = levels[levels["n_events"].isna() & levels["n"].notna()]
            others = n_events - levels["n_events"].dropna().astype(float).sum()
            for level in hidden["level"]:
                auroc = rows[(rows["level"] == level) & (rows["metric"] == "auroc")].iloc[0]
                if str(auroc["estimate"]) == "nan":
                    continue
                found = list(solve_auroc(str(auroc["estimate"]), int(float(auroc["n"])), int(others)))
                if is_found(found) or (len(hidden) == 1 and is_found(int(others - k) for k in found)):
                    yield f"{name}: {attribute} {level}, events {found} from its AUROC"
                if len(levels) == len(hidden) + 1 and len(set(found)) == 1:
                    yield f"{name}: {attribute} {level}, events {found[0]} from its AUROC"


def solve_auroc(printed: str, n: int, most: int) -> Iterator[int]:
    """Give the numbers of events, up to the most that are left, for which an area is a whole number of half pairs."""
    for events in range(1, min(n - 1, most) + 1):
        pairs = 2.0 * events * (n - events)
        reach = read_decimals(printed) if len(printed) < 12 else 1e-12
        nearest = round(float(printed) * pairs)
        if abs(nearest / pairs - float(printed)) <= reach:
            yield events


def attack_calibration(curve: pd.DataFrame) -> Iterator[str]:
    """Multiply the share of each group with its size."""
    for row in curve.to_dict("records"):
        n = int(float(row["n"]))
        counts = solve_share(row["observed"], n)
        for kind, found in (("with", counts), ("without", [n - k for k in counts])):
            if is_found(found):
                yield f"calibration_curve: group {row['bin']}, {sorted(found)} {kind} the outcome"


def attack_decisions(curve: pd.DataFrame, n: int, n_events: int) -> Iterator[str]:
    """Solve net benefits for those treated rightly and in vain, at each threshold and between two."""
    rows = curve[(curve["metric"] == "net_benefit") & (curve["strategy"] == "model")].dropna(subset="estimate")
    solved = {}
    for row in rows.to_dict("records"):
        threshold, printed = float(row["threshold"]), str(row["estimate"])
        odds, reach = threshold / (1 - threshold), max(read_decimals(printed), 1e-9)
        pairs = product(range(n_events + 1), range(n - n_events + 1))
        near = {(t, f) for t, f in pairs if abs(t / n - odds * f / n - float(printed)) <= reach}
        solved[threshold] = near
        cells = {
            "treated rightly": {t for t, _ in near},
            "treated in vain": {f for _, f in near},
            "missed": {n_events - t for t, _ in near},
            "spared": {n - n_events - f for _, f in near},
        }
        yield from (f"decision_curve: {name} at {threshold}" for name, found in cells.items() if is_found(found))
    for (low, more), (high, less) in pairwise(solved.items()):
        steps = [(a - c, b - d) for (a, b), (c, d) in product(more, less) if a >= c and b >= d]
        if is_found(t for t, _ in steps) or is_found(f for _, f in steps):
            yield f"decision_curve: between {low} and {high}"


def attack_characteristics(
    table: pd.DataFrame, n_described: set[int], run: Mapping[str, pd.DataFrame]
) -> Iterator[str]:
    """Multiply shares with who was asked, and take those with an answer off."""
    answered = run["subgroups"].drop_duplicates(["attribute", "level"]) if "subgroups" in run else pd.DataFrame()
    for row in table.dropna(subset="share").to_dict("records"):
        counts = {k for n in n_described for k in solve_share(str(row["share"]), n)}
        if is_found(counts):
            yield f"characteristics: {row['variable']} {row['level']} {sorted(counts)}"
        same = answered[(answered["attribute"] == row["variable"]) & (answered["level"] == row["level"])]
        if len(same) and str(same["n"].iloc[0]) != "nan":
            lost = {k - int(float(same["n"].iloc[0])) for k in counts}
            if is_found(lost | ({0} if min(lost) < 0 else set())):
                yield f"characteristics: {row['variable']} {row['level']}, lost {sorted(lost)}"


VISITS = (0.0, 1.0, 3.0, 6.0, 12.0, 24.0, 60.0)


def attack_course(course: pd.DataFrame) -> Iterator[str]:
    """Solve a survival curve for those who lost relief between two months that are told.

    Relief is seen at visits: the fall of the curve times those at risk at its end is how many lost it there, and those
    at risk at the one month without those at risk at the next are who lost it or left.
    """
    start = pd.DataFrame({"survival": ["1.0"], "at_risk": ["nan"], "month": ["0"]})
    rows = pd.concat([start, course[["month", "survival", "at_risk"]]]).to_dict("records")
    neighbours = set(pairwise(VISITS))
    for before, after in pairwise(rows):
        # Over a visit that is not told the fall has more than one solution.
        if (float(before["month"]), float(after["month"])) not in neighbours:
            continue
        high, low = (float(row["survival"]) for row in (before, after))
        reach = 1e-4  # four digits, of which those that are 0 at the end are not printed
        lost = set()
        for at_risk in read_count(f"about {after['at_risk']}"):
            for k in range(at_risk + 1):
                if abs((1 - k / max(at_risk, 1)) * high - low) <= reach:
                    lost.add(k)
        if is_found(lost):
            yield f"course: {sorted(lost)} lost relief from month {before['month']} to {after['month']}"
        risk = [read_count(f"about {row['at_risk']}") for row in (before, after)]
        if all(risk) and str(before["at_risk"]) != "nan" and is_found({a - b for a, b in product(*risk)}):
            yield f"course: few lost relief or left from month {before['month']}"


def attack_course_flow(flow: pd.DataFrame, params: Mapping[str, str]) -> Iterator[str]:
    """Take the steps of a course from each other, two and three at a time."""
    steps = flow.set_index("step")["n"].dropna()
    named = {str(step): int(float(n)) for step, n in steps.items() if not str(step).startswith(("not asked", "lost: "))}
    named |= {name: int(params[name]) for name in ("n_training", "n_events") if params.get(name, "").isdigit()}
    for (one, more), (other, less) in permutations(named.items(), 2):
        if more - less in FEW:
            yield f"flow: {one} less {other}"
        for third, least in named.items():
            if least not in (more, less) and abs(more - less - least) in FEW:
                yield f"flow: {one} less {other} and {third}"


TEXT = re.compile(
    r"\b([1-4]) (?:real )?(?:patients?|episodes?|(?:of \d+ )?were lost|died|because|(?:with|without) (?:and|the))\b"
)


def attack_text(texts: Mapping[str, str]) -> Iterator[str]:
    """Read sentences that count few patients; "fewer than 5 patients" counts nobody."""
    for name, text in texts.items():
        yield from (f"{name}: {found.group(0)}" for found in TEXT.finditer(text))


def attack_methods(run: Mapping[str, pd.DataFrame]) -> Iterator[str]:
    """Take the patients that a method counts from the episodes beside it."""
    for name, table in run.items():
        if not {"n", "method"} <= set(table):
            continue
        for n, method in table[["n", "method"]].dropna().itertuples(index=False):
            for about, told in re.findall(r"(\babout )?(?<!than )\b(\d+) patients\b", str(method)):
                few = {int(float(n)) - k for k in read_count(about + told)}
                if is_found(few | ({0} if min(few) < 0 else set())):
                    yield f"{name}: {method} beside n {n}"
            for moved in re.findall(r"\b(\d+) of \d+ probabilities", str(method)):
                if int(moved) in FEW:
                    yield f"{name}: {method}"


def find_leaks(run: Mapping[str, pd.DataFrame], params: Mapping[str, str], texts: Mapping[str, str]) -> list[str]:
    """Attack all that a run left together; tables hold text as it was printed."""
    (n,), events = read_count(params["n_training"]), read_count(params.get("n_events", ""))
    found = [*attack_counts(run, params), *attack_text(texts)]
    found += attack_methods(run)
    if "course" in run:
        found += [*attack_course(run["course"]), *attack_course_flow(run["flow"], params)]
    if "calibration_curve" in run:
        found += attack_calibration(run["calibration_curve"])
    if events:
        (n_events,) = events
        found += attack_groups(run, n, n_events)
        if "decision_curve" in run:
            found += attack_decisions(run["decision_curve"], n, n_events)
    if "characteristics" in run:
        found += attack_characteristics(run["characteristics"], {n}, run)
    return found
