"""The evidence command: list, card, references and forest plot."""

from __future__ import annotations

import json

import pytest

from paincast.schema import TECHNIQUES


def test_without_a_name_all_techniques_are_listed(tell):
    code, out, err = tell("evidence")
    assert (code, err) == (0, "")
    assert all(technique in out for technique in TECHNIQUES)


def test_the_card_is_printed_as_markdown(tell):
    code, out, _ = tell("evidence", "facet_rfa")
    assert code == 0
    assert out.startswith("# Radiofrequency ablation of the lumbar medial branches\n")


@pytest.mark.parametrize("style", ["md", "html", "json"])
@pytest.mark.parametrize("technique", [(), ("joint_injection",)], ids=["all", "one"])
def test_every_form_names_the_indication(tell, technique, style):
    code, out, _ = tell("evidence", *technique, "--format", style)
    assert code == 0
    assert "hip" in out


def test_the_suffix_chooses_the_form(tell, tmp_path):
    assert tell("evidence", "facet_rfa", "-o", "card.html")[:2] == (0, "written: card.html\n")
    assert (tmp_path / "card.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    tell("evidence", "-o", "all.json")
    assert len(json.loads((tmp_path / "all.json").read_text(encoding="utf-8"))["records"]) == 21


def test_a_scenario_changes_the_expected_response(tell):
    _, out, _ = tell("evidence", "facet_rfa", "--scenario", "pragmatic")
    assert "33 % at 6 months" in out


def test_one_indication_and_approach(tell):
    _, out, _ = tell(
        "evidence", "epidural_steroid_injection", "--approach", "caudal", "--indication", "lumbar_stenosis"
    )
    assert "Lumbar spinal stenosis, caudal" in out
    assert "stenosis, interlaminar" not in out
    assert "disc herniation, caudal" not in out


def test_references_of_one_technique(tell):
    _, out, _ = tell("evidence", "trigeminal_rhizotomy", "--references", "bibtex")
    assert "@misc{trigeminal_percutaneous_2024," in out or "@article{trigeminal_percutaneous_2024," in out
    assert "kemler2004" not in out
    _, out, _ = tell("evidence", "--references", "csl")
    assert any(item["id"] == "kemler2004" for item in json.loads(out))


def test_the_forest_is_drawn(tell, tmp_path):
    code, out, _ = tell("evidence", "genicular_rfa", "--forest", "-o", "forest.png")
    assert (code, out) == (0, "written: forest.png (2 published rates of 1 records)\n")
    assert (tmp_path / "forest.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["facet_rf"], "did you mean 'facet_rfa'?"),
        (["facet_rfa", "--indication", "crps"], "no evidence record for crps"),
        (["--indication", "crps"], "give one"),
        (["--forest"], "give -o FILE with the suffix .png"),
        (["--forest", "-o", "forest.txt"], "give -o FILE with the suffix .png"),
        (["--forest", "--references", "csl", "-o", "a.png"], "are different outputs"),
        (["bariatric_embolization", "--forest", "-o", "a.png"], "no published response rate"),
    ],
)
def test_what_cannot_be_shown_is_said(tell, tmp_path, arguments, words):
    code, _, err = tell("evidence", *arguments)
    assert code == 2
    assert words in err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_the_way_is_said(tell, tmp_path):
    (tmp_path / "card.md").mkdir()
    code, _, err = tell("evidence", "facet_rfa", "-o", "card.md")
    assert code == 2
    assert "is a directory" in err
