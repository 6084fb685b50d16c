"""Studies are pooled by record and month, each patient once, beside the curve that was set by hand."""

from __future__ import annotations

import io

import pandas as pd
import pytest

from paincast.cli.app import run
from paincast.evidence.records import load_record
from paincast.evidence.synthesis.extraction import load_studies
from paincast.evidence.synthesis.pooling import NOT_PRIMARY, _select_counts, pool_responses
from paincast.schema import TECHNIQUES

SIMULATED = [name for name in TECHNIQUES if name != "bariatric_embolization"]


@pytest.mark.parametrize("technique", SIMULATED)
def test_only_primary_studies_of_the_technique_count_and_each_patient_once(technique):
    studies = load_studies()
    for names in pool_responses(technique)["of"].dropna():
        ids = [name for name in names.split(", ") if name]
        for name in ids:
            assert studies[name].design not in NOT_PRIMARY
            assert technique in {arm.technique for arm in studies[name].arms.values()}
            assert not set(studies[name].overlaps) & set(ids)


def test_counts_are_those_of_the_files():
    table = pool_responses("facet_rfa").set_index("month")
    assert table.loc[3.0, ["studies", "n", "of"]].tolist() == [1, 20, "crfa_fji2023"]
    genicular = pool_responses("genicular_rfa").set_index("month")
    davis = {result.month: (result.events, result.n) for result in load_studies()["davis2018"].results[:1]}
    assert davis == {6.0: (43, 58)}
    assert "davis2018" in genicular.loc[6.0, "of"]
    assert "davis2019" not in genicular.loc[6.0, "of"]


def test_controls_and_patients_counted_before_are_left_out():
    record = load_record("spinal_cord_stimulation", "failed_back_surgery")
    assert _select_counts(record, 24.0)["process2008"] == (17, 46)
    caudal = load_record("epidural_steroid_injection", "lumbar_radicular_disc", "caudal")
    assert _select_counts(caudal, 12.0)["manchikanti2011caudal"] == (46, 60)


def test_the_curve_stands_beside_and_what_nobody_counted_is_missing():
    table = pool_responses("genicular_artery_embolization").set_index("month")
    record = load_record("genicular_artery_embolization", "knee_osteoarthritis")
    assert table["curve"].to_dict() == dict(record.response.months)
    empty = table[table["studies"] == 0]
    assert empty[["share", "lower", "upper", "predicted_lower", "n"]].isna().all().all()
    full = pool_responses("spinal_cord_stimulation").query("studies > 0")
    assert (full["predicted_lower"] < full["lower"]).all()
    assert (full["upper"] < full["predicted_upper"]).all()


def test_the_command_writes_the_pooled_table(capsys):
    assert run(["evidence", "si_joint_rfa", "--pooled"]) == 0
    written = pd.read_csv(io.StringIO(capsys.readouterr().out))
    assert written["studies"].tolist() == pool_responses("si_joint_rfa")["studies"].tolist()
    for arguments in (["--pooled"], ["si_joint_rfa", "--pooled", "--studies"], ["si_joint_rfaa", "--pooled"]):
        assert run(["evidence", *arguments]) == 2
