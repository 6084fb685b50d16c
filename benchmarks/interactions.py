"""Do our models find interactions that linear predictors miss: regret against the truth, beside peers.

python benchmarks/interactions.py --results rows.csv           goes on where it was stopped; three quarters of an hour
python benchmarks/interactions.py --n 1500 --seeds 2 --techniques facet_rfa

``ours`` updates the published evidence, which tells of no interaction, by the patients; ``ours_alone`` has no evidence
and no other technique. Peers ending in ``_signs`` are held to the signs that our trees get where they stand alone.
LightGBM is compared where it can be imported; it is no dependency of this project.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
from interaction_worlds import WORLDS, draw_interactions, draw_interactions_test
from scipy.special import expit
from simulator_cost import describe_machine
from simulator_sample import as_markdown
from skill_measures import Prediction, measure
from skill_peers import PEERS, Frames, Outcomes, Predict
from threadpoolctl import threadpool_limits

from paincast.evidence import simulated_techniques
from paincast.settings import TrainingSettings

OWN = ("ours", "ours_alone")
LIGHT = ("lightgbm", "lightgbm_signs")
OTHERS = ("xgboost", "xgboost_signs", "hgb", "hgb_tuned", "hgb_signs", "logistic_cv", "logistic")
KEYS = ["world", "n", "technique", "seed", "model"]


def fit_ours(episodes: Frames, outcomes: Outcomes, technique: str, rng: np.random.Generator) -> tuple[Predict, str]:
    """Update the published evidence by the episodes, as a rehearsal does; the point prediction only."""
    from paincast.evidence.records import primary_horizon
    from paincast.models.prior.gaussian import make_evidence_prior
    from paincast.models.prior.response import fit_with_prior
    from paincast.simulator.evidence_draws import draw_evidence

    prior_rng, fit_rng = rng.spawn(2)
    drawn = draw_evidence(technique, "pain_response", primary_horizon(technique), scenario="literature", rng=prior_rng)
    prior = make_evidence_prior(drawn.episodes, drawn.log_odds)
    own = episodes[technique].assign(site_id=None)
    fit = fit_with_prior(prior, own, outcomes[technique], TrainingSettings(jobs=1), fit_rng)
    chosen = "logistic" if fit.trees is None else "boosted_logistic"
    return lambda asked: Prediction(
        probability=expit(fit.model.linear_predictor(prior.encoder.transform(asked)))
    ), chosen


def fit_ours_alone(
    episodes: Frames, outcomes: Outcomes, technique: str, rng: np.random.Generator
) -> tuple[Predict, str]:
    """Fit as a technique without evidence and without others beside it; the interval is spared."""
    from paincast.models.binary.response import fit_response_model
    from paincast.models.binary.surroundings import make_surroundings
    from paincast.settings import UncertaintySettings

    settings = TrainingSettings(jobs=1, uncertainty=UncertaintySettings(refits=2))
    pool_rng, fit_rng = rng.spawn(2)
    around = make_surroundings(technique, episodes[technique], {}, settings, pool_rng)
    model = fit_response_model(episodes[technique], outcomes[technique], settings, fit_rng, surroundings=around)
    return lambda asked: Prediction(probability=expit(model.linear_predictor(asked))), model.kind


def list_models() -> list[str]:
    """List the models; LightGBM where it is installed."""
    if importlib.util.find_spec("lightgbm") is None:
        print("LightGBM is not installed and is left out.")
        return [*OWN, *OTHERS]
    return [*OWN, *OTHERS, *LIGHT]


def measure_model(name: str, world: str, n: int, technique: str, seed: int, n_test: int) -> dict[str, Any]:
    """Fit one model and hold it against the truth."""
    drawn = draw_interactions(world, technique, n, seed)
    given = {technique: drawn.episodes}, {technique: drawn.outcome}, technique, np.random.default_rng(seed)
    started, chosen = time.process_time(), ""
    with warnings.catch_warnings(), threadpool_limits(limits=1):
        warnings.simplefilter("ignore")
        if name in OWN:
            predict, chosen = (fit_ours if name == "ours" else fit_ours_alone)(*given)
        else:
            predict = PEERS[name].fit(*given)
    seconds = time.process_time() - started
    found = measure(predict(draw_test(world, technique, n_test).episodes), draw_test(world, technique, n_test))
    kept = {column: found[column] for column in ("regret", "slope", "oe", "auroc_gap")}
    return {
        **dict(zip(KEYS, (world, n, technique, seed, name), strict=True)),
        **kept,
        "seconds": seconds,
        "kind": chosen,
    }


def draw_test(world: str, technique: str, n_test: int, kept: dict[Any, Any] = {}) -> Any:  # noqa: B006 (a cache)
    """Draw the test cohort of a world and a technique once."""
    key = world, technique, n_test
    if key not in kept:
        kept[key] = draw_interactions_test(*key)
    return kept[key]


def summarize(rows: pd.DataFrame) -> pd.DataFrame:
    """Give the mean regret x 1000 of each model, and ours over it on the cohorts that both were fitted to."""
    tables = []
    for (world, n), own in rows.groupby(["world", "n"], sort=False):
        regret = own.pivot_table(index=["technique", "seed"], columns="model", values="regret")
        for name, fits in own.groupby("model", sort=False):
            ratios = {f"{one} over it": _divide(regret, one, str(name)) for one in OWN}
            kinds = " ".join(sorted(set(fits["kind"].dropna()))) if name in OWN else ""
            row = {
                "world": world,
                "n": n,
                "model": name,
                "fits": len(fits),
                "regret x 1000": 1000 * regret[name].mean(),
            }
            costs = {"slope": fits["slope"].mean(), "seconds": fits["seconds"].mean(), "chosen": kinds}
            tables.append({**row, **ratios, **costs})
    frame = pd.DataFrame(tables).sort_values(["world", "n", "regret x 1000"])
    return frame.round({"regret x 1000": 2, "slope": 2, "seconds": 1, **{f"{one} over it": 3 for one in OWN}})


def _divide(regret: pd.DataFrame, ours: str, other: str) -> float:
    if ours not in regret or ours == other:
        return np.nan
    both = regret[[ours, other]].dropna()
    return float(both[ours].mean() / both[other].mean())


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", nargs="+", type=int, default=[1500, 8000])
    parser.add_argument("--seeds", type=int, default=3, help="training cohorts of each world and technique")
    parser.add_argument("--worlds", nargs="+", choices=WORLDS, default=list(WORLDS))
    parser.add_argument(
        "--techniques", nargs="+", choices=simulated_techniques(), default=["facet_rfa", "genicular_rfa"]
    )
    parser.add_argument("--models", nargs="+")
    parser.add_argument("--test", type=int, default=50_000, help="test episodes of each world and technique")
    parser.add_argument("--results", type=Path, help="rows are kept here, and not computed again")
    asked = parser.parse_args(words)
    models = asked.models or list_models()
    done = pd.read_csv(asked.results) if asked.results and asked.results.is_file() else pd.DataFrame(columns=KEYS)
    rows = done.to_dict("records")
    ended = {tuple(row[name] for name in KEYS) for row in rows}
    for seed in range(1, asked.seeds + 1):
        for n in asked.n:
            for world in asked.worlds:
                for technique in asked.techniques:
                    for name in models:
                        if (world, n, technique, seed, name) not in ended:
                            rows.append(measure_model(name, world, n, technique, seed, asked.test))
                            if asked.results:
                                pd.DataFrame(rows).to_csv(asked.results, index=False)
    print(f"Measured on {describe_machine()}, {len(rows)} fits, seeds 1 to {asked.seeds}\n")
    print(as_markdown(summarize(pd.DataFrame(rows))))


if __name__ == "__main__":
    main()
