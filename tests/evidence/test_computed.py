"""The computed figures are what the extraction table and the record files give, and a study moves what it should."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from paincast.errors import DataError, PaincastError
from paincast.evidence import load_records
from paincast.evidence.reading import list_source_ids, read_yaml
from paincast.evidence.records import load_contents
from paincast.evidence.synthesis.compute import make_target, treats
from paincast.evidence.synthesis.computed_file import COMPUTED, compute_file, diff_files, read_studies, write_file
from paincast.evidence.synthesis.extraction import load_studies
from paincast.evidence.synthesis.study import Arm, Association, Characteristic, Harm, Result, Study

HELD = read_yaml(COMPUTED)
NAMES = sorted(HELD["records"])

LINALG = 0.0006
"""How far numbers may lie apart that another machine computes: its linear algebra rounds elsewhere."""


@pytest.fixture(scope="module")
def computed() -> dict[str, Any]:
    return compute_file(load_studies())


def list_differences(one: Any, other: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """List where two contents differ: in a key, a text, a count, or a number by more than rounding."""
    if isinstance(one, dict) and isinstance(other, dict):
        yield from ((*path, key) for key in {*one} ^ {*other})
        for key in {*one} & {*other}:
            yield from list_differences(one[key], other[key], (*path, key))
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for place, pair in enumerate(zip(one, other, strict=True)):
            yield from list_differences(*pair, (*path, place))
    elif isinstance(one, float) and isinstance(other, float):
        if abs(one - other) > LINALG:
            yield (*path, one, other)
    elif one != other:
        yield (*path, one, other)


def walk_intervals(content: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Mapping[str, float]]]:
    """Yield everything that has a share and an interval."""
    if isinstance(content, dict):
        if {"share", "lower", "upper"} <= set(content):
            yield path, content
        for key, value in content.items():
            yield from walk_intervals(value, (*path, key))
    elif isinstance(content, list):
        for place, value in enumerate(content):
            yield from walk_intervals(value, (*path, place))


@pytest.mark.slow
def test_the_file_is_what_the_table_gives(computed: dict[str, Any]) -> None:
    """If it is not: run ``paincast evidence diff --write``."""
    assert list(list_differences(computed, HELD)) == []


def test_every_record_with_a_question_has_its_figures() -> None:
    contents = load_contents()
    assert sorted(name for name, content in contents.items() if "curve" in content) == NAMES
    for name in NAMES:
        figures, content = HELD["records"][name], contents[name]
        assert list(figures["curve"]) == [float(month) for month in content["curve"]["months"]]
        assert set(figures["scenarios"]) == {"literature", "pragmatic", "seed_optimistic"}
        assert len(figures["predictors"]) == len(content["predictors"])
        assert set(figures["baseline"]) <= set(content["baseline"])


@pytest.mark.parametrize("name", NAMES)
def test_every_share_lies_in_its_intervals(name: str) -> None:
    checked = 0
    for path, figures in walk_intervals(HELD["records"][name]):
        assert 0.0 <= figures["lower"] <= figures["share"] <= figures["upper"] <= 1.0, path
        assert figures.get("predicted_lower", 0.0) <= figures["lower"], path
        assert figures["upper"] <= figures.get("predicted_upper", 1.0), path
        assert figures["upper"] <= figures.get("upper_new", 1.0) + 0.02, path
        checked += 1
    assert checked >= 10


@pytest.mark.parametrize("name", NAMES)
def test_what_is_cited_is_in_the_table_and_treats_what_the_record_asks(name: str) -> None:
    studies, figures, content = load_studies(), HELD["records"][name], load_contents()[name]
    target = make_target(content)
    parts = ("curve", "published", "complications", "passes", "baseline")
    cited = list_source_ids({part: figures[part] for part in parts})
    assert cited
    for source in cited:
        assert treats(studies[source], target), source
    named = {entry["source"] for entry in content["predictors"] if isinstance(entry.get("source"), str)}
    for entry in figures["predictors"]:
        for source in entry["studies"]:
            assert source in named or treats(studies[source], target), source
        assert bool(entry["studies"]) == (entry["basis"] != "judged")


def test_the_studies_cited_carry_their_identifiers() -> None:
    studies = load_studies()
    used = {name for record in load_records() for name in record.sources} & set(studies)
    assert used <= set(HELD["sources"])
    for name, source in HELD["sources"].items():
        study = studies[name]
        assert source["citation"] == study.citation
        assert (source.get("doi", ""), source.get("pmid", "")) == (study.doi, study.pmid)
        assert (source["url"], source["access"]) == (study.read_at, "FOUND")


INVENTED = Study(
    id="invented2030",
    citation="Nobody N. Invented 2030;1:1-2",
    read_at="https://example.org",
    read="abstract",
    design="randomised trial",
    population="patients who do not exist",
    indications=("knee_osteoarthritis",),
    pmid="1",
    arms={
        "gae": Arm(kind="treatment", what="embolisation", technique="genicular_artery_embolization", n_treated=400),
        "sham": Arm(kind="sham", what="angiography alone"),
    },
    results=tuple(
        Result(
            arm=arm,
            outcome="pain_relief_50",
            definition="at least half less pain",
            denominator="treated",
            month=6.0,
            events=events,
            n=400,
        )
        for arm, events in (("gae", 390), ("sham", 8))
    ),
    associations=(
        Association(
            of="women",
            outcome="pain_relief_50",
            direction="worse",
            column="sex",
            contrast={"equals": "female"},
            measure="odds ratio",
            value=0.2,
            ci95=(0.15, 0.25),
            n=400,
        ),
    ),
    patients=(Characteristic(column="age_years", n=5000, mean=50.0, sd=5.0),),
    harms=(Harm(event="skin", severity="minor", per="patient", kind="skin_ischaemia", arm="gae", events=1, n=400),),
)


@pytest.fixture(scope="module")
def moved(computed: dict[str, Any]) -> pd.DataFrame:
    """What an invented trial of one technique moves."""
    return diff_files(computed, compute_file({**load_studies(), INVENTED.id: INVENTED}))


@pytest.mark.slow
def test_a_study_moves_its_record_most_and_others_little(moved: pd.DataFrame) -> None:
    own = moved[moved["record"] == "genicular_artery_embolization__knee_osteoarthritis"].set_index("figure")
    assert own.loc["curve 6.0: share", "change"] > 0.02
    assert own.loc["scenarios literature: share", "change"] > 0.02
    assert own.loc["baseline age_years: mean", "change"] < -5.0
    assert own.loc["baseline age_years: mean", "after"] > 50.0
    comparator = "comparators pain_response knee_osteoarthritis sham month 6: share"
    assert pd.isna(own.loc[comparator, "before"])
    assert own.loc[comparator, "after"] == 0.02
    assert own.loc["untreated 6.0: share", "after"] == 0.02
    others = moved[moved["record"] != "genicular_artery_embolization__knee_osteoarthritis"]
    parts = set(others["figure"].str.split(" ").str[0])
    assert parts <= {"curve", "scenarios", "untreated"}, "only what is pooled over techniques"
    shares = others[others["figure"].str.match("(?:curve|scenarios).*: share")]
    assert shares["change"].abs().max() < own.loc["curve 6.0: share", "change"]


@pytest.mark.slow
def test_the_largest_changes_stand_first(moved: pd.DataFrame) -> None:
    sizes = moved["change"].abs().fillna(1.0)
    assert sizes.is_monotonic_decreasing
    assert (moved["before"] != moved["after"]).all()
    assert (moved["after"] - moved["before"]).dropna().tolist() == pytest.approx(moved["change"].dropna().tolist())


def test_nothing_differs_from_itself() -> None:
    assert diff_files(HELD, HELD).empty
    assert list(diff_files(HELD, HELD).columns) == ["record", "figure", "before", "after", "change"]


def test_one_changed_figure_is_one_row() -> None:
    name = "facet_rfa__lumbar_facet"
    changed = deepcopy(HELD)
    changed["records"][name]["curve"][6.0]["share"] += 0.25
    [row] = diff_files(HELD, changed).to_dict("records")
    assert (row["record"], row["figure"]) == (name, "curve 6.0: share")
    assert row["change"] == pytest.approx(0.25)
    del changed["records"][name]["curve"][6.0]["share"]
    [row] = diff_files(HELD, changed).to_dict("records")
    assert pd.isna(row["after"])
    assert pd.isna(row["change"])


def write_study(folder: Path, name: str, **changes: Any) -> Path:
    content = read_yaml(COMPUTED.parent / "studies" / "davis2018.yaml") | changes
    file = folder / f"{name}.yaml"
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    return file


def test_further_studies_are_added_or_replace_those_of_their_name(tmp_path: Path) -> None:
    files = [write_study(tmp_path, "new2030"), write_study(tmp_path, "davis2018", country="nowhere")]
    studies = read_studies(files)
    assert set(studies) == {*load_studies(), "new2030"}
    assert studies["davis2018"].country == "nowhere" != load_studies()["davis2018"].country
    assert replace(studies["new2030"], id="davis2018") == load_studies()["davis2018"]
    with pytest.raises(DataError, match="study wrong2030"):
        read_studies([write_study(tmp_path, "wrong2030", design="opinion")])


@pytest.mark.slow
def test_what_is_written_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("paincast.evidence.synthesis.computed_file.COMPUTED", tmp_path / "computed.yaml")
    written = write_file(HELD)
    assert read_yaml(written) == HELD
    assert written.read_text(encoding="utf-8").startswith("# ")
    assert written.read_bytes() == COMPUTED.read_bytes()


@pytest.mark.parametrize(
    "content", [b"\xff", b"a: \0", b"year: 2024-99-99", b"a: &a [*a]", b"a: [" + b"[" * 99, b"- 1"]
)
def test_a_file_that_is_no_study_is_an_error_of_its_owner(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "study2026.yaml").write_bytes(content)
    with pytest.raises(PaincastError, check=lambda error: bool(error.code)):
        read_studies([tmp_path / "study2026.yaml"])
