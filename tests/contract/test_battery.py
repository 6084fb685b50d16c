"""What holds for a built-in column holds for one of a registry's own: one battery for both."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest
from own_registry import CONTRACT, MAPPING, make_patients, write_registry

from paincast.cohort.registry.ingestion import ingest
from paincast.cohort.tables import Cohort, conform, load_cohort, save_cohort
from paincast.cohort.validate import validate_patients, validate_tables
from paincast.contract import BUILT_IN, Contract, restore_contract
from paincast.contract.reading import load_contract
from paincast.errors import RefusalError, SettingsError
from paincast.evaluation.groups import make_audit_attributes
from paincast.evidence.rules import TechniqueRules
from paincast.explain import compute_waterfall, explain_model, list_reasons, review_explanation
from paincast.features import EpisodeEncoder
from paincast.models.binary.response import fit_response_model
from paincast.models.binary.surroundings import Surroundings
from paincast.models.domain import flag_out_of_domain
from paincast.models.release import release_response
from paincast.predictor import Predictor, add_version, load_predictor, save_predictor
from paincast.reporting.figures.axes import make_axes
from paincast.reporting.figures.explanation import draw_dependence, plot_ranked_importance
from paincast.reporting.figures.waterfall import plot_waterfall
from paincast.serving.batch import predict_file, read_predictions
from paincast.serving.overlap import require_contract, separate_trained_on
from paincast.serving.predict import predict
from paincast.settings import ModelSettings, TrainingSettings, UncertaintySettings
from paincast.tracking.dataset import summarize_dataset
from paincast.tracking.served.signature import describe_columns, make_signature

N = 260


@dataclass(frozen=True)
class Twin:
    """A column and values of it: those of patients, and one that its declaration does not allow."""

    name: str
    label: str
    values: tuple[object, ...]
    wrong: object
    rule: str


PAIRS = {
    "number, built in": Twin("opioid_mme", "opioid dose", (0.0, 20.0, 60.0, 120.0), 9999, "range"),
    "number, own": Twin("crp_mg_l", "CRP", (0.0, 2.0, 6.0, 120.0), 9999, "range"),
    "boolean, built in": Twin("smoker", "smoker", (True, False), "perhaps", "boolean"),
    "boolean, own": Twin("prior_prp", "prior prp", (True, False), "perhaps", "boolean"),
    "category, built in": Twin(
        "work_status", "work status", ("working", "retired", "not_working"), "resting", "category"
    ),
    "category, own": Twin("modic_type", "Modic changes", ("none", "i", "ii"), "iv", "category"),
    "score, built in": Twin("odi", "disability (ODI)", (20.0, 40.0, 60.0, 80.0), 9999, "range"),
    "score, own": Twin(
        "zcq_function", "Zurich Claudication Questionnaire, physical function", (1.5, 2.0, 3.0, 4.0), 9999, "range"
    ),
}


@pytest.fixture(scope="module")
def contract(tmp_path_factory: pytest.TempPathFactory) -> Contract:
    file = tmp_path_factory.mktemp("contract") / "contract.yaml"
    file.write_text(CONTRACT)
    return load_contract(file)


@pytest.fixture(scope="module")
def episodes(contract: Contract) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    columns = {twin.name: rng.choice(np.array(twin.values, dtype=object), N) for twin in PAIRS.values()}
    ids = {"episode_id": [f"e{i}" for i in range(N)], "patient_id": [f"p{i}" for i in range(N)]}
    return conform(
        "episodes",
        pd.DataFrame(
            {
                **ids,
                **columns,
                "technique": "intradiscal_prp",
                "indication": "discogenic_pain",
                "pain_nrs": rng.integers(4, 11, N),
                "blood_group": rng.choice(["a", "b"], N),
                "payer": rng.choice(["private", "public"], N),
            }
        ),
        contract,
    )


@pytest.fixture(scope="module")
def outcome(episodes: pd.DataFrame) -> np.ndarray:
    """Every column tells of the outcome."""
    strength = sum(
        (pd.factorize(episodes[twin.name], sort=True)[0] - 1) * (0.8 if len(twin.values) > 2 else 1.0)
        for twin in PAIRS.values()
    )
    rng = np.random.default_rng(5)
    return (rng.random(N) < 1 / (1 + np.exp(-(strength - strength.mean())))).astype(float)


@pytest.fixture(scope="module")
def predictor(episodes: pd.DataFrame, outcome: np.ndarray, contract: Contract) -> Predictor:
    settings = TrainingSettings(
        model=ModelSettings(candidates=["logistic"]), uncertainty=UncertaintySettings(refits=8), jobs=1
    )
    rng = np.random.default_rng(1)
    around = Surroundings(technique="intradiscal_prp", contract=contract)
    response = fit_response_model(episodes, outcome, settings, rng, surroundings=around)
    return add_version(
        Predictor(
            technique="intradiscal_prp",
            outcome="walking_improved",
            horizon_months=6.0,
            window_months=(3.0, 9.0),
            measures=("zcq_function",),
            basis="real",
            n_training=N,
            n_events=int(outcome.sum()),
            n_real=N,
            level=0.9,
            response=release_response(response, episodes, blended=False),
            rules=TechniqueRules(indications=("discogenic_pain",)),
            contract=contract,
        )
    )


def ask(episodes: pd.DataFrame, n: int = 6) -> pd.DataFrame:
    return episodes.head(n).drop(columns=["technique"]).astype({"pain_nrs": "float64"}).dropna(axis=1, how="all")


@pytest.fixture(params=PAIRS.values(), ids=PAIRS.keys())
def twin(request: pytest.FixtureRequest) -> Twin:
    return request.param


def test_a_wrong_value_is_a_reject_without_the_value(twin, contract, episodes):
    raw = episodes.head(12)[["episode_id", "patient_id", "technique", "indication", twin.name]].astype(object)
    raw.loc[3, twin.name] = twin.wrong
    valid, rejects = validate_tables({"episodes": raw}, contract=contract)
    [reject] = rejects.to_dict("records")
    assert (reject["row"], reject["column"], reject["rule"], reject["action"]) == (
        4,
        twin.name,
        twin.rule,
        "cell emptied",
    )
    assert str(twin.wrong) not in rejects.to_csv()
    assert valid["episodes"][twin.name].isna().tolist() == [row == 3 for row in range(12)]
    typed, of_patient = validate_patients(raw, contract=contract)
    assert typed[twin.name].dtype == episodes[twin.name].dtype
    assert of_patient["column"].tolist() == [twin.name]


def test_text_is_read_in_the_type_that_is_declared(twin, contract, episodes):
    text = episodes.head(12)[["episode_id", "patient_id", "technique", twin.name]].astype("str")
    valid, rejects = validate_tables({"episodes": text}, contract=contract)
    assert rejects.empty
    pd.testing.assert_series_equal(valid["episodes"][twin.name], episodes[twin.name].head(12))


def test_a_cohort_keeps_it(twin, contract, episodes, tmp_path):
    cohort = Cohort(
        episodes=episodes,
        visits=conform("visits", pd.DataFrame({"episode_id": ["e0"], "month": [6.0]}), contract),
        events=conform("events", pd.DataFrame(), contract),
        basis="real",
        contract=contract,
    )
    save_cohort(cohort, tmp_path / "cohort")
    loaded = load_cohort(tmp_path / "cohort")
    assert loaded.contract == contract
    pd.testing.assert_series_equal(loaded.episodes[twin.name], episodes[twin.name])
    assert twin.name in {column["name"] for column in summarize_dataset(cohort, "x").columns}


def test_it_is_encoded_and_its_scale_is_that_of_its_declaration(twin, contract, episodes):
    encoder = EpisodeEncoder(contract=contract).fit(episodes)
    assert twin.name in encoder.owners
    restored = EpisodeEncoder.from_state(encoder.to_state()).set_params(contract=contract)
    np.testing.assert_array_equal(restored.transform(episodes), encoder.transform(episodes))
    [variable] = [variable for variable in encoder.variables_ if variable.name == twin.name]
    if variable.kind == "number":
        values = episodes[twin.name].to_numpy(float)
        scaled = np.log1p(values) if contract.episodes[twin.name].log_scale else values
        assert variable.centre == pytest.approx(scaled.mean())


def test_a_bundle_without_the_file_answers_the_same(twin, predictor, episodes, tmp_path):
    loaded = load_predictor(save_predictor(predictor, tmp_path / "bundle"))
    assert loaded.contract == predictor.contract
    asked = ask(episodes)
    pd.testing.assert_frame_equal(loaded.predict(asked), predictor.predict(asked))
    changed = asked.assign(**{twin.name: [twin.values[0]] * len(asked)})
    other = asked.assign(**{twin.name: [twin.values[-1]] * len(asked)})
    low, high = (loaded.predict(one)["probability"].to_numpy(float) for one in (changed, other))
    assert (np.abs(high - low) > 1e-3).all()


def test_shap_values_add_up_and_carry_its_label(twin, predictor, episodes):
    explained = predictor.explain(ask(episodes))
    assert twin.label in explained.feature_names
    served = predictor.response.linear_predictor(episodes.head(6))
    np.testing.assert_allclose(explained.values.sum(axis=1) + explained.base_values, served, atol=1e-9)


def test_it_is_a_reason_with_its_unit(twin, predictor, episodes):
    explanation = explain_model(predictor.response, episodes)
    told = [reason for both in list_reasons(explanation, most=20) for row in both for reason in row]
    values = {reason["value"] for reason in told if reason["variable"] == twin.name}
    unit = predictor.contract.episodes[twin.name].unit
    assert values
    assert unit is None or all(value.endswith(unit) for value in values)


def test_what_was_given_and_cannot_be_read_is_not_taken_for_missing(twin, predictor, episodes):
    asked = ask(episodes).astype({twin.name: object})
    asked.loc[0, twin.name] = twin.wrong
    with pytest.warns(UserWarning, match=twin.name):
        answers = predictor.predict(asked)
    assert answers["abstained"].tolist() == [True, *[False] * 5]
    assert twin.name in answers["abstained_because"].iloc[0]
    assert str(twin.wrong) not in answers.to_csv()


def test_a_far_value_is_named_by_its_label(twin, predictor, episodes):
    column = predictor.contract.episodes[twin.name]
    if column.type != "number":
        pytest.skip("categories and booleans are unseen, not far")
    far = episodes.head(1).assign(**{twin.name: 3.0e6})
    reasons = flag_out_of_domain(predictor.response.domain, predictor.response.encoder, far)
    assert twin.label in reasons.iloc[0]


def test_what_a_bundle_keeps_of_it_is_rounded(twin, predictor):
    [variable] = [one for one in predictor.response.encoder.variables_ if one.name == twin.name]
    counts = [share * N for share in (variable.shares or (variable.centre,))]
    if variable.kind == "number":
        assert (variable.centre, variable.scale) == (float(f"{variable.centre:.3g}"), float(f"{variable.scale:.3g}"))
    else:
        assert all(count == pytest.approx(5 * round(count / 5)) for count in counts)


def test_figures_name_it(twin, predictor, episodes):
    explanation = explain_model(predictor.response, episodes)
    review = review_explanation(
        predictor.response, episodes, explanation, np.random.default_rng(1), directions={}, simulated=True, resamples=50
    )
    ax = plot_ranked_importance(review, make_axes(), basis="real")
    assert twin.label in {label.get_text() for label in ax.get_yticklabels()}
    steps = compute_waterfall(explanation, 0, most=20)
    drawn = plot_waterfall(steps, make_axes(), basis="real", contract=predictor.contract)
    assert any(label.get_text().startswith(twin.label) for label in drawn.get_yticklabels())
    shown = set(review.dependence["variable"])
    axes = draw_dependence(review, basis="real").axes
    if twin.name in shown:
        assert any(ax.get_xlabel().startswith(twin.label) for ax in axes)


def test_mlflow_declares_it(twin, predictor):
    assert twin.name in {column.name for column in make_signature(predictor.contract).inputs}
    assert describe_columns(predictor.contract)[twin.name] == predictor.contract.episodes[twin.name].allowed


def test_a_batch_says_what_the_function_says(twin, predictor, episodes, tmp_path):
    save_predictor(predictor, tmp_path / "models" / "intradiscal_prp" / "walking_improved")
    asked = ask(episodes).assign(technique="intradiscal_prp")
    asked.to_csv(tmp_path / "asked.csv", index=False)
    predict_file(tmp_path / "asked.csv", tmp_path / "out.csv", models=tmp_path / "models")
    written = read_predictions(tmp_path / "out.csv")
    told = predict(asked, tmp_path / "models")
    np.testing.assert_allclose(written["probability"], told["probability"], rtol=0, atol=1e-12)
    assert set(told["contract"]) == {predictor.contract.digest}
    assert twin.name in asked


@pytest.mark.parametrize("name", ["payer", "blood_group"])
def test_sensitive_columns_are_audited_and_never_used(name, contract, episodes):
    assert name in make_audit_attributes(episodes, contract)
    assert name not in EpisodeEncoder(contract=contract).fit(episodes).owners


@pytest.mark.parametrize("name", ["guidance", "operating_minutes"])
def test_what_is_known_only_later_is_no_input(name, contract):
    assert name not in {column.name for column in contract.model_columns}


def test_models_of_two_contracts_are_not_asked_together(predictor, episodes):
    other = restore_contract(predictor.contract.declared.replace("500", "400"))
    models = {"one": predictor, "two": replace(predictor, outcome="pain_response", contract=other)}
    with pytest.raises(SettingsError) as raised:
        predict(ask(episodes), models)
    assert raised.value.code == "PC-SERVING-36"


def test_nothing_of_the_built_in_contract_changes(contract):
    for name, column in BUILT_IN.episodes.items():
        if name not in ("technique", "intended_technique", "indication"):
            assert contract.episodes[name] is column


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("unit: mg/L, range: [0, 500]", "unit: mg/dL, range: [0, 50]", "crp_mg_l"),
        (
            "  modic_type: {type: category, values: [none, i, ii], known: before, label: Modic changes}\n",
            "",
            "modic_type",
        ),
        ("direction: higher is worse", "direction: higher is better", "walking_improved"),
        ("absolute: 0.5", "absolute: 0.6", "walking_improved"),
        ("at_month: 6, window: [3, 9]", "at_month: 6, window: [3, 9], title: another", ""),
        ("label: CRP", "label: C-reactive protein", ""),
    ],
)
def test_a_cohort_under_another_contract_is_not_evaluated(predictor, episodes, tmp_path, old, new, named):
    assert old in CONTRACT
    (tmp_path / "contract.yaml").write_text(CONTRACT.replace(old, new))
    other = load_contract(tmp_path / "contract.yaml")
    cohort = Cohort(
        episodes=conform("episodes", episodes, other),
        visits=conform("visits", pd.DataFrame({"episode_id": ["e0"], "month": [6.0]}), other),
        events=conform("events", pd.DataFrame(), other),
        basis="real",
        contract=other,
    )
    if not named:
        require_contract([predictor], cohort)
        return
    with pytest.raises(RefusalError, match=named) as raised:
        separate_trained_on([predictor], cohort, {}, exclude=False)
    assert raised.value.code == "PC-SERVING-37"


def test_a_category_that_looks_like_no_value_is_one_where_the_contract_says_so(tmp_path):
    patients = make_patients(40).assign(modic=lambda rows: rows["modic"].map({0: "none", 1: "i", 2: "unknown"}))
    mapping = MAPPING.replace(
        'modic_type: {column: modic, codes: {"0": none, "1": i, "2": ii}}', "modic_type: {column: modic}"
    )
    contract = CONTRACT.replace("[none, i, ii]", "[none, i, unknown]")
    path = write_registry(tmp_path, patients, contract=contract, mapping=mapping)
    cohort, rejects = ingest(tmp_path / "patients.csv", path)
    assert cohort.episodes["modic_type"].tolist() == patients["modic"].tolist()
    assert "modic_type" not in set(rejects["column"])
