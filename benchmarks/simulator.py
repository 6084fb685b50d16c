"""Show that the simulator keeps its promises, and what it costs: tables in Markdown, one for each claim.

Run with: python benchmarks/simulator.py [claims|speed|memory|linearity|sdv] [name of a claim ...]

memory and linearity share their runs, of which the largest writes ten million episodes (some gigabytes, removed
afterwards). sdv makes an environment of its own below the system's folder for temporary files.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial

import pandas as pd
from simulator_claims import (
    check_ceilings,
    check_confounding,
    check_effects,
    check_marginals,
    check_outcomes,
    check_truth,
)
from simulator_cost import check_growth, check_speed, describe_machine, summarize_growth
from simulator_rates import check_correlations, check_events, check_independence, check_loss, check_missing
from simulator_sample import as_markdown

CLAIMS: dict[str, Callable[[], pd.DataFrame]] = {
    "marginals": check_marginals,
    "ceilings": check_ceilings,
    "truth": check_truth,
    "outcomes": check_outcomes,
    "effects": check_effects,
    "independence": check_independence,
    "confounding": check_confounding,
    "events": check_events,
    "missing": check_missing,
    "loss": check_loss,
    "correlations": check_correlations,
}


def describe(check: Callable[[], pd.DataFrame]) -> str:
    told = check.func.__doc__ if isinstance(check, partial) else check.__doc__
    return (told or "").partition("\n")[0]


def show(name: str, check: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    """Print a claim's title, its first words, its table and how many of its rows hold."""
    started = time.perf_counter()
    found = check()
    judged = [column for column in found if str(column).startswith("ok")]
    held = found[judged].all(axis=1).sum() if judged else len(found)
    print(f"\n### {name}\n\n{describe(check)}\n\n{as_markdown(found)}\n")
    print(f"{held} of {len(found)} rows hold; {time.perf_counter() - started:.0f} s", flush=True)
    return found


def main(words: list[str]) -> None:
    what = words[0] if words else "claims"
    print(f"Measured on {describe_machine()}")
    if what == "claims":
        for name in words[1:] or CLAIMS:
            show(name, CLAIMS[name])
    elif what in ("speed", "sdv"):
        show("speed", check_speed)
    elif what in ("memory", "linearity"):
        grown = show("growth", check_growth)
        show("memory and cost", partial(summarize_growth, grown))
    else:
        raise SystemExit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
