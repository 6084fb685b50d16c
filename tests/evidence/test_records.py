"""Evidence: every number has a source and a tag, what is unknown is refused in words, and mistakes are named."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

import paincast.evidence
from paincast.errors import DataError, RefusalError, SettingsError
from paincast.evidence import (
    Record,
    evidence_version,
    gaps_of,
    indications_of,
    list_citations,
    load_record,
    load_records,
    load_sources,
    primary_horizon,
    records_of,
    simulated_records,
    simulated_techniques,
)
from paincast.evidence.comparators import choose_comparator
from paincast.evidence.figures import PROVENANCE_TAGS, TAG_OF_SUPPORT
from paincast.evidence.merging import ENOUGH
from paincast.evidence.reading import parse_record, read_yaml, walk_numbers
from paincast.evidence.records import load_comparisons, load_controlled_trials, load_practice
from paincast.schema import TECHNIQUES

FOLDER = Path(paincast.evidence.__file__).parent
FILES = sorted((FOLDER / "records").glob("*.yaml"))
CONTRAINDICATIONS = yaml.safe_load((FOLDER / "contraindications.yaml").read_text(encoding="utf-8"))
COSTS = yaml.safe_load((FOLDER / "costs.yaml").read_text(encoding="utf-8"))


FACET = "facet_rfa__lumbar_facet"
COMPUTED = read_yaml(FOLDER / "computed.yaml")["records"]


def _read(name: str) -> dict[str, Any]:
    content = yaml.safe_load((FOLDER / "records" / f"{name}.yaml").read_text(encoding="utf-8"))
    assert isinstance(content, dict)
    return content


@pytest.fixture
def facet() -> dict[str, Any]:
    return _read(FACET)


@pytest.fixture
def computed() -> dict[str, Any]:
    return deepcopy(COMPUTED[FACET])


def _find_provenance(content: Any, path: tuple[Any, ...]) -> tuple[Any, Any]:
    """Find the source and tag nearest to a number."""
    source = tag = None
    for key in path:
        content = content[key]
        if isinstance(content, dict):
            source, tag = content.get("source", source), content.get("tag", tag)
    return source, tag


@pytest.mark.parametrize(
    "file",
    [*FILES, *(FOLDER / f"{name}.yaml" for name in ("contraindications", "costs"))],
    ids=lambda file: file.stem,
)
def test_every_number_has_a_source_and_a_tag(file: Path) -> None:
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    sources = load_sources()
    for path, _ in walk_numbers(content):
        if path[0] in ("primary_month", "follow_up_months", "curve") or "transform" in path:
            continue  # what is asked, not what was found
        source, tag = _find_provenance(content, path)
        assert source, f"{path} has no source"
        for name in [source] if isinstance(source, str) else source:
            assert sources[name].citation, path
        assert tag, f"{path} has no tag"
        assert set(tag.split("/")) <= set(PROVENANCE_TAGS), path


def test_file_names_are_the_ids() -> None:
    assert sorted(record.id for record in load_records()) == [file.stem for file in FILES]


def test_citations_are_unique_and_named() -> None:
    citations = list_citations(load_records())
    assert len(set(citations)) == len(citations) > 50
    assert any("Kaufmann" in citation or "2,024" in citation for citation in citations)


def test_no_source_is_unused() -> None:
    shared = {entry["source"] for held in (CONTRAINDICATIONS, COSTS) for entry in held.values()}
    used = {name for record in load_records() for name in record.sources} | shared
    mentioned = {name for name in load_sources() if any(name in file.read_text(encoding="utf-8") for file in FILES)}
    practised = {item.source for technique in TECHNIQUES for item in load_practice(technique)}
    compared = {item.source for item in load_comparisons()}
    controlled = {item.source for technique in TECHNIQUES for item in load_controlled_trials(technique)}
    assert set(load_sources()) <= used | mentioned | practised | compared | controlled


def test_no_shared_entry_is_unused() -> None:
    contents = [yaml.safe_load(file.read_text(encoding="utf-8")) for file in FILES]
    assert set(COSTS) == {name for content in contents for name in content.get("costs", ())}
    assert set(CONTRAINDICATIONS) == {name for content in contents for name in content["contraindications"]}


@pytest.mark.parametrize(
    ("technique", "month"),
    [
        ("epidural_steroid_injection", 3),
        ("nerve_root_block", 1),
        ("facet_joint_injection", 3),
        ("joint_injection", 1),
        ("facet_rfa", 6),
        ("si_joint_rfa", 6),
        ("genicular_rfa", 3),
        ("spinal_cord_stimulation", 12),
        ("celiac_plexus_neurolysis", 1),
        ("hypogastric_plexus_neurolysis", 1),
        ("genicular_artery_embolization", 6),
        ("trigeminal_rhizotomy", 12),
    ],
)
def test_primary_horizons(technique: str, month: float) -> None:
    assert primary_horizon(technique) == month


@pytest.mark.parametrize("technique", simulated_techniques())
def test_every_record_has_a_response_at_the_horizon_of_its_technique(technique: str) -> None:
    assert all(primary_horizon(technique) in (record.curve or {}) for record in simulated_records(technique))


@pytest.mark.parametrize("record", [record for record in load_records() if record.response], ids=lambda item: item.id)
def test_figures_are_those_computed_from_the_table(record: Record) -> None:
    computed = COMPUTED[record.id]
    assert record.response
    assert record.curve == {month: point["share"] for month, point in computed["curve"].items()}
    assert record.scenarios == {name: figures["share"] for name, figures in computed["scenarios"].items()}
    assert record.response.trial_success == computed["passes"].get("share")
    assert [point.support for point in record.response.points.values()] == [
        point["support"] for point in computed["curve"].values()
    ]
    assert {point.support for point in record.response.points.values()} <= set(TAG_OF_SUPPORT)
    for effect, estimate in zip(record.predictors, computed["predictors"], strict=True):
        assert (effect.log_odds, effect.sd, effect.basis) == tuple(estimate[key] for key in ("log_odds", "sd", "basis"))
        assert effect.basis == "judged" or effect.source == tuple(estimate["studies"])
    for column, pooled in computed["baseline"].items():
        held = record.baseline[column]
        assert {name: getattr(held, name) for name in pooled if name != "source"} == {
            name: value for name, value in pooled.items() if name != "source"
        }
    for item in record.counted_complications:
        if item.kind in computed["complications"]:
            pooled = computed["complications"][item.kind]
            [written, *_] = [entry for entry in _read(record.id)["complications"] if entry["kind"] == item.kind]
            if written["tag"] == "FOUND" and "rate" in written and pooled["n"] < ENOUGH:
                assert item.rate == tuple(written["rate"])
            else:
                assert (item.patient_rate, item.rate) == (pooled["share"], (pooled["lower"], pooled["upper"]))
            assert item.tag == "FOUND"
    assert len(record.published) == len(computed["published"])
    assert [(item.share, item.kind) for item in record.comparators] == [
        (item["share"], item["kind"]) for item in computed["comparators"]
    ]


def test_what_no_study_tells_is_that_of_the_record_file() -> None:
    record, content = load_record("facet_rfa"), _read(FACET)
    untold = set(content["baseline"]) - set(COMPUTED[FACET]["baseline"])
    assert untold
    for column in untold:
        held = record.baseline[column]
        for name, value in content["baseline"][column].items():
            assert getattr(held, name) == value
    counted = set(COMPUTED[FACET]["complications"])
    for item, entry in zip(record.complications, content["complications"], strict=True):
        if item.kind not in counted:
            assert (item.source, item.tag) == (entry["source"], entry["tag"])


def test_a_figure_that_is_computed_takes_the_place_of_that_of_the_file(
    facet: dict[str, Any], computed: dict[str, Any]
) -> None:
    computed["baseline"]["odi"] = {"mean": 44.0, "sd": 9.0, "source": ["mint2017"], "tag": "FOUND"}
    record = parse_record(facet, CONTRAINDICATIONS, COSTS, load_sources(), computed)
    assert (record.baseline["odi"].mean, record.baseline["odi"].tag) == (44.0, "FOUND")
    kind = next(iter(computed["complications"]))
    computed["complications"] = {kind: computed["complications"][kind] | {"share": 0.5, "upper": 0.6}}
    record = parse_record(facet, CONTRAINDICATIONS, COSTS, load_sources(), computed)
    pooled = [item for item in record.complications if item.estimate is not None]
    assert [(item.kind, item.patient_rate) for item in pooled] == [(kind, 0.5)]


@pytest.mark.parametrize(("part", "code"), [("curve", "PC-EVIDENCE-15"), ("predictors", "PC-EVIDENCE-16")])
def test_a_record_whose_figures_are_not_computed_is_refused(
    facet: dict[str, Any], computed: dict[str, Any], part: str, code: str
) -> None:
    del computed[part]
    with pytest.raises(DataError, match="paincast evidence diff --write", check=lambda error: error.code == code):
        parse_record(facet, CONTRAINDICATIONS, COSTS, load_sources(), computed)


def test_the_nearest_record_covers_further_indications() -> None:
    assert {"other_radicular", "failed_back_surgery"} <= set(indications_of("epidural_steroid_injection"))
    assert load_record("epidural_steroid_injection", "other_radicular", "caudal").indication == "lumbar_radicular_disc"
    assert load_record("epidural_steroid_injection", "lumbar_stenosis").approach == "transforaminal"


def test_a_record_without_approach_holds_for_each() -> None:
    assert load_record("trigeminal_rhizotomy", "trigeminal_neuralgia", "percutaneous").approach is None


def test_no_comparator_is_shown_where_no_trial_tells_it() -> None:
    stimulation = load_record("spinal_cord_stimulation", "failed_back_surgery")
    assert choose_comparator(stimulation.own_comparators, "pain_response", 6.0) is not None
    assert choose_comparator(stimulation.own_comparators, "pain_response", 60.0) is None
    rhizotomy = load_record("trigeminal_rhizotomy", "trigeminal_neuralgia")
    assert rhizotomy.comparators == ()
    assert {figures.support for figures in rhizotomy.untreated.values()} == {"assumed"}


def test_nobody_of_another_indication_stands_in_as_a_control() -> None:
    """Usual care of one trial of chronic back pain once stood in for eight records."""
    for record in load_records():
        for item in record.comparators:
            assert "ashar2022" not in item.source
            assert item.tag == "FOUND"


def test_combinations_that_no_record_covers_are_refused() -> None:
    with pytest.raises(RefusalError, match=r"indication crps by approach caudal; covered: .*lumbar_stenosis"):
        load_record("epidural_steroid_injection", "crps", "caudal")
    with pytest.raises(RefusalError, check=lambda error: error.code == "PC-EVIDENCE-25"):
        load_record("epidural_steroid_injection", "failed_back_surgery", "interlaminar")


def test_bariatric_embolization_is_refused_by_its_gap() -> None:
    assert "pain outcome" in records_of("bariatric_embolization")[0].gap
    for ask in (primary_horizon, indications_of, simulated_records):
        with pytest.raises(RefusalError, match=r"bariatric_embolization is refused: .*pain outcome"):
            ask("bariatric_embolization")


def test_every_technique_has_a_record() -> None:
    assert {record.technique for record in load_records()} == set(TECHNIQUES)


@pytest.mark.parametrize(
    ("technique", "gap", "covered"),
    [
        ("epidural_steroid_injection", "lumbar_facet", "lumbar_stenosis"),
        ("celiac_plexus_neurolysis", "chronic_pancreatitis", "pancreatic_cancer"),
        ("hypogastric_plexus_neurolysis", "chronic_pelvic_pain", "pelvic_cancer"),
        ("spinal_cord_stimulation", "cancer_pain", "crps"),
        ("joint_injection", "other_joint", "sacroiliac_joint"),
    ],
)
def test_a_gap_in_one_indication_leaves_the_others(technique: str, gap: str, covered: str) -> None:
    assert covered in indications_of(technique)
    assert gap not in indications_of(technique)
    record = load_record(technique, gap)
    assert record.gap
    assert gaps_of(technique) == {gap: record.gap}
    assert (record.response, record.comparators, dict(record.untreated)) == (None, (), {})
    assert all(not record.gap for record in simulated_records(technique))


def test_techniques_with_studies_but_once_without_a_curve_can_be_simulated() -> None:
    assert set(simulated_techniques()) == set(TECHNIQUES) - {"bariatric_embolization", "vertebral_augmentation"}
    assert "other_neuropathic" in indications_of("spinal_cord_stimulation")
    assert "sacroiliac_joint" in indications_of("joint_injection")


def test_techniques_without_a_curve_cannot_be_simulated(monkeypatch: pytest.MonkeyPatch) -> None:
    without = tuple(
        replace(record, response=None) if record.technique == "genicular_rfa" else record for record in load_records()
    )
    monkeypatch.setattr("paincast.evidence.records.load_records", lambda: without)
    assert "genicular_rfa" not in simulated_techniques()
    assert indications_of("genicular_rfa") == ("knee_osteoarthritis",)
    assert primary_horizon("genicular_rfa") == 3
    with pytest.raises(RefusalError, match=r"genicular_rfa cannot be simulated.*real data only.*facet_rfa"):
        simulated_records("genicular_rfa")


def test_an_unknown_technique_gets_the_nearest_name() -> None:
    with pytest.raises(SettingsError, match=r"unknown name 'facet_rf'; did you mean 'facet_rfa'\?"):
        records_of("facet_rf")


def test_infection_is_absolute_and_an_anticoagulant_needs_a_plan() -> None:
    rules = {rule.name: rule for rule in load_record("spinal_cord_stimulation", "crps").contraindications}
    assert rules["active_infection"].level == "absolute"
    assert rules["anticoagulant"].level == "relative"
    assert "class high" in rules["anticoagulant"].reason
    assert rules["cardiac_device_stimulation"].tag == "ASSUMED"


def test_the_version_is_twelve_hexadecimal_digits() -> None:
    assert len(evidence_version()) == 12
    int(evidence_version(), 16)


def _set(content: dict[str, Any], path: str, value: Any) -> None:
    *before, last = path.split(".")
    for key in before:
        content = content[int(key) if key.isdigit() else key]  # type: ignore[index]
    content[last] = value


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("techniqe", "facet_rfa", "unknown key 'techniqe'; did you mean 'technique'"),
        ("technique", "facet_rf", "technique: unknown name 'facet_rf'"),
        ("indication", "lumbar_facett", "indication: unknown name 'lumbar_facett'; did you mean 'lumbar_facet'"),
        ("approach", "sideways", "approach: unknown name 'sideways'"),
        ("baseline.odi.tag", "GUESSED", "tag: unknown name 'GUESSED'"),
        ("baseline.odi.source", "nobody1999", "source: unknown name 'nobody1999'"),
        ("baseline.odi.meen", 3, "odi: unknown key 'meen'; did you mean 'mean'"),
        ("baseline.oddi", {"mean": 3, "source": "seed", "tag": "SEED"}, "column: unknown name 'oddi'"),
        ("predictors.0.transform", {"under": 3}, "unknown name 'under'"),
        ("predictors.0.transform", {"below": 3, "per": 1}, "exactly one key"),
        ("predictors.0.odds_ratio", 2.0, "predictors.0.odds_ratio has no tag"),
        ("curve.scenarios", {"pragmatic": 0.3}, "curve.scenarios must not be typed in a record file"),
        ("curve.share", 0.3, "curve.share must not be typed in a record file"),
        ("published", [], "published must not be typed in a record file"),
        ("primary_month", 7, "no share at the primary month 7"),
        ("primary_month", None, "'primary_month' is missing"),
        ("contraindications", ["infectoin"], "contraindications: unknown name 'infectoin'"),
        ("bleeding_class", "lowish", "bleeding_class: unknown name 'lowish'"),
        ("costs", ["facet_rfa_qaly"], "costs: unknown name 'facet_rfa_qaly'"),
        ("certainty.level", "lowish", "level: unknown name 'lowish'"),
        ("predictors.0.kind", "causal", "kind: unknown name 'causal'"),
        ("complications.0.rate", [0, 5], "rate 5 is out of range; allowed: from 0 to 1"),
        ("complications.0.event_kind", "explantation", "event_kind: unknown name 'explantation'"),
        (
            "baseline.diagnostic_blocks_positive.shares",
            {0: 0.5, 1: 0.4},
            r"shares add up to 0\.9; they must add up to 1",
        ),
    ],
)
def test_a_malformed_record_is_refused(
    facet: dict[str, Any], computed: dict[str, Any], path: str, value: Any, words: str
) -> None:
    computed |= {"baseline": {}, "complications": {}}  # which would take the place of what is wrong
    _set(facet, path, value)
    with pytest.raises(DataError, match=words):
        parse_record(facet, CONTRAINDICATIONS, COSTS, load_sources(), computed)


@pytest.mark.parametrize(
    ("holder", "key", "words"),
    [
        ("baseline.odi", "tag", "baseline.odi.mean has no tag"),
        ("baseline.odi", "source", "baseline.odi.mean has no source"),
        ("predictors.0", "meaning", "'meaning' is missing"),
        ("certainty", "tag", "'tag' is missing"),
        ("seed", "tag", "seed.response.0 has no tag"),
    ],
)
def test_a_figure_without_source_or_tag_is_refused(
    facet: dict[str, Any], computed: dict[str, Any], holder: str, key: str, words: str
) -> None:
    content: Any = facet
    for part in holder.split("."):
        content = content[int(part) if part.isdigit() else part]
    del content[key]
    with pytest.raises(DataError, match=words):
        parse_record(facet, CONTRAINDICATIONS, COSTS, load_sources(), computed)


def test_a_number_outside_any_figure_is_refused(facet: dict[str, Any], computed: dict[str, Any]) -> None:
    facet["note"] = 3
    with pytest.raises(DataError, check=lambda error: error.code == "PC-EVIDENCE-18"):
        parse_record(facet, CONTRAINDICATIONS, COSTS, load_sources(), computed)
