"""The evidence command: list, card, references and forest plot."""

from __future__ import annotations

import json
from copy import deepcopy

import pandas as pd
import pytest
import yaml

from paincast.evidence import load_record, load_records
from paincast.evidence.reading import read_yaml
from paincast.evidence.records import EVIDENCE_FOLDER
from paincast.evidence.wording import percent
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
    assert len(json.loads((tmp_path / "all.json").read_text(encoding="utf-8"))["records"]) == len(load_records())


def test_a_scenario_changes_the_expected_response(tell):
    _, out, _ = tell("evidence", "facet_rfa", "--scenario", "pragmatic")
    scenarios = load_record("facet_rfa").scenarios
    assert scenarios
    assert f"{percent(scenarios['pragmatic'])} at 6 months" in out
    assert f"{percent(scenarios['pragmatic'])} at 6 months" not in tell("evidence", "facet_rfa")[1]


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
    published = len(load_record("genicular_rfa").published)
    assert (code, out) == (0, f"written: forest.png ({published} published rates of 1 records)\n")
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


@pytest.fixture
def recompute(monkeypatch, tmp_path):
    """Let computing all figures anew give those of the package, changed as a test asks, and keep the package's file."""
    from paincast.evidence.synthesis import computed_file

    held = computed_file.load_file()
    asked = []

    def arrange(change=lambda content: content):
        def compute(studies):
            asked.append(studies)
            return change(deepcopy(held))

        monkeypatch.setattr(computed_file, "compute_file", compute)
        monkeypatch.setattr(computed_file, "load_file", lambda: held)
        monkeypatch.setattr(computed_file, "COMPUTED", tmp_path / "computed.yaml")
        return asked

    return arrange


def raise_facet(content):
    content["records"]["facet_rfa__lumbar_facet"]["curve"][6.0]["share"] += 0.25
    return content


def test_without_a_change_no_figure_moves(tell, recompute, tmp_path):
    recompute()
    code, out, _ = tell("evidence", "diff")
    assert (code, out) == (0, "no figure moves\n")
    assert not (tmp_path / "computed.yaml").exists()


def test_what_moves_is_written_as_a_table(tell, recompute, tmp_path):
    recompute(raise_facet)
    code, out, _ = tell("evidence", "diff", "-o", "moved.csv")
    assert (code, out) == (0, "written: moved.csv\n")
    [row] = pd.read_csv(tmp_path / "moved.csv").to_dict("records")
    assert (row["record"], row["figure"]) == ("facet_rfa__lumbar_facet", "curve 6.0: share")
    assert row["change"] == pytest.approx(0.25)
    assert not (tmp_path / "computed.yaml").exists()


def test_what_was_computed_is_written_into_the_package_where_asked(tell, recompute, tmp_path):
    recompute(raise_facet)
    code, _, err = tell("evidence", "diff", "--write")
    assert code == 0
    assert "computed.yaml" in err
    assert (tmp_path / "computed.yaml").stat().st_size > 100_000


def test_studies_of_files_are_added(tell, recompute, tmp_path):
    asked = recompute()
    content = read_yaml(EVIDENCE_FOLDER / "studies" / "davis2018.yaml")
    (tmp_path / "new2030.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    assert tell("evidence", "diff", "new2030.yaml")[0] == 0
    [studies] = asked
    assert "new2030" in studies
    (tmp_path / "wrong2030.yaml").write_text(yaml.safe_dump(content | {"design": "opinion"}), encoding="utf-8")
    code, _, err = tell("evidence", "diff", "wrong2030.yaml")
    assert code == 2
    assert "study wrong2030" in err


@pytest.mark.parametrize("arguments", [["facet_rfa", "--write"], ["--write"], ["facet_rfa", "new2030.yaml"]])
def test_files_and_writing_belong_to_diff(tell, tmp_path, arguments):
    (tmp_path / "new2030.yaml").write_text("{}", encoding="utf-8")
    code, _, err = tell("evidence", *arguments)
    assert code == 2
    assert "diff" in err
