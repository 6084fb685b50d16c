"""What is served, held against other worlds: effects drawn anew, another scenario, and more simulated patients."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from honesty_cases import SETTINGS, Case, draw_others, make_prior, serve
from honesty_measures import CONFIDENCE, make_rows, score_intervals, summarize
from joblib import Parallel, delayed
from simulator_sample import as_markdown
from skill_worlds import Labelled, Shelf
from threadpoolctl import threadpool_limits
from tqdm import tqdm

import paincast
from paincast.evidence import simulated_techniques
from paincast.models.binary.response import ResponseModel, fit_response_model
from paincast.models.binary.surroundings import make_parts, make_surroundings
from paincast.settings import TrainingSettings

N_FOREIGN = 2_000
N_FOREIGN_TEST = 20_000
FOREIGN_BAR = 0.80

N_ASKED = 1_000
SIZES = (1_500, 15_000)
RATIO_BAR = (0.95, 1.05)
PRAGMATIC_BAR = 0.80
FOREIGN_SEED = 4

AS_SERVED = TrainingSettings(jobs=1)
"""With trees, which are tried by default: this world has products and steps."""

PRIOR, RECORDED, POOLING = "prior", "prior, interval of what is recorded", "partial pooling"


def run_foreign(techniques: Sequence[str], cohorts: int, jobs: int) -> None:
    """Measure intervals in the foreign world after 2,000 episodes were seen."""
    rows = _measure_worlds(measure_foreign, techniques, cohorts, jobs)
    print(as_markdown(summarize(rows, ("model", "technique")).rename(columns={"draws": "cohorts"})), "\n")
    overall = summarize(rows, ("model",)).rename(columns={"draws": "fits"})
    print(as_markdown(overall), "\n")
    coverage = float(overall.loc[overall["model"] == PRIOR, "coverage"].iloc[0])
    print(f"- {PRIOR} {coverage:.3f}: {'holds' if coverage >= FOREIGN_BAR else 'MISSED'} (at least {FOREIGN_BAR})")


def run_pooling(techniques: Sequence[str], cohorts: int, jobs: int) -> None:
    """Measure intervals of partial pooling, the model of techniques without a prior, on the same cohorts."""
    rows = _measure_worlds(measure_pooling, techniques, cohorts, jobs)
    print(as_markdown(summarize(rows, ("model", "technique")).rename(columns={"draws": "cohorts"})), "\n")
    print(as_markdown(summarize(rows, ("model",)).rename(columns={"draws": "fits"})))


def _measure_worlds(
    measure: Callable[[str, int], pd.DataFrame], techniques: Sequence[str], cohorts: int, jobs: int
) -> pd.DataFrame:
    tasks = [(technique, seed) for seed in range(1, cohorts + 1) for technique in techniques]
    made = Parallel(n_jobs=jobs, return_as="generator")(delayed(measure)(*task) for task in tasks)
    rows = pd.concat(tqdm(made, total=len(tasks), desc="foreign", unit="fit"))
    print(f"\n### Foreign world: n = {N_FOREIGN:,}, {cohorts} cohort(s), {N_FOREIGN_TEST:,} others tested\n")
    return rows


def measure_foreign(technique: str, seed: int) -> pd.DataFrame:
    """Update the prior by one cohort of a technique whose effects were drawn anew, and test on others."""
    case, own = Case(technique, "pain_response"), Shelf().load_training("foreign", technique, N_FOREIGN, seed)
    # The cohorts of this world have no sites.
    episodes = own.episodes.assign(site_id=pd.Series(pd.NA, index=own.episodes.index, dtype="string"))
    with threadpool_limits(limits=1):
        prior = make_prior(case)
        return pd.concat(
            _score_foreign(
                serve(
                    prior,
                    episodes,
                    own.outcome,
                    case.make_stream(FOREIGN_SEED, seed),
                    individual=name == PRIOR,
                    settings=AS_SERVED,
                ),
                case,
                seed,
                name,
            )
            for name in (PRIOR, RECORDED)
        )


def measure_pooling(technique: str, seed: int) -> pd.DataFrame:
    """Fit the model of techniques without a prior to the same cohort, and test on the same others."""
    case, shelf = Case(technique, "pain_response"), Shelf()
    trained = {name: shelf.load_training("foreign", name, N_FOREIGN, seed) for name in simulated_techniques()}
    with threadpool_limits(limits=1):
        model = pool_techniques(technique, trained, case.make_stream(FOREIGN_SEED, seed))
        return _score_foreign(model, case, seed, POOLING)


def _score_foreign(model: ResponseModel, case: Case, seed: int, name: str) -> pd.DataFrame:
    test = Shelf().load_test("foreign", case.technique, N_FOREIGN_TEST)
    answer = model.answer(test.episodes, CONFIDENCE)
    scores = score_intervals(answer["lower"].to_numpy(float), answer["upper"].to_numpy(float), test.truth[:, None])
    keys = {"technique": case.technique, "outcome": case.outcome, "model": name}
    return make_rows(scores, len(test.truth), **keys).assign(draw=seed)


def pool_techniques(technique: str, trained: dict[str, Labelled], rng: np.random.Generator) -> ResponseModel:
    """Fit the model of techniques without a prior: each is shrunk towards what all share."""
    part_rng, pool_rng, fit_rng = rng.spawn(3)
    parts = make_parts({name: (one.episodes, one.outcome) for name, one in trained.items()}, SETTINGS, part_rng)
    own = trained[technique]
    around = make_surroundings(technique, own.episodes, parts, SETTINGS, pool_rng)
    return fit_response_model(own.episodes, own.outcome, SETTINGS, fit_rng, surroundings=around)


def run_pragmatic(cases: Sequence[Case], jobs: int) -> None:
    """Tell how many intervals of the literature scenario hold the prediction of the pragmatic one."""
    made = Parallel(n_jobs=jobs, return_as="generator")(delayed(measure_pragmatic)(case) for case in cases)
    rows = pd.concat(tqdm(made, total=len(cases), desc="pragmatic", unit="case"))
    print(f"\n### Literature intervals that hold the pragmatic prediction: {N_ASKED:,} patients a case\n")
    for by in ("technique", "outcome"):
        print(as_markdown(rows.groupby(by, sort=False)[["inside", "difference", "width"]].mean().reset_index()), "\n")
    lowest = rows.sort_values("inside").head(3)
    print(as_markdown(lowest[["technique", "outcome", "inside"]]), "\n")
    share = rows["inside"].mean()
    print(f"- all {len(rows)} cases {share:.3f}: {'holds' if share >= PRAGMATIC_BAR else 'MISSED'} ({PRAGMATIC_BAR})")


def measure_pragmatic(case: Case) -> pd.DataFrame:
    """Hold the predictions of one scenario against the intervals of the other, on the same patients."""
    with threadpool_limits(limits=1):
        episodes = draw_others(case, N_ASKED, 2).episodes
        literature, pragmatic = (
            serve(make_prior(case, scenario), None, np.empty(0), case.make_stream(FOREIGN_SEED)).answer(
                episodes, CONFIDENCE
            )
            for scenario in ("literature", "pragmatic")
        )
    scores = score_intervals(
        literature["lower"].to_numpy(float),
        literature["upper"].to_numpy(float),
        pragmatic[["probability"]].to_numpy(float),
    )
    difference = float((pragmatic["probability"] - literature["probability"]).mean())
    return make_rows(scores, len(episodes), technique=case.technique, outcome=case.outcome, difference=difference)


def run_width(techniques: Sequence[str]) -> None:
    """Train on few and on many simulated patients, as a user does, and compare the intervals of the same patients."""
    table = pd.DataFrame([measure_width(technique) for technique in techniques])
    print(f"\n### Mean width of the 90 % interval of {N_ASKED:,} patients, by simulated patients\n")
    print(as_markdown(table), "\n")
    low, high = RATIO_BAR
    held = bool(table["ratio"].between(low, high).all())
    print(f"- ratio {table['ratio'].min():.3f} to {table['ratio'].max():.3f}: {'holds' if held else 'MISSED'}")


def measure_width(technique: str) -> dict[str, object]:
    """Train twice and predict the same patients."""
    patients = draw_others(Case(technique, "pain_response"), N_ASKED, 2).episodes
    widths = {}
    for size in SIZES:
        with tempfile.TemporaryDirectory(prefix="paincast-benchmark-") as scratch:
            result = paincast.train(
                technique=technique,
                cohort={"episodes_per_technique": size},
                tracking={"enabled": False},
                models_folder=str(Path(scratch) / "models"),
                progress=False,
            )
        model = result.trained[f"{technique}/pain_response"].predictor.response
        answer = model.answer(patients, CONFIDENCE)
        widths[f"{size:,}"] = float((answer["upper"] - answer["lower"]).mean())
    few, many = widths.values()
    return {"technique": technique, **widths, "ratio": many / few}
