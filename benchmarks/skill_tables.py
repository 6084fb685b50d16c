"""Tables of what the models reached, and which bars were met."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from skill_peers import ALONE, OURS, PEERS, POOLED

LEAK_STANDARD_ERRORS = 3.0
RARE_BELOW = 500


def summarize(rows: pd.DataFrame, world: str, size: str) -> pd.DataFrame:
    """Give one row per model: means over techniques and seeds, with the spread of the mean over seeds (SD)."""
    chosen = rows[(rows["world"] == world) & (rows["size"] == size)]
    table = []
    for peer, own in chosen.groupby("peer", sort=False):
        by_seed = own.groupby("seed")[["regret", "mae"]].mean()
        table.append(
            {
                "model": peer,
                "what": PEERS[str(peer)].told if peer in PEERS else "",
                "fits": len(own),
                "failed": int(own["error"].notna().sum()),
                "regret x 1000": _spread(1000 * by_seed["regret"], 2),
                "MAE": _spread(by_seed["mae"], 4),
                "slope, 10th-90th": _range(own["slope"]),
                "O/E, 10th-90th": _range(own["oe"]),
                "O/E seen": _range(own["oe_seen"]),
                "AUROC gap": _number(own["auroc_gap"].mean()),
                "coverage": _number(own["coverage"].mean()),
                "seconds": _number(own["seconds"].mean(), 2),
                "of processor": _number(own["processor_seconds"].mean(), 2),
                "_order": by_seed["regret"].mean(),
            }
        )
    frame = pd.DataFrame(table).sort_values("_order") if table else pd.DataFrame()
    return frame.drop(columns="_order", errors="ignore")


def compare_techniques(rows: pd.DataFrame, world: str, size: str) -> pd.DataFrame:
    """Give the mean regret x 1000 of each technique (rows) and model (columns)."""
    chosen = rows[(rows["world"] == world) & (rows["size"] == size)]
    table = 1000 * chosen.pivot_table(index="technique", columns="peer", values="regret", aggfunc="mean", sort=False)
    return table.round(2).reset_index()


def describe_coverage(rows: pd.DataFrame) -> pd.DataFrame:
    """Give how often our interval holds the truth, by tenth of the predicted probability."""
    tenths = {f"coverage_{tenth}": str(tenth) for tenth in range(1, 11)}
    ours = rows[(rows["peer"] == OURS) & rows["coverage"].notna()]
    table = ours.groupby(["world", "size"], sort=False)[["coverage", "width", *tenths]].mean()
    return table.rename(columns=tenths).reset_index()


def judge(rows: pd.DataFrame) -> pd.DataFrame:
    """Hold what was measured against the bars; a bar that nothing was measured for is left out."""
    found = [
        one
        for (world, size), own in rows.groupby(["world", "size"], sort=False)
        for one in _judge_setting(own, str(world), str(size))
    ]
    worst = rows["leak_z"].max()
    if np.isfinite(worst):
        found.append(
            _verdict("all", "all", "AUROC above that of the truth, largest z", worst, "<=", LEAK_STANDARD_ERRORS)
        )
    return pd.DataFrame(found)


def _judge_setting(rows: pd.DataFrame, world: str, size: str) -> Iterator[dict[str, object]]:
    regret, mae, seconds = (compare_with_ours(rows, name) for name in ("regret", "mae", "seconds"))
    if regret.empty:
        return
    peers = regret.index.drop([ALONE, POOLED], errors="ignore")
    rare = int(size.partition("/")[0]) < RARE_BELOW
    bars = [(list(peers), "", 1.0 if world == "foreign" else 0.65 if rare else 0.85)]
    for names, kind, bar in bars:
        if names:
            best = regret[names].idxmax()
            yield _verdict(world, size, f"regret over that of the best peer{kind} ({best})", regret[best], "<=", bar)
    if len(peers):
        nearest = mae[peers].idxmax()
        claim = f"mean absolute difference over that of the best peer ({nearest})"
        yield _verdict(world, size, claim, mae[nearest], "<=", 1.0)
    if not rare:
        yield from _judge_calibration(rows[rows["peer"] == OURS], world, size)
    if ALONE in regret and POOLED in regret:
        excess, error = compare_with_alone(rows)
        yield _verdict(
            world, size, f"regret added by borrowing, in SE, worst technique ({error.idxmax()})", error.max(), "<=", 1.0
        )
        yield _verdict(
            world, size, "regret x 1000 added by borrowing, mean of techniques", 1000 * excess.mean(), "<=", 0.0
        )
    if "flaml" in regret:
        yield _verdict(world, size, "regret over that of FLAML", regret["flaml"], "<=", 1.0)
        yield _verdict(world, size, "time over that of FLAML", seconds["flaml"], "<=", 0.2)


def compare_with_ours(rows: pd.DataFrame, measure: str) -> pd.Series:
    """Divide our mean by that of each peer, over the techniques and seeds that both have."""
    table = rows.pivot_table(index=["technique", "seed"], columns="peer", values=measure)
    if OURS not in table:
        return pd.Series(dtype=float)
    ratios = {}
    for peer in table.columns.drop(OURS):
        both = table[[OURS, peer]].dropna()
        if len(both):
            ratios[str(peer)] = float(both[OURS].mean() / both[peer].mean())
    return pd.Series(ratios, dtype=float)


def compare_with_alone(rows: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Give by technique the mean regret that borrowing adds, and the same in standard errors over seeds."""
    table = rows.pivot_table(index=["technique", "seed"], columns="peer", values="regret")
    by_technique = (table[POOLED] - table[ALONE]).groupby("technique")
    mean = by_technique.mean()
    return mean, mean / by_technique.sem()


def _judge_calibration(ours: pd.DataFrame, world: str, size: str) -> Iterator[dict[str, object]]:
    for name, column, low, high in (
        ("slope", "slope", 0.90, 1.10),
        ("O/E", "oe", 0.97, 1.03),
        ("O/E among those not lost", "oe_seen", 0.97, 1.03),
    ):
        held = ours[column].between(low, high).groupby(ours["technique"]).mean()
        yield _verdict(
            world,
            size,
            f"share of runs with {name} in {low:.2f}-{high:.2f}, all techniques",
            float(ours[column].between(low, high).mean()),
            ">=",
            0.9,
        )
        yield _verdict(world, size, f"the same, worst technique ({held.idxmin()})", float(held.min()), ">=", 0.9)
    gap = ours.groupby("technique")["auroc_gap"].mean()
    yield _verdict(world, size, f"AUROC below the bound, worst technique ({gap.idxmax()})", gap.max(), "<=", 0.03)
    coverage = ours["coverage"].mean()
    if np.isfinite(coverage):
        yield _verdict(world, size, "coverage of the 90 % interval, at least", coverage, ">=", 0.85)
        yield _verdict(world, size, "coverage of the 90 % interval, at most", coverage, "<=", 0.95)


def _verdict(world: str, size: str, claim: str, measured: float, sense: str, bar: float) -> dict[str, object]:
    held = measured <= bar if sense == "<=" else measured >= bar
    return {
        "world": world,
        "n": size,
        "claim": claim,
        "measured": float(measured),
        "bar": f"{sense} {bar:g}",
        "verdict": "ok" if held else f"missed by {abs(measured - bar):.3f}",
    }


def list_failures(rows: pd.DataFrame) -> Sequence[str]:
    """List what could not be fitted, with the reason."""
    failed = rows[rows["error"].notna()]
    return [f"{row.peer}, {row.technique}, n = {row.size}, seed {row.seed}: {row.error}" for row in failed.itertuples()]


def _spread(values: pd.Series, digits: int) -> str:
    if len(values) < 2:
        return f"{values.mean():.{digits}f}"
    return f"{values.mean():.{digits}f} ± {values.std():.{digits}f}"


def _range(values: pd.Series) -> str:
    low, high = values.quantile([0.1, 0.9])
    return f"{low:.2f}-{high:.2f}" if np.isfinite(low) else ""


def _number(value: float, digits: int = 3) -> str:
    return f"{value:.{digits}f}" if np.isfinite(value) else ""
