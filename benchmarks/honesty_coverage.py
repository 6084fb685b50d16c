"""Coverage of the served intervals under fresh draws of the evidence: without patients, and after some were seen."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from honesty_cases import Case, OtherPatients, count_missing, draw_others, empty_cells, make_prior, serve
from honesty_measures import CONFIDENCE, judge, make_rows, score_intervals, summarize
from joblib import Parallel, delayed
from simulator_sample import as_markdown
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from paincast.models.binary.response import ResponseModel
from paincast.simulator.evidence_draws import REFERENCE_PATIENTS

N_OTHERS = 3_000
"""Patients on whom intervals are tested where nobody updates the prior."""

MANY_MISSING = 6
FEWEST = 200
"""If fewer patients miss that many values, cells of all are emptied at random until they do; if fewer miss none, the
complete records of all are taken."""

SIZES = (30, 100, 300, 1_000, 2_000)
N_TESTED = 1_000
"""Others of the same draw on whom an updated prior is tested."""

SPARE = 1.2

PATIENTS_SEED = 3


def measure_coverage(case: Case, draws: int) -> pd.DataFrame:
    """Measure the intervals of a model that has seen nobody: of all, and of those who miss none or many values."""
    with threadpool_limits(limits=1):
        prior = make_prior(case)
        others = draw_others(case, N_OTHERS, draws)
        model = serve(prior, None, np.empty(0), case.make_stream(PATIENTS_SEED))
        missing = count_missing(prior, others.episodes)
        none = np.flatnonzero(missing == 0)
        many = np.flatnonzero(missing >= MANY_MISSING)
        groups = {"all": others}
        groups["0"] = (
            others.take(none)
            if len(none) >= FEWEST
            else OtherPatients(episodes=others.complete, complete=others.complete, truth=others.truth)
        )
        enough = len(many) >= FEWEST
        rng = case.make_stream(PATIENTS_SEED, MANY_MISSING)
        groups[">5"] = others.take(many) if enough else empty_cells(prior, others, MANY_MISSING, rng)
        return pd.concat(
            [
                make_rows(
                    _score(model, group),
                    len(group.episodes),
                    technique=case.technique,
                    outcome=case.outcome,
                    missing=name,
                ).assign(made=(name == "0" and len(none) < FEWEST) or (name == ">5" and not enough))
                for name, group in groups.items()
            ]
        )


def measure_updated(case: Case, draws: int, sizes: Sequence[int] = SIZES) -> pd.DataFrame:
    """Measure the intervals after some patients of a draw were seen, on other patients of the same draw."""
    with threadpool_limits(limits=1):
        prior = make_prior(case)
        # Of some outcomes few patients are in the denominator: so many more are simulated.
        share = len(prior.episodes) / REFERENCE_PATIENTS
        pool = draw_others(case, math.ceil(SPARE * (max(sizes) + N_TESTED) / share), draws)
        rows = []
        for draw, rng in enumerate(case.make_stream(PATIENTS_SEED).spawn(draws)):
            order = rng.permutation(len(pool.episodes))
            tested, updating = pool.take(order[:N_TESTED]), order[N_TESTED:]
            outcome = (rng.random(len(order)) < pool.truth[:, draw]).astype(float)
            for n, child in zip(sizes, rng.spawn(len(sizes)), strict=True):
                seen = updating[:n]
                assert len(seen) == n
                model = serve(prior, pool.episodes.iloc[seen], outcome[seen], child)
                one = OtherPatients(episodes=tested.episodes, complete=tested.complete, truth=tested.truth[:, [draw]])
                keys = {"n": n, "technique": case.technique, "outcome": case.outcome}
                rows.append(make_rows(_score(model, one), N_TESTED, **keys).assign(draw=draw))
        return pd.concat(rows)


def _score(model: ResponseModel, others: OtherPatients) -> dict[str, np.ndarray]:
    answer = model.answer(others.episodes, CONFIDENCE)
    return score_intervals(answer["lower"].to_numpy(float), answer["upper"].to_numpy(float), others.truth)


def run_coverage(cases: Sequence[Case], draws: int, jobs: int) -> pd.DataFrame:
    """Measure all cases without patients, and print what was found."""
    made = Parallel(n_jobs=jobs, return_as="generator")(delayed(measure_coverage)(case, draws) for case in cases)
    rows = pd.concat(tqdm(made, total=len(cases), desc="coverage", unit="case"))
    everybody = rows[rows["missing"] == "all"]
    print(f"\n### n = 0: {len(cases)} cases, {draws} draws each on {N_OTHERS:,} other patients\n")
    overall, by_technique, by_outcome = (summarize(everybody, by) for by in ((), ("technique",), ("outcome",)))
    for table in (overall, by_technique, by_outcome):
        print(as_markdown(table), "\n")
    print("Worst cases\n")
    by_case = summarize(everybody, ("technique", "outcome")).sort_values("coverage")
    print(as_markdown(pd.concat([by_case.head(3), by_case.tail(3)])), "\n")
    by_missing = rows[rows["missing"] != "all"]
    print(f"By missing values; 'made': fewer than {FEWEST} were so, and cells were filled or emptied\n")
    print(as_markdown(summarize(by_missing, ("missing", "made"))), "\n")
    print(as_markdown(summarize(by_missing, ("missing",))), "\n")
    print("\n".join(judge(overall, (by_technique, by_outcome))))
    return rows


def run_patients(cases: Sequence[Case], draws: int, jobs: int) -> pd.DataFrame:
    """Measure all cases after patients were seen, and print what was found."""
    made = Parallel(n_jobs=jobs, return_as="generator")(delayed(measure_updated)(case, draws) for case in cases)
    rows = pd.concat(tqdm(made, total=len(cases), desc="patients", unit="case"))
    print(f"\n### After patients: {len(cases)} cases, {draws} draws each, {N_TESTED:,} others tested\n")
    overall, by_technique, by_outcome = (
        summarize(rows, by).sort_values(by[0], kind="stable") for by in (("n",), ("n", "technique"), ("n", "outcome"))
    )
    for table in (overall, by_technique, by_outcome):
        print(as_markdown(table), "\n")
    print("\n".join(judge(overall, (by_technique, by_outcome))))
    return rows
