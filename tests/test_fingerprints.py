"""Episodes a model was trained on are known again, and strangers are not taken for them."""

from __future__ import annotations

import json
import os

import numpy as np
import pandas as pd
import pytest

from paincast.cohort.tables import conform
from paincast.fingerprints import FILE, find_fingerprints, find_trained_on, make_fingerprints, write_fingerprints
from paincast.simulator import simulate_cohort

TECHNIQUES = ["facet_rfa", "joint_injection", "celiac_plexus_neurolysis"]


@pytest.fixture(scope="module")
def cohorts():
    return [simulate_cohort(techniques=TECHNIQUES, episodes_per_technique=200, seed=seed)[0] for seed in (1, 2)]


def rename(episodes: pd.DataFrame) -> pd.DataFrame:
    """Give patients and episodes other ids."""
    ids = [f"other-{number}" for number in range(len(episodes))]
    return episodes.assign(patient_id=ids, episode_id=ids)


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_a_subset_under_other_ids_is_found_and_another_seed_is_not(cohorts, technique):
    own, strangers = (one.episodes[one.episodes["technique"] == technique] for one in cohorts)
    fingerprints = make_fingerprints(own, "v")
    assert find_trained_on(fingerprints, own).all()
    assert find_trained_on(fingerprints, rename(own).head(20)).all()
    assert not find_trained_on(fingerprints, strangers).any()
    alike = strangers.assign(patient_id=own["patient_id"].iloc[: len(strangers)].tolist())
    assert not find_trained_on(fingerprints, alike).any()
    mixed = pd.concat([rename(own).head(15), strangers], ignore_index=True)
    assert find_trained_on(fingerprints, mixed).sum() == 15


@pytest.mark.parametrize("column", ["age_years", "bmi", "pain_nrs"])
def test_patients_are_found_after_a_column_was_changed_or_lost(cohorts, column):
    own = cohorts[0].episodes[cohorts[0].episodes["technique"] == "facet_rfa"]
    fingerprints = make_fingerprints(own, "v")
    for changed in (own[column] + 1, np.nan):
        assert find_trained_on(fingerprints, rename(own).assign(**{column: changed})).mean() > 0.9


def make_thin(rng: np.random.Generator, n: int, columns: int) -> pd.DataFrame:
    """Make patients numbered from 1 of whom little is known."""
    known = {
        "sex": rng.choice(["female", "male"], n),
        "pain_nrs": rng.integers(4, 11, n),
        "age_years": rng.integers(40, 80, n),
    }
    number = [str(one) for one in range(1, n + 1)]
    kept = dict(list(known.items())[:columns])
    return conform("episodes", pd.DataFrame({"episode_id": number, "patient_id": number, "technique": "x", **kept}))


@pytest.mark.slow
@pytest.mark.parametrize("columns", [1, 2, 3])
def test_thin_content_is_told_by_ids_and_strangers_numbered_alike_are_not_taken_for_one_another(columns):
    rng = np.random.default_rng(7)
    for _ in range(20):
        own, strangers = make_thin(rng, 150, columns), make_thin(rng, 120, columns)
        fingerprints = make_fingerprints(own, "v")
        assert not find_trained_on(fingerprints, strangers).any()
        if columns > 1:
            assert find_trained_on(fingerprints, own.head(60)).all()


def test_nothing_known_and_nobody_are_no_error():
    empty = make_thin(np.random.default_rng(1), 30, 0)
    assert not find_trained_on(make_fingerprints(empty, "v"), empty).any()
    own = make_thin(np.random.default_rng(1), 30, 3)
    assert not len(find_trained_on(make_fingerprints(own, "v"), own.head(0)))


def test_salts_differ_the_file_is_private_and_holds_no_id_or_value(tmp_path):
    own = make_thin(np.random.default_rng(1), 40, 3).assign(patient_id=[f"SENTINEL-{n}" for n in range(40)])
    first, second = make_fingerprints(own, "v1"), make_fingerprints(own, "v2")
    assert first.salt != second.salt
    assert not set(first.marks[0].rarity) & set(second.marks[0].rarity)
    file = tmp_path / "models" / ".fingerprints" / "v1.json"
    write_fingerprints(first, file)
    write_fingerprints(second, tmp_path / "models" / "a" / "b" / "fingerprints.json")
    assert file.stat().st_mode & 0o777 == 0o600
    assert "SENTINEL" not in file.read_text()
    assert find_fingerprints(tmp_path / "models", tmp_path / "nowhere") == {"v1": first, "v2": second}
    for damaged in ("", "[]", "null", json.dumps({"version": "v1"})):
        file.write_text(damaged)
        assert set(find_fingerprints(tmp_path / "models")) == {"v2"}
    file.unlink()
    os.mkfifo(file)
    assert set(find_fingerprints(tmp_path / "models")) == {"v2"}


@pytest.mark.slow
def test_real_patients_are_found_ingested_again_and_their_other_half_is_not(tmp_path, real_data):
    from paincast.cli.app import run
    from paincast.cohort.tables import load_cohort

    trial = real_data / "caudal_esi_2018" / "trial44.csv"
    for name in ("first", "again"):
        assert run(["ingest", "caudal_esi_2018", str(trial), "-o", str(tmp_path / name)]) == 0
    first, again = (load_cohort(tmp_path / name).episodes for name in ("first", "again"))
    half = len(first) // 2
    fingerprints = make_fingerprints(first.head(half), "v")
    found = find_trained_on(fingerprints, rename(again))
    assert found[:half].all()
    assert found[half:].sum() <= 1  # one is alike in all but an age that is a year higher


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("salt", "zz"),
        ("salt", "ab" * 100),
        ("salt", 5),
        ("n", 0),
        ("n", "many"),
        ("ids", [1, 2]),
        ("version", []),
        ("rarity", "x"),
        ("rarity", -1_000_000),
        ("chance", None),
        ("chance", -2),
        ("columns", ["no such column"]),
        ("columns", []),
    ],
)
def test_fingerprints_with_values_that_cannot_be_are_none(tmp_path, name, value):
    path = tmp_path / FILE
    write_fingerprints(make_fingerprints(make_thin(np.random.default_rng(1), 40, 5), "v1"), path)
    assert list(find_fingerprints(tmp_path)) == ["v1"]
    state = json.loads(path.read_text())
    if name == "rarity":
        value = dict.fromkeys(state["marks"][0]["rarity"], value)
    (state if name in state else state["marks"][0])[name] = value
    path.write_text(json.dumps(state))
    assert find_fingerprints(tmp_path) == {}
