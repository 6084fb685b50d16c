"""Evidence: every number has a source and a tag, what is unknown is refused in words, and mistakes are named."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

import paincast.evidence
from paincast.errors import DataError, RefusalError, SettingsError
from paincast.evidence import (
    control_response,
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
from paincast.evidence.figures import PROVENANCE_TAGS
from paincast.evidence.reading import parse_record, walk_numbers
from paincast.schema import TECHNIQUES

FOLDER = Path(paincast.evidence.__file__).parent
FILES = sorted((FOLDER / "records").glob("*.yaml"))
CONTRAINDICATIONS = yaml.safe_load((FOLDER / "contraindications.yaml").read_text(encoding="utf-8"))
COSTS = yaml.safe_load((FOLDER / "costs.yaml").read_text(encoding="utf-8"))


def _read(name: str) -> dict[str, Any]:
    content = yaml.safe_load((FOLDER / "records" / f"{name}.yaml").read_text(encoding="utf-8"))
    assert isinstance(content, dict)
    return content


@pytest.fixture
def facet() -> dict[str, Any]:
    return deepcopy(_read("facet_rfa__lumbar_facet"))


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
        if path[0] in ("primary_month", "follow_up_months"):
            continue
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
    assert set(load_sources()) <= used | mentioned


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


def test_figures_are_those_of_the_evidence_file() -> None:
    record = load_record("epidural_steroid_injection", "lumbar_radicular_disc", "transforaminal")
    assert record.curve == {1: 0.55, 3: 0.55, 6: 0.46, 12: 0.38, 24: 0.28}
    assert record.scenarios == {"seed_optimistic": 0.8, "literature": 0.55, "pragmatic": 0.45}
    effects = {(effect.column, effect.transform.kind): effect.odds_ratio for effect in record.predictors}
    assert effects["pain_duration_months", "below"] == 2.0
    assert effects["radicular_pattern", "equals"] == 2.2
    assert load_record("spinal_cord_stimulation", "crps").baseline["age_years"].mean == 42


def test_the_nearest_record_covers_further_indications() -> None:
    assert {"other_radicular", "failed_back_surgery"} <= set(indications_of("epidural_steroid_injection"))
    assert load_record("epidural_steroid_injection", "other_radicular", "caudal").indication == "lumbar_radicular_disc"
    assert load_record("epidural_steroid_injection", "lumbar_stenosis").approach == "transforaminal"


def test_a_record_without_approach_holds_for_each() -> None:
    assert load_record("trigeminal_rhizotomy", "trigeminal_neuralgia", "percutaneous").approach is None


def test_control_response_is_none_where_no_number_is_known() -> None:
    assert control_response("si_joint_rfa", "sacroiliac_joint", None) == 0.12
    assert control_response("trigeminal_rhizotomy", "trigeminal_neuralgia", None) is None


def test_the_control_response_falls_back_on_usual_care_of_one_trial() -> None:
    anchored = [record for record in load_records() if "ashar2022" in record.sources]
    assert len(anchored) == 8
    for record in anchored:
        control = record.control_response
        assert control is not None
        assert (control.share, control.range, control.month) == (0.17, (0.17, 0.34), 1)
        assert control.note
        assert control.tag == ("ASSUMED" if record.survival else "DERIVED")


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


def test_a_gap_in_one_indication_leaves_the_others() -> None:
    assert indications_of("spinal_cord_stimulation") == ("crps", "failed_back_surgery")
    assert "no source gives a response rate" in gaps_of("spinal_cord_stimulation")["other_neuropathic"]
    assert load_record("spinal_cord_stimulation", "other_neuropathic").gap
    with pytest.raises(RefusalError, match="other_neuropathic is refused: no source gives a response rate"):
        control_response("spinal_cord_stimulation", "other_neuropathic", None)
    assert all(not record.gap for record in simulated_records("spinal_cord_stimulation"))


def test_techniques_without_a_curve_cannot_be_simulated() -> None:
    assert "genicular_rfa" not in simulated_techniques()
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
        ("predictors.0.odds_ratio", 0, "odds_ratio must be above 0"),
        ("curve.scenarios", {"pragmatic": 0.3}, "no 'literature' scenario"),
        ("curve.months", {1: 0.6}, "no share at the primary month 6"),
        ("curve.months", {6: 54}, "share 54 of the curve is out of range"),
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
def test_a_malformed_record_is_refused(facet: dict[str, Any], path: str, value: Any, words: str) -> None:
    _set(facet, path, value)
    with pytest.raises(DataError, match=words):
        parse_record(facet, CONTRAINDICATIONS, COSTS, load_sources())


@pytest.mark.parametrize(
    ("holder", "key", "words"),
    [
        ("curve", "tag", "'tag' is missing"),
        ("baseline.age_years", "source", "'source' is missing"),
        ("predictors.0", "odds_ratio", "'odds_ratio' is missing"),
        ("published.0", "tag", "'tag' is missing"),
    ],
)
def test_a_figure_without_source_or_tag_is_refused(facet: dict[str, Any], holder: str, key: str, words: str) -> None:
    content: Any = facet
    for part in holder.split("."):
        content = content[int(part) if part.isdigit() else part]
    del content[key]
    with pytest.raises(DataError, match=words):
        parse_record(facet, CONTRAINDICATIONS, COSTS, load_sources())


def test_a_number_outside_any_figure_is_refused(facet: dict[str, Any]) -> None:
    facet["note"] = 3
    with pytest.raises(DataError, check=lambda error: error.code == "PC-EVIDENCE-18"):
        parse_record(facet, CONTRAINDICATIONS, COSTS, load_sources())
