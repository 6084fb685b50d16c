"""Promotion through a gate and the way back, in a store of its own."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from mlflow import MlflowClient

from paincast.cli.app import run as run_command
from paincast.errors import DataError, RefusalError, SettingsError
from paincast.predictor import add_version
from paincast.predictor.bundle import read_signing_key
from paincast.predictor.validation import Validation, format_validations
from paincast.schema import RESEARCH_MARK
from paincast.serving.predict import load_model, load_models
from paincast.settings import CARD_ITEMS, GateSettings, TrackingSettings
from paincast.tracking import (
    ModelRun,
    Store,
    find_tracked_model,
    log_model_run,
    prepare_store,
    promote,
    resolve_store,
    roll_back,
    start_training,
)

pytestmark = pytest.mark.slow

NAME = "paincast.genicular_rfa.pain_response"
RESEARCH = GateSettings(name="research", research_use=True, bases=["synthetic", "real"], minimum_real=0)
INTERVALS = {
    "auroc": (0.70, 0.66, 0.74),
    "auroc_above_truth": (-0.02, -0.04, 0.01),
    "log_loss_gain": (0.06, 0.04, 0.08),
    "calibration_slope": (1.0, 0.87, 1.13),
    "ici": (0.02, 0.01, 0.04),
}


def tabulate(intervals: dict[str, tuple[float, float, float]]) -> pd.DataFrame:
    rows = [(metric, "overall", *interval, 2000, "a test") for metric, interval in intervals.items()]
    return pd.DataFrame(rows, columns=["metric", "group", "estimate", "lower", "upper", "n", "method"])


def tabulate_items(**statuses: str) -> pd.DataFrame:
    """Make a checklist in which all that gates ask for is filled, but for those named."""
    items = {**dict.fromkeys(CARD_ITEMS, "filled"), **statuses}
    return pd.DataFrame({"item": list(items), "status": list(items.values())})


def make_good(model: ModelRun, **changes: object) -> ModelRun:
    """Give a recorded model evidence that every gate of these tests accepts."""
    gains = tabulate({"net_benefit_difference": (0.02, 0.01, 0.03)}).assign(
        threshold=0.5, strategy="model", band_lower=0.005, band_upper=0.035
    )
    tipping = pd.DataFrame({"shift": [0.0, 0.9], "odds_ratio": [1.0, 2.5], "tips": [False, True]})
    good = {
        "n_real": 2000,
        "metrics": tabulate(INTERVALS),
        "params": {"evaluation.confidence": 0.95},
        "tables": {
            "subgroups": tabulate({"o_e_ratio": (1.0, 0.9, 1.1)}).assign(group="sex: female"),
            "decision_curve": pd.concat([gains.assign(versus="treat_all"), gains.assign(versus="treat_none")]),
            "sample_size": pd.DataFrame({"criterion": ["risk"], "n": [385], "available": [2000], "met": [True]}),
            "observation_weights": pd.DataFrame({"measure": ["asked", "lost"], "value": [2200.0, 200.0]}),
            "tipping_point": tipping.assign(verdict="calibrated in the large"),
            "held_out_site": tabulate({"o_e_ratio": (1.01, 0.9, 1.1)}).assign(n_groups=6.0),
            "checklist": tabulate_items(tripod_18a="missing"),
        },
        "figures": {},
    }
    return replace(model, **{**good, **changes})


@dataclass
class Registry:
    """A store of one test, and how a version comes into it."""

    store: Store
    model: ModelRun

    @property
    def client(self) -> MlflowClient:
        return MlflowClient(tracking_uri=self.store.uri)

    @property
    def champion(self) -> int:
        return int(self.client.get_registered_model(NAME).aliases["champion"])

    def add(self, **changes: object) -> str:
        """Record and register a model; give the id of its run."""
        with start_training(self.store, "a test", params={}, tags={}, config_yaml="") as training:
            return log_model_run(training, make_good(self.model, **changes)).run_id

    @property
    def uses(self) -> list[str]:
        """Give what each version may be used for, and check that its run says the same."""
        versions = sorted(self.client.search_model_versions(f"name='{NAME}'"), key=lambda one: int(one.version))
        told = [version.tags["use"] for version in versions]
        assert [self.client.get_run(version.run_id).data.tags["use"] for version in versions] == told
        return told

    def look(self) -> dict[str, object]:
        """Give all that a promotion could change."""
        model = self.client.get_registered_model(NAME)
        versions = self.client.search_model_versions(f"name='{NAME}'")
        runs = [self.client.get_run(version.run_id) for version in versions]
        return {
            "model": (model.aliases, model.tags),
            "versions": [(version.version, version.tags, version.description) for version in versions],
            "runs": [run.data.to_dictionary() for run in runs],
            "files": [[file.path for file in self.client.list_artifacts(run.info.run_id, "tables")] for run in runs],
        }


@pytest.fixture(scope="module")
def empty(tmp_path_factory) -> Store:
    """Make a store that is made once and copied, which is quicker."""
    folder = tmp_path_factory.mktemp("empty")
    # Named: the store of another test may stand in the environment.
    store = resolve_store(TrackingSettings(uri=f"sqlite:///{folder}/mlflow.db"), folder)
    prepare_store(store)
    return store


@pytest.fixture
def registry(empty, recorded, tmp_path) -> Registry:
    shutil.copy(empty.database, tmp_path / "mlflow.db")
    return Registry(replace(empty, uri=f"sqlite:///{tmp_path}/mlflow.db"), recorded.model)


@pytest.mark.parametrize("basis", ["real", "blended", "synthetic"])
def test_what_is_recorded_is_for_research_until_it_is_promoted_for_care(registry, basis):
    registry.add(basis=basis)
    assert registry.uses == [RESEARCH_MARK]
    promote(registry.store, f"{NAME}/1", GateSettings())
    assert registry.uses == [RESEARCH_MARK if basis == "synthetic" else ""]


def test_a_champion_of_an_earlier_release_keeps_its_right_and_gives_it_back(registry):
    for _ in range(2):
        registry.add()
        promote(registry.store, f"{NAME}@candidate", GateSettings())
    # Earlier releases left the mark of a former champion as its gate had set it, and did not keep it apart.
    registry.client.delete_model_version_tag(NAME, "1", "promoted_use")
    registry.client.set_model_version_tag(NAME, "1", "use", "")
    assert roll_back(registry.store, NAME).use == ""
    registry.client.delete_model_version_tag(NAME, "1", "promoted_use")
    promote(registry.store, f"{NAME}/2", GateSettings())
    assert registry.client.get_model_version(NAME, "1").tags["use"] == RESEARCH_MARK
    assert roll_back(registry.store, NAME).use == ""


def test_a_further_month_is_registered_and_promoted_under_a_name_of_its_own(registry):
    registry.add()
    further = add_version(replace(registry.model.predictor, is_primary=False))
    run_id = registry.add(predictor=further)
    name = f"{NAME}.month-{registry.model.horizon_months:02g}"
    assert {model.name for model in registry.client.search_registered_models()} == {NAME, name}
    assert registry.client.get_run(run_id).info.run_name.endswith(f"month {registry.model.horizon_months:g}")
    done = promote(registry.store, f"{name}@candidate", GateSettings())
    assert (done.model_name, done.version, done.verdict.passed) == (name, 1, True)
    assert registry.client.get_registered_model(NAME).aliases.keys() == {"candidate"}


def test_a_good_model_becomes_champion_and_carries_the_verdict(registry):
    run_id = registry.add()
    done = promote(registry.store, f"{NAME}@candidate", GateSettings())
    assert (done.verdict.passed, done.version, done.former) == (True, 1, None)
    version = registry.client.get_model_version_by_alias(NAME, "champion")
    assert {"verdict": "passes", "gate": "default", "unmet": "", "use": ""}.items() <= version.tags.items()
    assert version.tags["promoted_at"].endswith("+00:00")
    assert version.description.startswith("Promoted to champion on 20")
    assert "Out-of-fold performance" in version.description
    table = pd.read_csv(registry.client.download_artifacts(run_id, "tables/verdict_default.csv"))
    assert set(table["status"]) == {"passed", "not asked"}
    assert table.set_index("criterion").loc["model_card", "reason"] == f"{len(CARD_ITEMS)} items are filled"


def test_a_promotion_keeps_the_card_and_what_a_reviewer_wrote(registry):
    registry.add()
    card = f"# The card\n\nLooked at the calibration, M. R.\n\n{'A word. ' * 700}"
    registry.client.update_model_version(NAME, "1", description=card)
    for gate in (RESEARCH, GateSettings()):
        promote(registry.store, f"{NAME}/1", gate)
    told = registry.client.get_model_version_by_alias(NAME, "champion").description
    assert told.startswith("Promoted to champion on 20")
    assert told.count("Promoted to champion") == 1
    assert told.split("\n\n")[1:3] == card.split("\n\n")[:2]
    assert 4900 < len(told) <= 5000


@pytest.mark.parametrize(
    ("changes", "criteria", "unmet"),
    [
        (
            {"metrics": tabulate({**INTERVALS, "calibration_slope": (0.5, 0.4, 0.6)})},
            {},
            ["stability", "calibration_slope"],
        ),
        ({"metrics": tabulate({**INTERVALS, "auroc": (0.98, 0.97, 0.99)})}, {}, ["leak"]),
        ({"n_real": 47}, {}, ["n_real"]),
        ({"basis": "synthetic", "n_real": 0}, {}, ["basis", "n_real"]),
        (
            {"tables": {}, "params": {}},
            {},
            [
                *("sample_size", "stability", "follow_up", "tipping_point", "confidence", "o_e_elsewhere"),
                *("net_benefit", "subgroups", "model_card"),
            ],
        ),
        ({}, {"card_items": ["tripod_20a", "tripod_18a"]}, ["model_card"]),
        (
            {"metrics": tabulate({**INTERVALS, "ici": (0.06, 0.04, 0.08), "o_e_ratio": (0.7, 0.6, 0.8)}), "n_real": 9},
            {},
            ["n_real", "ici"],
        ),
    ],
)
def test_a_refused_promotion_says_why_and_changes_nothing(registry, changes, criteria, unmet):
    registry.add(**changes)
    before = registry.look()
    done = promote(registry.store, f"{NAME}/1", GateSettings(**criteria))
    assert [one.criterion for one in done.verdict.unmet] == unmet
    assert registry.look() == before


def test_a_model_that_other_patients_contradict_is_refused(registry):
    registry.add()
    version = registry.client.get_model_version(NAME, "1")
    found = Validation(
        cohort="elsewhere", content="c", n=110, o_e=0.18, lower=0.08, upper=0.3, contradicts=True, groups=()
    )
    tag = format_validations([found], version.tags["model_content"])
    registry.client.set_model_version_tag(NAME, "1", "validations", tag)
    for criteria in (GateSettings(), RESEARCH):
        refused = promote(registry.store, f"{NAME}/1", criteria).verdict.unmet
        assert [one.criterion for one in refused] == ["o_e_elsewhere"]
        assert "elsewhere, n = 110: 0.18 (0.08 to 0.3)" in refused[0].reason
    of_another = format_validations([found], "another")
    registry.client.set_model_version_tag(NAME, "1", "validations", of_another)
    assert promote(registry.store, f"{NAME}/1", GateSettings()).verdict.passed


@pytest.mark.parametrize("item", CARD_ITEMS)
def test_a_model_that_lacks_an_item_of_its_card_is_refused_by_its_name(registry, item):
    tables = make_good(registry.model).tables
    registry.add(tables={**tables, "checklist": tabulate_items(**{item: "missing"})})
    done = promote(registry.store, f"{NAME}/1", GateSettings())
    assert [(one.criterion, one.status, one.reason) for one in done.verdict.unmet] == [
        ("model_card", "missing", f"missing: {item}")
    ]


def test_an_item_that_does_not_apply_is_not_missed(registry):
    tables = make_good(registry.model).tables
    registry.add(tables={**tables, "checklist": tabulate_items(tripod_10="does not apply")})
    assert promote(registry.store, f"{NAME}/1", GateSettings()).verdict.passed


def test_what_was_recorded_is_judged_as_it_was_when_recorded(registry):
    run_id = registry.add()
    recorded = pd.read_csv(registry.client.download_artifacts(run_id, "tables/verdict_default.csv"))
    again = promote(registry.store, run_id, GateSettings()).verdict.to_frame()
    pd.testing.assert_frame_equal(recorded.fillna(""), again, check_dtype=False)


def test_a_simulated_model_is_champion_for_research_only_and_says_so(registry):
    run_id = registry.add(basis="synthetic", n_real=0)
    done = promote(registry.store, f"models:/{NAME}/1", RESEARCH)
    assert done.verdict.mark == RESEARCH_MARK
    version = registry.client.get_model_version_by_alias(NAME, "champion")
    assert version.tags["use"] == RESEARCH_MARK
    assert "**Research use only.**" in version.description.splitlines()[0]
    assert registry.client.get_run(run_id).data.tags["use"] == RESEARCH_MARK
    assert registry.client.get_registered_model(NAME).tags["champion_use"] == RESEARCH_MARK


def test_the_mark_goes_when_a_stricter_gate_accepts(registry):
    registry.add()
    promote(registry.store, f"{NAME}/1", RESEARCH)
    assert promote(registry.store, f"{NAME}/1", GateSettings()).former == 1
    assert registry.client.get_model_version_by_alias(NAME, "champion").tags["use"] == ""
    assert registry.client.get_registered_model(NAME).tags["champion_use"] == ""
    with pytest.raises(RefusalError, match="no champion before version 1"):
        roll_back(registry.store, NAME)


def test_of_three_champions_each_goes_back_to_the_one_before(registry):
    for number in (1, 2, 3):
        registry.add()
        assert promote(registry.store, f"{NAME}@candidate", GateSettings()).former == (number - 1 or None)
    assert json.loads(registry.client.get_registered_model(NAME).tags["former_champions"]) == [1, 2]
    assert registry.uses == [RESEARCH_MARK, RESEARCH_MARK, ""]
    first = roll_back(registry.store, NAME)
    assert (first.demoted, first.restored, registry.champion) == (3, 2, 2)
    assert registry.uses == [RESEARCH_MARK, "", RESEARCH_MARK]
    assert "rolled_back_at" in registry.client.get_model_version(NAME, "3").tags
    assert roll_back(registry.store, NAME).restored == 1
    before = registry.look()
    with pytest.raises(RefusalError, match="no champion before version 1, so there is nothing to go back to"):
        roll_back(registry.store, NAME)
    assert registry.look() == before


def test_an_earlier_champion_promoted_again_is_gone_back_over_once(registry):
    registry.add()
    registry.add()
    for version in (1, 2, 1):
        promote(registry.store, f"{NAME}/{version}", GateSettings())
    assert [roll_back(registry.store, NAME).restored for _ in range(2)] == [2, 1]
    with pytest.raises(RefusalError, match="nothing to go back to"):
        roll_back(registry.store, NAME)


def test_rolling_back_brings_the_mark_of_the_one_before(registry):
    registry.add(basis="synthetic", n_real=0)
    promote(registry.store, f"{NAME}/1", RESEARCH)
    registry.add()
    promote(registry.store, f"{NAME}/2", GateSettings())
    assert roll_back(registry.store, NAME).use == RESEARCH_MARK
    assert registry.client.get_registered_model(NAME).tags["champion_use"] == RESEARCH_MARK


def test_a_former_champion_that_was_deleted_is_named(registry):
    for _ in range(2):
        registry.add()
        promote(registry.store, f"{NAME}@candidate", GateSettings())
    registry.client.delete_model_version(NAME, "1")
    with pytest.raises(DataError, match="has no version 1; it has 2"):
        roll_back(registry.store, NAME)
    assert registry.champion == 2


def test_what_is_not_there_is_said_with_what_is(registry):
    registry.add()
    for source, told in (
        ("paincast.genicular_rfa.pain_respons/1", f"did you mean '{NAME}'"),
        (f"{NAME}/7", "has no version 7; it has 1"),
        (f"{NAME}@champoin", "has no alias 'champoin'; known: candidate"),
        ("0" * 32, f"there is no run|run {'0' * 32} has no registered version"),
        ("whatever", "'whatever' does not name a model; allowed: the id of a run"),
    ):
        with pytest.raises(DataError, match=told):
            promote(registry.store, source, GateSettings())
    with pytest.raises(RefusalError, match="has no champion; nothing was changed"):
        roll_back(registry.store, NAME)


def test_a_run_of_another_model_is_no_evidence(registry):
    run_id = registry.add()
    registry.client.create_registered_model("paincast.facet_rfa.pain_response")
    registry.client.create_model_version("paincast.facet_rfa.pain_response", "file:///nowhere", run_id=run_id)
    with pytest.raises(DataError, match=f"comes from a run of {NAME}: its evidence is another's"):
        promote(registry.store, "paincast.facet_rfa.pain_response/1", GateSettings())


def test_a_version_without_a_run_has_no_evidence(registry):
    registry.add()
    registry.client.create_model_version(NAME, "file:///nowhere")
    with pytest.raises(DataError, match="was registered without a run, which holds its evidence"):
        promote(registry.store, f"{NAME}/2", GateSettings())


def test_a_recorded_model_is_found_with_what_it_was_trained_on(registry):
    run_id = registry.add()
    by_run, by_version = (find_tracked_model(registry.store, source) for source in (run_id, f"{NAME}/1"))
    assert by_run.address == f"runs:/{run_id}/model"
    assert by_version.address == f"models:/{NAME}/1"
    assert by_run.digests == by_version.digests == {registry.model.dataset.digest}


def test_nothing_of_the_store_is_left_set(registry, monkeypatch):
    registry.add()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:////elsewhere/mlflow.db")
    promote(registry.store, f"{NAME}/1", GateSettings())
    assert mlflow.get_tracking_uri() == "sqlite:////elsewhere/mlflow.db"


def test_the_commands_say_what_they_did_and_exit_with_2_when_refused(registry, tmp_path, capsys):
    registry.add()
    registry.add(n_real=47)
    store = ("--tracking-uri", registry.store.uri)
    assert run_command(["promote", f"{NAME}/1", *store]) == 0
    out = capsys.readouterr().out
    assert "passed     calibration_slope: 1 (0.87 to 1.13) (required: interval within 0.8 to 1.25)" in out
    assert f"{NAME} version 1 is champion: models:/{NAME}@champion" in out
    assert run_command(["promote", f"{NAME}/2", *store]) == 2
    said = capsys.readouterr()
    assert "failed     n_real: 47 real episodes (required: at least 100 real episodes)" in said.out
    assert "version 2 is not promoted: refused by gate 'default' (1 of 16 criteria: n_real); nothing was" in said.err
    assert registry.champion == 1
    faults = {"ici": (0.06, 0.04, 0.08), "auroc": (0.98, 0.97, 0.99)}
    checklist = {"checklist": tabulate_items(tripod_20a="missing")}
    wrong = {"metrics": tabulate({**INTERVALS, **faults}), "tables": {**make_good(registry.model).tables, **checklist}}
    registry.add(n_real=9, **wrong)
    assert run_command(["promote", f"{NAME}/3", *store]) == 2
    said = capsys.readouterr()
    assert re.findall(r"^(?:failed|missing) +(\w+): .+ \(required: .+\)$", said.out, re.MULTILINE) == [
        *("n_real", "leak", "ici", "model_card")
    ]
    assert "(4 of 16 criteria: n_real, leak, ici, model_card); nothing was changed" in said.err
    Path(tmp_path, "ours.yaml").write_text("minimum_real: 40\n")
    assert run_command(["promote", f"{NAME}/2", "--gate", str(tmp_path / "ours.yaml"), *store]) == 0
    assert "version 2 is champion, before it version 1" in capsys.readouterr().out
    assert registry.client.get_model_version(NAME, "2").tags["gate"] == "ours"
    assert run_command(["rollback", NAME, *store]) == 0
    assert f"{NAME}: version 1 is champion again, in place of version 2" in capsys.readouterr().out
    assert run_command(["rollback", NAME, *store]) == 2
    assert "nothing was changed" in capsys.readouterr().err


@pytest.fixture
def keys(tmp_path) -> Path:
    """Keys of two people; the public ones end in ``.pub``."""
    folder = tmp_path / "keys"
    folder.mkdir()
    for name in ("ours", "other"):
        key = Ed25519PrivateKey.generate()
        (folder / name).write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        (folder / name).chmod(0o600)
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (folder / f"{name}.pub").write_bytes(public)
    return folder


@pytest.fixture
def served(registry, monkeypatch) -> Registry:
    """The store as the one that models are loaded from."""
    mlflow.set_tracking_uri(None)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", registry.store.uri)
    yield registry
    mlflow.set_tracking_uri(None)


def test_a_promotion_signs_what_passes_and_the_signature_travels(served, keys, tmp_path):
    served.add()
    done = promote(served.store, f"{NAME}@candidate", GateSettings(), signing_key=keys / "ours")
    assert done.signed_by == read_signing_key(keys / "ours").name
    assert json.loads(served.client.get_model_version(NAME, "1").tags["signature"])["key"] == done.signed_by
    for address in (f"models:/{NAME}@champion", f"models:/{NAME}/1"):
        expected = load_model(address)
        assert load_model(address, trusted_keys=keys / "ours.pub").version == expected.version
        with pytest.raises(DataError, check=lambda error: error.code == "PC-MODEL-48"):
            load_model(address, trusted_keys=keys / "other.pub")
    [run] = [version.run_id for version in served.client.search_model_versions(f"name='{NAME}'")]
    assert load_model(f"runs:/{run}/model", trusted_keys=keys / "ours.pub").version == expected.version
    folder = mlflow.artifacts.download_artifacts(f"models:/{NAME}@champion", dst_path=str(tmp_path / "fetched"))
    assert load_models(folder, trusted_keys=keys / "ours.pub").keys() == {expected.name}
    assert mlflow.pyfunc.load_model(f"models:/{NAME}@champion").metadata is not None

    # Another reviewer promotes again: the later signature counts.
    promote(served.store, f"{NAME}/1", GateSettings(), signing_key=keys / "other")
    assert load_model(f"models:/{NAME}@champion", trusted_keys=keys / "other.pub").version == expected.version
    # Without a key the signature stays.
    assert promote(served.store, f"{NAME}/1", GateSettings()).signed_by == ""
    assert load_model(f"models:/{NAME}@champion", trusted_keys=keys / "other.pub").version == expected.version


def test_what_is_refused_or_cannot_be_signed_stays_unsigned(served, keys):
    served.add(n_real=20)
    before = served.look()
    done = promote(served.store, f"{NAME}@candidate", GateSettings(), signing_key=keys / "ours")
    assert (done.verdict.passed, done.signed_by) == (False, "")
    (keys / "ours").chmod(0o644)
    with pytest.raises(SettingsError, check=lambda error: error.code == "PC-MODEL-44"):
        promote(served.store, f"{NAME}@candidate", RESEARCH, signing_key=keys / "ours")
    assert served.look() == before
    with pytest.raises(DataError, check=lambda error: error.code == "PC-MODEL-46"):
        load_model(f"models:/{NAME}@candidate", trusted_keys=keys / "ours.pub")


def test_the_command_signs_and_says_by_which_key(served, keys, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    served.add()
    command = ["promote", f"{NAME}@candidate", "--tracking-uri", served.store.uri, "--sign"]
    assert run_command([*command, str(keys / "absent")]) == 2
    assert "PC-MODEL-45" in capsys.readouterr().err
    assert run_command([*command, str(keys / "ours")]) == 0
    assert f"signed by key {read_signing_key(keys / 'ours').name}" in capsys.readouterr().out
