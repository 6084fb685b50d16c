"""A bundle changed in any place is refused in words, even with its hash made anew, or is a model that answers."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from paincast.errors import DataError
from paincast.evidence.rules import collect_rules
from paincast.features import EpisodeEncoder
from paincast.files.serialization import PlainTable
from paincast.models.binary.response import fit_response_model
from paincast.models.continuous.change import fit_change_model
from paincast.models.continuous.response import make_change_response
from paincast.models.serialization import name_files
from paincast.models.survival.duration import DurationModel
from paincast.models.survival.hazard import HazardModel
from paincast.models.survival.response import make_duration_response
from paincast.predictor import LISTS, PREDICTION_COLUMNS, Predictor, load_predictor, save_predictor
from paincast.predictor import add_version as seal
from paincast.predictor.bundle import CHECKSUMS
from paincast.predictor.bundle.content import hash_content
from paincast.predictor.rows import UNCERTAINTY_COLUMNS
from paincast.settings import (
    CalibrationSettings,
    ChangeSettings,
    ModelSettings,
    TrainingSettings,
    UncertaintySettings,
)

from .conftest import calibrate_as_earlier

N = 240
DEEP: list[Any] = []
for _ in range(300):
    DEEP = [DEEP]
DELETED = object()
MUTATIONS = [None, [], {}, "", "1", -1, float("inf"), float("nan"), True, DEEP, 0, 10**30, DELETED]


def fit(kind: str, episodes: pd.DataFrame, outcome: np.ndarray, few: dict[str, object]) -> tuple[Any, str]:
    rng = np.random.default_rng(1)
    if kind == "change":
        settings = ChangeSettings(penalties=[0.01], minimum_episodes=50)
        model = fit_change_model(episodes, rng.normal(-2, 2, N).round(), settings, rng)
        return make_change_response(model, episodes, np.ones(N)), "pain_change"
    if kind == "duration":
        encoder = EpisodeEncoder().fit(episodes)
        n = len(encoder.owners)
        hazards = [
            HazardModel(intercepts=np.array([-1.0, -2.0]), coefficients=rng.normal(0, 0.3, n), first=np.zeros(n))
            for _ in range(3)
        ]
        model = DurationModel(
            encoder=encoder,
            cuts=(3.0, 6.0),
            relief=hazards[0],
            death=hazards[1],
            refits=tuple(hazards),
            selection=PlainTable(),
        )
        return make_duration_response(model, episodes, np.ones(N), 6.0), "relief_duration"
    learner, _, calibration = kind.partition("+")
    settings = TrainingSettings(
        model=ModelSettings(candidates=[learner], **few),
        calibration=CalibrationSettings(method="none" if calibration else "affine"),
        uncertainty=UncertaintySettings(refits=10),
        jobs=1,
    )
    response = fit_response_model(episodes, outcome, settings, rng)
    return (calibrate_as_earlier(response, calibration) if calibration else response), "pain_response"


KINDS = ["logistic", "xgboost", "logistic+venn_abers", "xgboost+isotonic", "change", "duration"]


@pytest.fixture(params=KINDS)
def bundle(request, make_episodes, few_candidates, tmp_path) -> tuple[Path, pd.DataFrame]:
    episodes, observed, _ = make_episodes(N)
    response, outcome = fit(request.param, episodes, observed, few_candidates)
    predictor = Predictor(
        technique="facet_rfa",
        outcome=outcome,
        horizon_months=6.0,
        window_months=(3.0, 9.0),
        measures=("pain_nrs",),
        basis="synthetic",
        n_training=N,
        n_events=None,
        n_real=0,
        level=0.9,
        response=response,
        rules=collect_rules("facet_rfa", outcome),
        sources=("generator",),
        performance=({"metric": "auroc", "estimate": 0.6},),
    )
    return save_predictor(seal(predictor), tmp_path / "bundle"), episodes.head(5)


def test_without_interval_and_reasons_every_kind_answers_the_same(bundle):
    folder, episodes = bundle
    model = load_predictor(folder)
    whole, bare = model.predict(episodes), model.predict(episodes, interval=False, explain=0)
    limits = ["lower", "upper", "expected_lower", "expected_upper", *UNCERTAINTY_COLUMNS]
    assert bare[limits].isna().all(axis=None)
    assert whole[limits].notna().any(axis=None)
    assert all(bare[name].map(len).sum() == 0 for name in LISTS)
    pd.testing.assert_frame_equal(bare.drop(columns=[*limits, *LISTS]), whole.drop(columns=[*limits, *LISTS]))


def list_places(node: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Give every place of a tree; of a list the first and the last."""
    if isinstance(node, dict):
        below = list(node)
    else:
        below = sorted({0, len(node) - 1}) if isinstance(node, list) and node else []
    for name in below:
        yield (*place, name)
        yield from list_places(node[name], (*place, name))


def mutate(state: dict[str, Any], place: tuple[Any, ...], value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(state)
    node = changed
    for name in place[:-1]:
        node = node[name]
    if value is DELETED:
        del node[place[-1]]
    else:
        node[place[-1]] = value
    return changed


def write_with_hash(folder: Path, state: dict[str, Any]) -> None:
    """Write a state as somebody would who knows how the hash is made."""
    state.pop("version", None)
    try:
        names = name_files(state)
    except (KeyError, TypeError, AttributeError):
        names = []
    state["version"] = hash_content(state, [(folder / name).read_bytes() for name in names])
    (folder / "bundle.json").write_text(json.dumps(state))
    (folder / CHECKSUMS).unlink(missing_ok=True)  # as in bundles of earlier versions


@pytest.mark.slow
def test_a_changed_bundle_is_refused_or_answers_even_with_a_hash_made_by_hand(bundle):
    folder, patients = bundle
    state = json.loads((folder / "bundle.json").read_text())
    places = [place for place in list_places(state) if place != ("version",)]
    if (folder / "booster.ubj").exists():
        places = places[::5]  # trees take longer to load, and most places are those of other kinds
    refused = 0
    for number, place in enumerate(places):
        write_with_hash(folder, mutate(state, place, MUTATIONS[(5 * number) % len(MUTATIONS)]))
        try:
            predictor = load_predictor(folder)
        except DataError:
            refused += 1
            continue
        with np.errstate(all="ignore"):
            rows = predictor.predict(patients)
        assert tuple(rows.columns) == PREDICTION_COLUMNS
        assert rows["probability"].dropna().between(0, 1).all(), place
    assert refused > 0.4 * len(places)


IMPOSSIBLE = [
    (("level",), -1),
    (("level",), 1),
    (("basis",), "hospital"),
    (("n_real",), -3),
    (("heterogeneity", "between_sites"), -50.0),
    (("rules", "controls", 0, "probability"), 1.5),
    (("change", "model", "coefficients", 0, 0), 1e308),
]


def test_a_value_that_no_model_can_have_is_refused_even_with_a_hash_made_by_hand(bundle):
    folder, _ = bundle
    state = json.loads((folder / "bundle.json").read_text())
    held = set(list_places(state))
    tried = [(place, value) for place, value in IMPOSSIBLE if place in held]
    assert len(tried) >= 4
    for place, value in tried:
        write_with_hash(folder, mutate(state, place, value))
        with pytest.raises(DataError) as error:
            load_predictor(folder)
        assert error.value.code in ("PC-MODEL-36", "PC-MODEL-39"), place


def test_a_changed_bundle_without_a_new_hash_is_refused(bundle):
    folder, _ = bundle
    (folder / CHECKSUMS).unlink()
    text = (folder / "bundle.json").read_text()
    state = json.loads(text)
    places = list(list_places(state))
    for number, place in enumerate(places[:: max(len(places) // 40, 1)]):
        changed = json.dumps(mutate(state, place, MUTATIONS[number % len(MUTATIONS)]))
        if json.loads(changed) == state:
            continue
        (folder / "bundle.json").write_text(changed)
        with pytest.raises(DataError):
            load_predictor(folder)
    (folder / "bundle.json").write_text(text)
    assert load_predictor(folder).version == state["version"]


def test_damaged_trees_are_refused(bundle):
    folder, _ = bundle
    (folder / CHECKSUMS).unlink()
    for booster in sorted(folder.glob("*.ubj"))[:2]:
        raw = booster.read_bytes()
        for damaged in (b"", raw[:-20], bytes(len(raw)), raw[:100] + b"\xff" * 20 + raw[120:], raw + b"x"):
            booster.write_bytes(damaged)
            with pytest.raises(DataError):
                load_predictor(folder)
        booster.write_bytes(raw)
    assert load_predictor(folder).version


@pytest.mark.slow
def test_a_bundle_as_it_was_saved_is_read(bundle):
    folder, patients = bundle
    rows = load_predictor(folder).predict(patients)
    assert len(rows) == len(patients)
