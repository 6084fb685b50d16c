"""Comparisons of techniques on cohorts whose truth is known: tables in Markdown, one for each claim.

python benchmarks/effects.py average --seeds 200 --results rows.csv       goes on where it was stopped
python benchmarks/effects.py                                              every claim, few seeds
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")

import effects_average
import effects_individual
import effects_published
import effects_refusal
import pandas as pd
from simulator_cost import describe_machine
from simulator_sample import as_markdown


class Claim(NamedTuple):
    """What is measured with one seed, rows of a table, and what summarises the rows of all seeds."""

    measure: Callable[[int], Iterator[dict[str, Any]]]
    summarize: Callable[[pd.DataFrame], pd.DataFrame]


CLAIMS: dict[str, Claim] = {
    **{name: Claim(measure, effects_average.summarize) for name, measure in effects_average.CLAIMS.items()},
    **{name: Claim(measure, effects_refusal.summarize) for name, measure in effects_refusal.CLAIMS.items()},
    **{name: Claim(measure, effects_individual.summarize) for name, measure in effects_individual.CLAIMS.items()},
    **{name: Claim(measure, effects_published.summarize) for name, measure in effects_published.CLAIMS.items()},
}


def run(name: str, seeds: Sequence[int], results: Path | None) -> pd.DataFrame:
    """Measure a claim with each seed that is not among the results yet, and keep the rows."""
    rows = pd.read_csv(results, keep_default_na=True) if results and results.is_file() else pd.DataFrame()
    done = set(rows["seed"]) if len(rows) else set()
    for seed in seeds:
        if seed not in done:
            rows = pd.concat([rows, pd.DataFrame(list(CLAIMS[name].measure(seed)))], ignore_index=True)
            if results:
                rows.to_csv(results, index=False)
    return rows


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("claims", nargs="*", choices=[[], *CLAIMS], help="by default all")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--results", type=Path, help="rows of a single claim are kept here, and not measured again")
    asked = parser.parse_args(words)
    names = asked.claims or list(CLAIMS)
    if asked.results and len(names) > 1:
        parser.error("--results keeps the rows of a single claim")
    print(f"Measured on {describe_machine()}")
    for name in names:
        rows = run(name, range(asked.first, asked.first + asked.seeds), asked.results)
        title = (CLAIMS[name].measure.__doc__ or "").partition("\n")[0]
        print(f"\n### {name}\n\n{title}\n\n{as_markdown(CLAIMS[name].summarize(rows))}\n", flush=True)


if __name__ == "__main__":
    main()
