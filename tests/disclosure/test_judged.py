"""Models judged on real patients: all that evaluate and compare-runs print and write is attacked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from attack import attack_methods, read_count
from judged import (
    attack_loss,
    attack_ratios,
    attack_reasons,
    attack_shares,
    attack_steps,
    find_external_leaks,
    find_judged_leaks,
)

from paincast.cli.app import run
from paincast.cohort.registry.ingest import ingest
from paincast.cohort.registry.mapping import load_mapping
from paincast.cohort.tables import load_cohort, save_cohort
from paincast.evidence.rules import collect_rules
from paincast.fingerprints import make_fingerprints
from paincast.models.binary.response import fit_response_model
from paincast.outcomes import OUTCOMES, compute_outcome
from paincast.predictor import Predictor, add_version, save_predictor
from paincast.serving import overlap
from paincast.simulator import simulate_cohort

TECHNIQUE = "epidural_steroid_injection"


@pytest.fixture(scope="module")
def model(few_settings):
    """Fit a small model to simulated patients, their outcome drawn from age."""
    rng = np.random.default_rng(3)
    episodes = simulate_cohort(techniques=[TECHNIQUE], episodes_per_technique=200, seed=5)[0].episodes
    settings = few_settings("logistic")
    outcome = (rng.random(len(episodes)) < 0.4).astype(float)
    return add_version(
        Predictor(
            technique=TECHNIQUE,
            outcome="pain_response",
            horizon_months=1.0,
            window_months=(0.5, 2.0),
            measures=("pain_nrs",),
            basis="synthetic",
            n_training=len(episodes),
            n_events=int(outcome.sum()),
            n_real=0,
            level=0.9,
            response=fit_response_model(episodes, outcome, settings, rng),
            rules=collect_rules(TECHNIQUE, "pain_response"),
        )
    )


@pytest.fixture(scope="module")
def caudal(real_data):
    """The published set, and a second episode of some of its patients in other months."""
    return ingest(load_mapping("caudal_esi_2018"), [real_data / "caudal_esi_2018" / "trial44.csv"])[0]


def make_cohort(caudal, *, lost: int, strange: int, stranger: int = 0, twice: int = 0):
    """Let some be lost, others be of an age that the model, or the model of the old only, has not seen."""
    episodes = caudal.episodes.copy()
    gone = set(episodes["episode_id"].iloc[:lost])
    episodes.loc[episodes.index[lost : lost + strange], "indication"] = "sacroiliac_joint"
    episodes.loc[episodes.index[lost + strange : lost + strange + stranger], "indication"] = "spinal_stenosis"
    if twice:
        episodes.loc[episodes.index[-twice:], "patient_id"] = episodes["patient_id"].iloc[-2 * twice : -twice].tolist()
    visits = caudal.visits[~(caudal.visits["episode_id"].isin(gone) & (caudal.visits["month"] > 0))]
    return replace(caudal, episodes=episodes, visits=visits.reset_index(drop=True))


def read_flow(path):
    (row,) = pd.read_csv(path, dtype=str).to_dict("records")
    names = {"episodes": "episodes", "followed_up": "followed up", "abstained": "abstained", "evaluated": "judged"}
    return {name: row[column] for column, name in names.items()}, row


CASES = [
    {"lost": 0, "strange": 0},
    {"lost": 3, "strange": 0, "twice": 2},
    {"lost": 2, "strange": 2},
    {"lost": 0, "strange": 3, "twice": 4},
    {"lost": 12, "strange": 1},
    {"lost": 2, "strange": 15},
    {"lost": 9, "strange": 9, "stranger": 3},
]


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=str)
def test_nothing_that_evaluate_leaves_tells_of_few(model, caudal, tmp_path, monkeypatch, capsys, case):
    monkeypatch.chdir(tmp_path)
    cohort = make_cohort(caudal, **case)
    save_cohort(cohort, "cohort")
    save_predictor(model, "models/one")
    assert run(["evaluate", "models", "cohort", "-o", "report", "--resamples", "50"]) == 0
    tables = (cohort.episodes, cohort.visits, cohort.events)
    happened = compute_outcome(*tables, OUTCOMES["pain_response"], 1.0, model.window_months).value == 1
    n_events = int((happened & ~model.predict_episodes(cohort.episodes)["abstained"].astype(bool)).sum())
    metrics, (told, row) = pd.read_csv("report/metrics.csv", dtype=str), read_flow("report/flow.csv")
    assert find_judged_leaks(metrics, told, ("abstained",), capsys.readouterr().out) == []
    tables = {path.stem: pd.read_csv(path, dtype=str) for path in Path("report/tables").glob("*.csv")}
    tables["calibration"] = pd.read_csv("report/calibration.csv", dtype=str)
    assert find_external_leaks(tables, told, n_events) == []
    assert attack_methods_in_text(Path("report/report.html").read_text(encoding="utf-8"), row["evaluated"]) == []
    assert ("abstentions" in tables) == bool(case["strange"] or case.get("stranger") or told["abstained"] == "nan")
    assert set(metrics["n"]) == {row["evaluated"]}
    digits = metrics["estimate"].dropna().str.replace(r"e.*$|^-?0\.0*|\D", "", regex=True)
    assert (digits.str.len() <= 4).all()
    assert metrics["method"].str.contains("about ").any()


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=str)
def test_nothing_that_compare_runs_leaves_tells_of_few(model, caudal, tmp_path, monkeypatch, capsys, case):
    monkeypatch.chdir(tmp_path)
    save_cohort(make_cohort(caudal, **case), "cohort")
    fewer = replace(model.rules, indications=tuple(one for one in model.rules.indications if one != "spinal_stenosis"))
    save_predictor(model, "one")
    save_predictor(add_version(replace(model, rules=fewer)), "two")
    assert run(["compare-runs", "one", "two", "--cohort", "cohort", "-o", "table.csv", "--resamples", "50"]) == 0
    said = capsys.readouterr().out
    told = {
        name: next(line.split()[-1] for line in said.splitlines() if line.strip().startswith(step))
        for step, name in {
            "episodes": "episodes",
            "followed up": "followed up",
            "champion abstains": "one",
            "candidate abstains": "two",
            "compared": "judged",
        }.items()
    }
    table = pd.read_csv("table.csv", dtype=str)
    assert find_judged_leaks(table, told, ("one", "two"), said) == []
    assert attack_methods_in_text(said, told["judged"]) == []


def attack_methods_in_text(said, n):
    return list(attack_methods({"said": pd.DataFrame({"n": n, "method": said.splitlines()})}))


@pytest.mark.slow
@pytest.mark.parametrize("shared", [2, 40])
def test_an_overlap_is_not_counted_by_what_is_left(model, caudal, tmp_path, monkeypatch, capsys, shared):
    monkeypatch.chdir(tmp_path)
    save_cohort(caudal, "cohort")
    save_predictor(model, "models/one", make_fingerprints(caudal.episodes.head(shared), model.version))
    # Two of whom so little is known would not be told from strangers.
    monkeypatch.setattr(overlap, "find_trained_on", lambda _, episodes: np.arange(len(episodes)) < shared)
    assert run(["evaluate", "models", "cohort", "-o", "report", "--resamples", "50"]) == 2
    refused = capsys.readouterr().err
    assert run(["evaluate", "models", "cohort", "-o", "report", "--resamples", "50", "--exclude-overlap"]) == 0
    told, row = read_flow("report/flow.csv")
    n = len(load_cohort("cohort").episodes)
    assert str(n) not in refused
    assert str(n) not in row["trained_on"]
    assert ("fewer than 5 of" in row["trained_on"]) == (shared < 5)
    kept = read_count(told["episodes"])
    possible = {whole - left for whole in range(n - 2, n + 3) for left in kept}
    assert not possible <= {1, 2, 3, 4}
    assert shared in possible


def test_few_with_the_outcome_are_not_measured(model, caudal, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    tables = (caudal.episodes, caudal.visits, caudal.events)
    happened = compute_outcome(*tables, OUTCOMES["pain_response"], 1.0, model.window_months).value == 1
    gone = caudal.episodes.loc[happened.fillna(value=False), "episode_id"].iloc[3:]
    visits = caudal.visits[~caudal.visits["episode_id"].isin(gone) | (caudal.visits["month"] == 0)]
    save_cohort(replace(caudal, visits=visits.reset_index(drop=True)), "cohort")
    save_predictor(model, "models/one")
    code = run(["evaluate", "models", "cohort", "-o", "report", "--resamples", "50"])
    told = capsys.readouterr()
    assert (code, "fewer than 5 have the outcome" in told.err) == (2, True)


def test_the_attack_finds_what_was_printed_before():
    told = {"episodes": "111", "followed up": "108", "abstained": "2", "judged": "106"}
    assert list(attack_steps(told, ("abstained",)))
    assert list(attack_steps({**told, "abstained": "nan", "followed up": "nan"}, ("abstained",))) == []
    assert list(attack_steps({**told, "abstained": "nan", "followed up": "nan", "episodes": "109"}, ("abstained",)))
    table = pd.DataFrame({"n": ["211"], "method": ["bootstrap of 209 patients, 500 resamples"]})
    assert list(attack_methods({"metrics": table}))
    told = {"episodes": "127", "followed up": "111", "abstained": "0", "judged": "111"}
    weights = pd.DataFrame({"measure": ["asked", "lost"], "value": ["124.0", "13.0"]})
    assert list(attack_loss(weights, told))
    assert list(attack_loss(weights.assign(value="nan"), told)) == []
    assert list(attack_reasons(pd.DataFrame({"n": ["9", "nan"]}), {"abstained": "12"}))
    sexes = pd.DataFrame({"metric": "o_e_ratio", "attribute": "sex", "level": ["f", "m"], "n": ["60", "51"]})
    calibration = pd.DataFrame({"predicted": ["0.4345", "0.5157"]})
    assert list(attack_ratios(sexes.assign(estimate=["0.36", None]), calibration, 12))
    assert list(attack_ratios(sexes.assign(estimate=None), calibration, 12)) == []
    shares = pd.DataFrame(
        {"metric": ["coverage", "below_interval", "above_interval"], "estimate": ["0.9", "0.04", "0.06"], "n": "50"}
    )
    assert len(list(attack_shares(shares))) == 2
