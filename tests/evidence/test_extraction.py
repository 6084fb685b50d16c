"""The extraction table: every study can be identified, its figures agree, and what contradicts itself is refused."""

from __future__ import annotations

import io
import re
from copy import deepcopy
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

import paincast.evidence
from paincast.cli.app import run
from paincast.errors import DataError
from paincast.evidence.comparators import CONTROL_KINDS
from paincast.evidence.synthesis.extraction import load_studies, parse_study, tabulate_results
from paincast.evidence.synthesis.study import DENOMINATORS
from paincast.schema import TECHNIQUES

FOLDER = Path(paincast.evidence.__file__).parent / "studies"


@pytest.fixture
def nandi() -> dict[str, Any]:
    content = deepcopy(yaml.safe_load((FOLDER / "nandi2017.yaml").read_text(encoding="utf-8")))
    association = {"of": "caudal route", "outcome": "pain", "direction": "better", "column": "approach", "value": 2.0}
    content["associations"] = [{**association, "contrast": {"equals": "caudal"}, "measure": "adjusted odds ratio"}]
    content["harms"] = [{"event": "infection", "severity": "serious", "per": "patient", "kind": "infection"}]
    return content


def test_every_study_is_read_and_can_be_found_again():
    studies = load_studies()
    assert set(studies) == {path.stem for path in FOLDER.glob("*.yaml")}
    for study in studies.values():
        assert study.doi.startswith("10.") or study.pmid.isdecimal() or study.unidentified, study.id
        assert study.read_at.startswith("http"), study.id
    identifiers = [study.doi.lower() for study in studies.values() if study.doi]
    assert pd.Series(identifiers)[lambda ids: ids.duplicated()].tolist() == []


def test_a_count_and_its_denominator_are_of_the_same_arm():
    results = tabulate_results("epidural_steroid_injection").set_index(["study", "arm", "month"])
    steroid, placebo = results.loc[("nandi2017", "steroid", 3.0)], results.loc[("nandi2017", "placebo", 3.0)]
    assert (steroid["events"], steroid["n"]) == (28, 47)
    assert (placebo["events"], placebo["n"], placebo["arm_kind"]) == (22, 46, "placebo injection")
    assert set(tabulate_results()["denominator"]) <= set(DENOMINATORS)


@pytest.mark.parametrize(
    ("path", "value", "code"),
    [
        (("design",), "trial", "PC-EVIDENCE-13"),
        (("colour",), "blue", "PC-EVIDENCE-09"),
        (("doi",), None, "PC-EVIDENCE-32"),
        (("arms", "placebo", "kind"), "saline", "PC-EVIDENCE-13"),
        (("results", 0, "arm"), "sham", "PC-EVIDENCE-13"),
        (("results", 0, "n"), None, "PC-EVIDENCE-33"),
        (("results", 0, "events"), 48, "PC-EVIDENCE-34"),
        (("results", 0, "share"), 1.2, "PC-EVIDENCE-35"),
        (("results", 0, "share"), 0.5, "PC-EVIDENCE-36"),
        (("results", 0, "ci95"), [0.7, 0.9], "PC-EVIDENCE-37"),
        (("results", 0, "month"), "three", "PC-EVIDENCE-49"),
        (("results", 0, "month"), -3, "PC-EVIDENCE-50"),
        (("arms", "steroid", "n_randomised"), 12, "PC-EVIDENCE-51"),
        (("results", 0, "events"), 30.5, "PC-EVIDENCE-49"),
        (("arms",), 5, "PC-EVIDENCE-49"),
        (("harms", 0, "kind"), "infectoin", "PC-EVIDENCE-13"),
        (("associations", 0, "contrast"), {"equals": "caudel"}, "PC-EVIDENCE-13"),
        (("associations", 0, "p"), 7, "PC-EVIDENCE-52"),
        (("associations", 0, "value"), -2, "PC-EVIDENCE-53"),
        (("associations", 0, "ci95"), [5, 1], "PC-EVIDENCE-55"),
    ],
)
def test_what_contradicts_itself_is_refused(nandi, path, value, code):
    *outer, last = path
    entry = nandi
    for key in outer:
        entry = entry[key]
    if value is None:
        del entry[last]
        if path == ("doi",):
            del nandi["pmid"]
    else:
        entry[last] = value
    with pytest.raises(DataError) as refused:
        parse_study("nandi2017", nandi)
    assert refused.value.code == code
    assert "study nandi2017" in str(refused.value)


@pytest.mark.parametrize("technique", [name for name in TECHNIQUES if name != "bariatric_embolization"])
def test_the_command_writes_the_studies_of_a_technique(technique, capsys):
    assert run(["evidence", technique, "--studies"]) == 0
    table = pd.read_csv(io.StringIO(capsys.readouterr().out), dtype={"pmid": str})
    assert table["study"].nunique() >= 3
    assert technique in set(table["technique"])


def test_only_studies_of_the_table_can_be_named_and_each_once(nandi, tmp_path, capsys):
    for changes, code in (
        ({"overlaps": ["nosuch2020"]}, "PC-EVIDENCE-13"),
        ({"pools": ["nosuch2020"]}, "PC-EVIDENCE-13"),
    ):
        (tmp_path / "new2026.yaml").write_text(yaml.safe_dump({**nandi, "pmid": "1", "doi": "10.1/x", **changes}))
        assert run(["evidence", "diff", str(tmp_path / "new2026.yaml")]) == 2
        assert code in capsys.readouterr().err
    other = tmp_path / "again" / "new2026.yaml"
    other.parent.mkdir()
    other.write_text(yaml.safe_dump(nandi))
    assert run(["evidence", "diff", str(tmp_path / "new2026.yaml"), str(other)]) == 2
    assert "PC-EVIDENCE-54" in capsys.readouterr().err
    (tmp_path / "Bad Name.yaml").write_text(yaml.safe_dump(nandi))
    assert run(["evidence", "diff", str(tmp_path / "Bad Name.yaml")]) == 2
    assert "PC-EVIDENCE-48" in capsys.readouterr().err


def test_near_complete_relief_is_at_least_75_per_cent_or_no_pain():
    for study in load_studies().values():
        for result in study.results:
            words = result.definition.lower()
            strict = re.search(
                r"(pain.free|no pain|complete (pain )?relief|complete suppression|(75|80) % (less|pain))", words
            )
            mixed = re.search(r"partial|no pain of|much better|free of recurrence", words)
            if result.outcome == "near_complete_relief":
                assert strict, (study.id, words)
            if result.outcome == "pain_relief_other":
                assert not strict or mixed, (study.id, words)


def test_studies_are_listed_whole(capsys):
    assert run(["evidence", "facet_rfaa", "--studies"]) == 2
    assert "did you mean 'facet_rfa'" in capsys.readouterr().err
    assert run(["evidence", "facet_rfa", "--indication", "lumbar_facet", "--studies"]) == 2
    assert "--studies" in capsys.readouterr().err


def test_the_documented_counts_are_those_of_the_table():
    studies = load_studies().values()
    arms = [arm for study in studies for arm in study.arms.values()]
    found = [sum(len(getattr(study, name)) for study in studies) for name in ("results", "associations", "harms")]
    text = (Path(__file__).parents[2] / "docs" / "evidence.md").read_text(encoding="utf-8")
    for row in (
        f"| studies | {len(studies)} |",
        f"| arms, of them controls | {len(arms)}, {sum(arm.kind in CONTROL_KINDS for arm in arms)} |",
        f"| results, associations, harms | {', '.join(map(str, found))} |",
        f"{sum(not (study.doi or study.pmid) for study in studies)} of {len(studies)} studies have no",
    ):
        assert row in text
