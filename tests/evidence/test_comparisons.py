"""Comparisons of two procedures are those of the extraction table, and nothing is typed that a study counts by arm."""

from __future__ import annotations

from dataclasses import replace

import pytest

from paincast.errors import DataError, PaincastError
from paincast.evidence.context import Comparison
from paincast.evidence.reading import parse_comparison, read_yaml
from paincast.evidence.records import EVIDENCE_FOLDER, comparisons_of, load_comparisons, load_sources, records_of
from paincast.evidence.synthesis.compute import round_figures
from paincast.evidence.synthesis.extraction import load_studies
from paincast.evidence.synthesis.rates import compare_arms
from paincast.reporting.evidence.blocks import Paragraph
from paincast.reporting.evidence.card import build_card
from paincast.reporting.evidence.plain import describe_records
from paincast.schema import TECHNIQUES

DECLARED = read_yaml(EVIDENCE_FOLDER / "comparisons.yaml")["comparisons"]
COMPUTED = read_yaml(EVIDENCE_FOLDER / "computed.yaml")["comparisons"]


def _name(comparison: Comparison) -> str:
    return f"{comparison.source}-{comparison.first.approach}-{comparison.second.approach}"


def test_the_figures_are_those_of_the_table() -> None:
    assert round_figures(compare_arms(load_studies(), DECLARED)) == COMPUTED


@pytest.mark.parametrize("comparison", load_comparisons(), ids=_name)
def test_a_comparison_says_something_of_patients_whom_the_study_treated(comparison: Comparison) -> None:
    study = load_studies()[comparison.source]
    assert comparison.indication in study.indications
    assert comparison.design in ("randomised trial", "non-randomised comparison")
    assert comparison.first.technique in TECHNIQUES
    assert comparison.first != comparison.second
    assert comparison.outcomes or comparison.findings
    assert load_sources()[comparison.source].citation == study.citation
    for outcome in comparison.outcomes:
        assert outcome.difference == pytest.approx(outcome.first - outcome.second, abs=2e-4)
        if outcome.lower is not None and outcome.upper is not None:
            assert outcome.lower <= outcome.difference <= outcome.upper
        if outcome.measure == "share":
            assert 0 <= outcome.first <= 1 >= outcome.second >= 0


def test_findings_are_retold_only_where_the_table_has_no_figures_by_arm() -> None:
    assert [item.source for item in load_comparisons() if item.outcomes and item.findings] == []
    for comparison in load_comparisons():
        assert all((item.source, item.tag) == (comparison.source, "FOUND") for item in comparison.findings)


def test_the_first_trial_of_joint_injection_and_ablation_found_no_difference() -> None:
    [trial] = [item for item in comparisons_of("lumbar_facet", "facet_rfa") if item.source == "lakemeier2013"]
    assert {trial.first.technique, trial.second.technique} == {"facet_rfa", "facet_joint_injection"}
    assert "no difference" in trial.findings[0].finding
    assert (trial.findings[0].month, trial.findings[0].n) == (6, 50)


def test_the_ends_of_an_interval_are_newcombes() -> None:
    [trial] = comparisons_of("knee_osteoarthritis", "genicular_rfa")
    relief = trial.outcomes[0]
    assert (relief.first_n, relief.second_n, relief.month) == (58, 68, 6)
    assert (relief.difference, relief.lower, relief.upper) == pytest.approx((0.5796, 0.4162, 0.6971))


def test_an_indication_and_a_technique_choose() -> None:
    for technique in TECHNIQUES:
        for indication in {record.indication for record in records_of(technique)} - {""}:
            for item in comparisons_of(indication, technique):
                assert technique in (item.first.technique, item.second.technique)
    assert comparisons_of("hip_osteoarthritis") == ()


def test_an_entry_that_is_not_computed_or_malformed_is_named() -> None:
    entry, figures = DECLARED[1], COMPUTED[1]
    parsed = parse_comparison(entry, figures, load_sources())
    assert replace(parsed, findings=()) == load_comparisons()[1]
    with pytest.raises(DataError, check=lambda error: error.code == "PC-EVIDENCE-58"):
        parse_comparison(entry, {**figures, "arms": ["injection", "rfa"]}, load_sources())
    for wrong in ({"indication": "sore"}, {"tag": "HEARD"}, {"winner": "rfa"}):
        with pytest.raises(PaincastError, match=entry["source"]):
            parse_comparison({**entry, **wrong}, figures, load_sources())


def test_the_card_and_its_json_show_them_for_what_they_are() -> None:
    card = build_card("genicular_rfa")
    [section] = [item for item in card.sections if item.heading == "Compared with other procedures"]
    [paragraph] = section.blocks
    assert isinstance(paragraph, Paragraph)
    assert "58 points more (+42 to +70)" in paragraph.lines[0].text
    assert paragraph.lines[0].sources == ("davis2018",)
    told = describe_records(records_of("genicular_rfa"))
    assert [item["source"] for item in told["comparisons"]] == ["davis2018"]
    assert [section.heading for section in build_card("genicular_artery_embolization").sections][-1] == "In practice"
