"""Do the answers of a model of published evidence say what is known: coverage, width, and real patients.

python benchmarks/honesty.py coverage             90 % intervals over fresh draws of the evidence, no patient seen
python benchmarks/honesty.py patients             the same after 30 to 2,000 patients were seen
python benchmarks/honesty.py durations            both for durations and changes of pain
python benchmarks/honesty.py foreign              the same where the evidence is partly wrong, after 2,000 patients
python benchmarks/honesty.py pooling              the same of partial pooling, the model of techniques without a prior
python benchmarks/honesty.py width                width at 1,500 and at 15,000 simulated patients
python benchmarks/honesty.py pragmatic            do intervals of one scenario hold the predictions of another
python benchmarks/honesty.py real FOLDER          log loss on the published sets; FOLDER holds a folder for each
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from honesty_cases import FRESH_SEED, PATIENT_SEED, PRIOR_SEED, list_cases
from honesty_coverage import run_coverage, run_patients
from honesty_durations import SIZES, run_durations
from honesty_real import run_real
from honesty_served import run_foreign, run_pooling, run_pragmatic, run_width

from paincast.evidence import simulated_techniques
from paincast.simulator.evidence_draws import list_drawn_outcomes

PARTS = ("coverage", "patients", "durations", "foreign", "pooling", "width", "pragmatic", "real")

DRAWS = {"coverage": 200, "patients": 3, "durations": 8, "foreign": 1, "pooling": 1}
"""Fresh draws of a technique and an outcome; in the foreign world, cohorts of a technique."""


def read_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "part", choices=("coverage", "patients", "durations", "foreign", "pooling", "width", "pragmatic", "real")
    )
    parser.add_argument("folder", nargs="?", type=Path, help="of the published sets")
    parser.add_argument("--draws", type=int, help=f"fresh draws of each case, or foreign cohorts (default {DRAWS})")
    parser.add_argument("--repeats", type=int, default=20, help="of five-fold cross-validation")
    parser.add_argument("--techniques", nargs="+", choices=simulated_techniques(), default=list(simulated_techniques()))
    parser.add_argument("--outcomes", nargs="+", choices=list_drawn_outcomes(), default=list(list_drawn_outcomes()))
    parser.add_argument("--sizes", nargs="+", type=int, default=list(SIZES), help="patients seen, of durations")
    parser.add_argument("--jobs", type=int, default=2)
    asked = parser.parse_args(words)
    if asked.part == "real" and asked.folder is None:
        parser.error("real needs the folder of the published sets")
    asked.draws = asked.draws or DRAWS.get(asked.part, 0)
    return asked


def main(words: Sequence[str] | None = None) -> None:
    asked = read_arguments(words)
    print(f"Seeds: prior {PRIOR_SEED}, fresh draws {FRESH_SEED}, other patients {PATIENT_SEED}.")
    if asked.part == "coverage":
        run_coverage(list_cases(asked.techniques, asked.outcomes), asked.draws, asked.jobs)
    elif asked.part == "patients":
        run_patients(list_cases(asked.techniques, asked.outcomes), asked.draws, asked.jobs)
    elif asked.part == "durations":
        run_durations(asked.techniques, asked.draws, asked.sizes, asked.jobs)
    elif asked.part == "foreign":
        run_foreign(asked.techniques, asked.draws, asked.jobs)
    elif asked.part == "pooling":
        run_pooling(asked.techniques, asked.draws, asked.jobs)
    elif asked.part == "width":
        run_width(asked.techniques)
    elif asked.part == "pragmatic":
        run_pragmatic(list_cases(asked.techniques, asked.outcomes), asked.jobs)
    else:
        run_real(asked.folder, asked.repeats, asked.jobs)


if __name__ == "__main__":
    main()
