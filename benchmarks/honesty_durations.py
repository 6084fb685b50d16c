"""Coverage of what is served of durations and changes of pain under fresh draws of the evidence."""

from __future__ import annotations

from collections.abc import Sequence
from unittest import mock

import numpy as np
import numpy.typing as npt
import pandas as pd
from honesty_cases import FRESH_SEED, PATIENT_SEED, PRIOR_SEED, SETTINGS, Case, draw_others, make_prior, serve
from honesty_measures import CONFIDENCE, judge, make_rows, score_intervals, summarize
from joblib import Parallel, delayed
from simulator_sample import as_markdown
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from paincast.models.continuous.cumulative import make_cumulative_change
from paincast.models.prior.durations import (
    DurationPrior,
    fit_durations_with_prior,
    make_duration_prior,
    make_prior_duration_response,
)
from paincast.models.survival.hazard import VISIT_MONTHS
from paincast.models.survival.response import DurationResponse
from paincast.simulator import evidence_draws, relief_draws, simulate_cohort
from paincast.simulator.assumptions import Assumptions
from paincast.simulator.evidence_draws import list_months
from paincast.simulator.relief_draws import ReliefDraws, draw_relief

FloatArray = npt.NDArray[np.float64]

SIZES = (0, 100, 300, 2_000)
N_TESTED = 1_000
DURATION, CHANGE = "relief_duration", "pain_change"
CHANGE_LEVEL = 0.8


def list_visits(technique: str) -> tuple[float, ...]:
    first, last = list_months(technique)
    return tuple(month for month in VISIT_MONTHS if first <= month <= last)


def draw_other_relief(case: Case, n: int, draws: int) -> ReliefDraws:
    """Draw the evidence on durations anew, on other patients."""

    def simulate_others(**asked: object) -> object:
        return simulate_cohort(**{**asked, "seed": PATIENT_SEED, "episodes_per_technique": n})  # type: ignore[arg-type]

    simulate = evidence_draws.simulate_reference_patients.__wrapped__
    with mock.patch.object(evidence_draws, "simulate_cohort", simulate_others):
        others = simulate(case.technique, "literature")
    with (
        mock.patch.object(evidence_draws, "simulate_reference_patients", return_value=others),
        mock.patch.object(relief_draws, "simulate_reference_patients", return_value=others),
        mock.patch.object(relief_draws, "PATIENTS", n),
    ):
        return draw_relief(
            case.technique,
            list_visits(case.technique),
            scenario="literature",
            rng=case.make_stream(FRESH_SEED),
            draws=draws,
        )


def measure_durations(technique: str, draws: int, sizes: Sequence[int]) -> pd.DataFrame:
    """Measure the intervals that relief lasts beyond the primary month, before and after patients were seen."""
    case = Case(technique, DURATION)
    with threadpool_limits(limits=1):
        months = list_visits(technique)
        drawn = draw_relief(technique, months, scenario="literature", rng=case.make_stream(PRIOR_SEED))
        prior = make_duration_prior(drawn.episodes, months, drawn.survival)
        others = draw_other_relief(case, N_TESTED + max(sizes), draws)
        place = int(np.searchsorted(months, case.month, side="right")) - 1
        rows = []
        nobody = np.empty(0, dtype=np.intp)
        untaught = _serve(case, prior, others, nobody, 0, case.make_stream(FRESH_SEED))
        for draw, rng in enumerate(case.make_stream(FRESH_SEED, 1).spawn(draws)):
            order = rng.permutation(len(others.episodes))
            tested, updating = order[:N_TESTED], order[N_TESTED:]
            for n in sizes:
                served = _serve(case, prior, others, updating[:n], draw, rng) if n else untaught
                answer = served.answer(others.episodes.iloc[tested], CONFIDENCE)
                limits = answer["lower"].to_numpy(float), answer["upper"].to_numpy(float)
                truth = others.survival[tested, place, draw][:, None]
                keys = {"n": n, "technique": technique, "outcome": DURATION}
                rows.append(make_rows(score_intervals(*limits, truth), len(tested), **keys).assign(draw=draw))
        return pd.concat(rows)


def _serve(
    case: Case,
    prior: DurationPrior,
    others: ReliefDraws,
    seen: npt.NDArray[np.intp],
    draw: int,
    rng: np.random.Generator,
) -> DurationResponse:
    """Make the model that is served after patients were seen who lose relief at the visits as the draw says."""
    lost = rng.random(len(seen))[:, None] >= others.survival[seen, :, draw]
    visits = np.array(prior.months)
    months = np.where(lost.any(axis=1), visits[lost.argmax(axis=1)], visits[-1])
    episodes, settings = others.episodes.iloc[seen], SETTINGS.uncertainty
    status = lost.any(axis=1).astype(float)
    fit = fit_durations_with_prior(prior, episodes, months, status, np.ones(len(seen)), settings, rng.spawn(1)[0])
    return make_prior_duration_response(fit, prior.unexplained, episodes, case.month, settings)


def measure_changes(technique: str, draws: int, sizes: Sequence[int]) -> pd.DataFrame:
    """Measure how many changes of pain lie in their interval, before and after patients were seen."""
    case, course = Case(technique, "pain_response"), Assumptions().courses["pain_relief"]
    with threadpool_limits(limits=1):
        prior = make_prior(case)
        others = draw_others(case, N_TESTED + max(sizes), draws)
        known = np.flatnonzero(others.episodes["pain_nrs"].notna().to_numpy())
        others = others.take(known)
        before = others.episodes["pain_nrs"].to_numpy(float)
        rows = []
        for draw, rng in enumerate(case.make_stream(FRESH_SEED, 2).spawn(draws)):
            log_odds = np.log(others.truth[:, draw] / (1.0 - others.truth[:, draw]))
            margin = log_odds - rng.logistic(size=len(known))
            change = -np.interp(margin, *course) * before
            order = rng.permutation(len(known))
            tested, updating = order[:N_TESTED], order[N_TESTED:]
            for n in sizes:
                seen = updating[:n]
                episodes = others.episodes.iloc[seen]
                model = serve(prior, episodes if n else None, (margin[seen] >= 0.0).astype(float), rng.spawn(1)[0])
                response = make_cumulative_change(
                    model,
                    episodes,
                    change[seen],
                    course=course,
                    level=CHANGE_LEVEL,
                    described=episodes if n else prior.episodes,
                )
                answer = response.answer(others.episodes.iloc[tested], CHANGE_LEVEL)
                low, high = answer["expected_lower"].to_numpy(float), answer["expected_upper"].to_numpy(float)
                keys = {"n": n, "technique": technique, "outcome": CHANGE}
                scores = score_intervals(low, high, change[tested][:, None])
                rows.append(make_rows(scores, len(tested), **keys).assign(draw=draw))
        return pd.concat(rows)


def run_durations(techniques: Sequence[str], draws: int, sizes: Sequence[int], jobs: int) -> pd.DataFrame:
    """Measure durations and changes of all techniques, and print what was found."""
    tasks = [(measure, name) for measure in (measure_durations, measure_changes) for name in techniques]
    made = Parallel(n_jobs=jobs, return_as="generator")(delayed(measure)(name, draws, sizes) for measure, name in tasks)
    rows = pd.concat(tqdm(made, total=len(tasks), desc="durations and changes", unit="case"))
    for outcome, level in ((DURATION, CONFIDENCE), (CHANGE, CHANGE_LEVEL)):
        print(f"\n### {outcome}: {level:.0%} interval, {draws} draws a technique, {N_TESTED:,} others tested\n")
        own = rows[rows["outcome"] == outcome]
        overall, by_technique = (summarize(own, by).sort_values(by[0]) for by in (("n",), ("n", "technique")))
        for table in (overall, by_technique):
            print(as_markdown(table), "\n")
        if outcome == DURATION:
            print("\n".join(judge(overall, (by_technique,))))
    return rows
