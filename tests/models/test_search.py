"""The search for trees: seeded, resumable from its file, and given up early where it is clearly worse."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from paincast.models.binary import selection as module
from paincast.models.binary.kinds import KINDS
from paincast.models.binary.search import search_parameters
from paincast.models.binary.selection import Sample, select_candidate
from paincast.settings import ModelSettings

N_FOLDS, N_ROWS, TREES = 3, 40, 50


class Scores:
    """A loss that is lowest for shallow trees and a slow rate, and a note of every fold that was asked."""

    def __init__(self, added: float = 0.0) -> None:
        self.asked: list[tuple[dict, int, int]] = []
        self.added = added

    def __call__(self, parameters, number, seed):
        self.asked.append((parameters, number, seed))
        level = 0.5 + 0.1 * parameters["max_depth"] + parameters["learning_rate"] + self.added
        return level + np.random.default_rng(number).normal(0, 0.05, N_ROWS), TREES + number


@pytest.fixture
def folds():
    return [(np.ones(N_ROWS), None) for _ in range(N_FOLDS)]


def search(scores, folds, *, seed: int = 1, **settings):
    return search_parameters(
        scores, folds, ModelSettings(**settings), np.random.default_rng(seed), kind=KINDS["xgboost"]
    )


def test_a_seed_fixes_every_trial(folds):
    first, second, other = Scores(), Scores(), Scores()
    found = search(first, folds, trials=8)
    assert search(second, folds, trials=8) == found
    assert first.asked == second.asked
    search(other, folds, seed=2, trials=8)
    assert [one for one, *_ in other.asked] != [one for one, *_ in first.asked]


def test_the_given_parameters_come_first_and_the_best_is_found(folds):
    scores, settings = Scores(), ModelSettings()
    found = search(scores, folds, trials=20)
    given = [one for one, number, _ in scores.asked if number == 0][:4]
    assert given == [{**one, "constrained": flag} for one in settings.boosting for flag in (True, False)]
    tried = [parameters for parameters, number, _ in scores.asked if number == N_FOLDS - 1]
    best = min(tried, key=lambda one: 0.1 * one["max_depth"] + one["learning_rate"])
    assert found == {**best, "n_estimators": TREES + 1}
    assert found["max_depth"] < settings.boosting[0]["max_depth"]


def test_the_given_number_of_trees_is_the_most_that_a_trial_may_take(folds):
    scores = Scores()
    given = [{**ModelSettings().boosting[0], "n_estimators": most} for most in (30, 70)]
    search(scores, folds, trials=6, boosting=given)
    assert {parameters["n_estimators"] for parameters, *_ in scores.asked} == {70}


@pytest.mark.parametrize(("to_beat", "smaller_class", "trials"), [(5.0, 20_000, 8), (5.0, 10, 4), (0.3, 20_000, 4)])
def test_more_trials_are_spent_with_many_patients_where_trees_help(to_beat, smaller_class, trials):
    known = [(np.ones(N_ROWS), np.full(N_ROWS, to_beat)) for _ in range(N_FOLDS)]
    scores, settings = Scores(), ModelSettings(trials=4)
    rng = np.random.default_rng(1)
    search_parameters(scores, known, settings, rng, kind=KINDS["xgboost"], smaller_class=smaller_class)
    assert sum(number == 0 for _, number, _ in scores.asked) == trials


@pytest.mark.slow
def test_a_search_goes_on_where_its_file_ends(folds, tmp_path):
    stored = {"search_storage": str(tmp_path / "search.db")}
    first, again, longer, fresh = (Scores() for _ in range(4))
    found = search(first, folds, trials=5, **stored)
    assert (tmp_path / "search.db").is_file()
    assert search(again, folds, trials=5, **stored) == found
    assert again.asked == []
    search(longer, folds, trials=7, **stored)
    assert sum(number == 0 for _, number, _ in longer.asked) == 2
    search(fresh, folds, trials=5, seed=9, **stored)
    assert sum(number == 0 for _, number, _ in fresh.asked) == 5


@pytest.mark.slow
def test_a_file_of_other_rows_is_not_gone_on_from(folds, tmp_path):
    settings = ModelSettings(trials=3, search_storage=str(tmp_path / "search.db"))
    for asked_of, known, trials in ((b"a", folds, 3), (b"a", folds, 0), (b"b", folds, 3), (b"a", folds[:2], 3)):
        scores = Scores()
        search_parameters(scores, known, settings, np.random.default_rng(1), kind=KINDS["xgboost"], asked_of=asked_of)
        assert sum(number == 0 for _, number, _ in scores.asked) == trials


def test_a_trial_is_given_up_after_one_fold_where_it_is_clearly_worse():
    known = [(np.ones(N_ROWS), np.full(N_ROWS, 0.3)) for _ in range(N_FOLDS)]
    scores = Scores(added=1.0)
    assert search(scores, known, trials=6) is None
    assert [number for _, number, _ in scores.asked] == [0] * 6


def test_a_trial_that_is_no_worse_than_known_goes_through_all_folds():
    known = [(np.ones(N_ROWS), np.full(N_ROWS, 5.0)) for _ in range(N_FOLDS)]
    scores = Scores()
    assert search(scores, known, trials=1) is not None
    assert [number for _, number, _ in scores.asked] == [0, 1, 2]


def test_weights_decide_what_is_clearly_worse():
    light = np.where(np.arange(N_ROWS) < 20, 1.0, 0.0)
    beaten = np.where(light > 0, 5.0, 0.0)
    scores = Scores()
    assert search(scores, [(light, beaten)] * N_FOLDS, trials=1) is not None
    assert search(scores, [(1.0 - light, beaten)] * N_FOLDS, trials=1) is None


def test_medians_of_earlier_trials_prune(folds):
    scores = Scores()
    search(scores, folds, trials=20)
    started = sum(number == 0 for _, number, _ in scores.asked)
    ended = sum(number == N_FOLDS - 1 for _, number, _ in scores.asked)
    assert started == 20
    assert ended < started


@pytest.mark.slow
def test_a_choice_resumes_its_search(make_episodes, tmp_path, monkeypatch):
    episodes, outcome, _ = make_episodes(300)
    sample = Sample(episodes=episodes, outcome=outcome, weights=np.ones(300))
    settings = ModelSettings(
        candidates=["xgboost"], trials=3, selection_folds=3, search_storage=str(tmp_path / "search.db")
    )
    first = select_candidate(sample, settings, np.random.default_rng(0))
    fits = []
    fit = module.fit_candidate
    monkeypatch.setattr(module, "fit_candidate", lambda *args, **more: fits.append(1) or fit(*args, **more))
    again = select_candidate(sample, settings, np.random.default_rng(0))
    assert again.chosen == first.chosen
    np.testing.assert_array_equal(again.linear_predictor, first.linear_predictor)
    assert len(fits) == 3
    select_candidate(replace(sample, outcome=1.0 - outcome), settings, np.random.default_rng(0))
    assert len(fits) > 3 + 3
