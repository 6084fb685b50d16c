"""Compare response models, ours and peers', on fresh simulated patients whose true probability is known.

python benchmarks/skill.py --quick                     the evidence world, one seed, few peers: a minute
python benchmarks/skill.py --results rows.csv          all but FLAML and AutoGluon; goes on where it was stopped
python benchmarks/skill.py --results rows.csv --peers ours flaml --n 2000 --seeds 1
python benchmarks/skill.py --n 20000/2000 --peers ours_pooled ours_alone --worlds evidence --seeds 3 --test 50000
                                                       does borrowing harm where data are many?

A file of results does not know of changed models: name another after a change.
--n 150/2000 models one technique of 150 episodes while each of the others has 2,000.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from simulator_cost import describe_machine
from simulator_sample import as_markdown
from skill_peers import check_names, list_usual
from skill_runs import list_tasks, run, share_alone
from skill_tables import (
    LEAK_STANDARD_ERRORS,
    compare_techniques,
    describe_coverage,
    judge,
    list_failures,
    summarize,
)
from skill_worlds import WORLDS

from paincast.evidence import simulated_techniques

QUICK = ("ours", "logistic", "logistic_cv", "hgb", "pooled")


def read_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="evidence world, one seed, few peers, 20,000 tested")
    parser.add_argument("--worlds", nargs="+", choices=WORLDS)
    parser.add_argument("--n", nargs="+", metavar="N", help="2000, or 150/2000: the others hold 2000")
    parser.add_argument("--seeds", type=int, help="how many training cohorts")
    parser.add_argument("--peers", nargs="+")
    parser.add_argument("--techniques", nargs="+", choices=simulated_techniques(), default=list(simulated_techniques()))
    parser.add_argument("--test", type=int, help="test episodes a technique")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--results", type=Path, help="rows are kept here, and not computed again (default: none kept)")
    asked = parser.parse_args(words)
    asked.worlds = asked.worlds or (["evidence"] if asked.quick else list(WORLDS))
    asked.n = asked.n or (["2000", "150"] if asked.quick else ["2000", "150", "150/2000"])
    asked.seeds = asked.seeds or (1 if asked.quick else 5)
    asked.test = asked.test or (20_000 if asked.quick else 200_000)
    asked.peers = check_names(asked.peers or (QUICK if asked.quick else list_usual()))
    return asked


def main(words: Sequence[str] | None = None) -> None:
    asked = read_arguments(words)
    started = time.perf_counter()
    seeds = range(1, asked.seeds + 1)
    tasks = list_tasks(asked.worlds, asked.n, seeds, asked.peers, asked.techniques, asked.test)
    rows = share_alone(run(tasks, asked.results, asked.jobs))
    print(f"Measured on {describe_machine()}; {len(rows)} rows, {time.perf_counter() - started:.0f} s")
    for world in asked.worlds:
        for size in asked.n:
            print(f"\n### {world} world, n = {size} a technique\n\n{as_markdown(summarize(rows, world, size))}")
            print(f"\nMean regret x 1000 by technique\n\n{as_markdown(compare_techniques(rows, world, size))}")
    print(f"\n### Coverage of our 90 % interval, by tenth of the prediction\n\n{as_markdown(describe_coverage(rows))}")
    print(f"\n### Bars\n\n{as_markdown(judge(rows))}\n")
    print("\n".join(f"failed: {failure}" for failure in list_failures(rows)))
    if rows["leak_z"].max() > LEAK_STANDARD_ERRORS:
        raise SystemExit("leak: an AUROC lies above that of the truth by more than 3 standard errors")


if __name__ == "__main__":
    main()
