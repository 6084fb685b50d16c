"""The page of an external validation: saved models on patients of another cohort."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import pandas as pd

from paincast.evaluation.names import format_estimate, name_metric
from paincast.predictor import Predictor
from paincast.predictor.validation import ACCEPTED, FEWEST, Validation
from paincast.reporting.figures.report import FIGURES, Results, draw_figures
from paincast.reporting.model.limits import ALWAYS
from paincast.reporting.model.report import GROUPED, tabulate_groups
from paincast.reporting.model.run_contents import RunContents, show_count, show_interval, show_number
from paincast.reporting.model.validation import tabulate_external
from paincast.reporting.page import Figure, Section, write_page

HEADLINES = ("o_e_ratio", "calibration_slope", "auroc", "ici", "scaled_brier", "coverage", "mean_absolute_error")
SUMMARY = {"o_e_ratio": "O/E", "calibration_slope": "Slope", "auroc": "AUROC", "ici": "ICI"}
SHOWN = {
    "calibration/calibration": "Calibration",
    "benefit/decision_curve": "Decision curve",
    "uncertainty/tipping_point": "What if those lost to follow-up had done differently",
    "subgroups/subgroups": "Observed / expected by subgroup",
    "subgroups/sites": "Observed / expected by site",
    "subgroups/years": "Observed / expected by year",
}
"""Figures of the report of a model that another cohort can fill, with their titles here."""

FIGURES_SHOWN = tuple(figure._replace(title=SHOWN[figure.name]) for figure in FIGURES if figure.name in SHOWN)

MEASURES = {
    "observed_risk": "Observed share with the outcome",
    "mean_probability": "Mean predicted probability",
    "mean_lower": "Mean lower limit of the individual intervals",
    "mean_upper": "Mean upper limit of the individual intervals",
}


@dataclass(frozen=True, kw_only=True)
class EvaluatedModel:
    """One model of an external validation.

    Parameters
    ----------
    predictor : Predictor
        The model.
    tables : mapping of str to DataFrame
        Its tables, from :meth:`paincast.serving.validation.external.ExternalValidation.select_model`.
    validation : Validation or None
        What real patients say of it; None where nothing can be recorded.
    not_recorded : str
        Why there is no validation; empty if there is one.
    """

    predictor: Predictor
    tables: Mapping[str, pd.DataFrame]
    validation: Validation | None
    not_recorded: str

    @property
    def contents(self) -> RunContents:
        """Give its tables in the form of a run, which knows how metrics are shown."""
        tags = {"technique": self.predictor.technique, "outcome": self.predictor.outcome}
        return RunContents(tags=tags, params={}, tables=self.tables)

    @property
    def anchor(self) -> str:
        """Give the beginning of the anchors of its sections."""
        return f"{self.predictor.technique}-{self.predictor.outcome}"

    def describe_verdict(self) -> str:
        """Say in a few words whether the patients contradict the model."""
        if "metrics" not in self.tables:
            return f"not measured: {self.tables['flow']['note'].iloc[0]}"
        if self.validation is None:
            return f"no verdict: {self.not_recorded}"
        return self.validation.verdict


def tabulate_validated(
    models: Mapping[str, Predictor], reasons: Mapping[str, Sequence[str]] = MappingProxyType({})
) -> pd.DataFrame:
    """Tabulate what patients of other cohorts said of each model: a row for each cohort, the worst first.

    Parameters
    ----------
    models : mapping of Predictor
        By ``technique/outcome``.
    reasons : mapping of str to sequence of str
        Why a model was not validated.

    Returns
    -------
    DataFrame of str
        ``Technique, Outcome, Month, Basis, Validated on, n, O/E, Verdict``; a model without a validation has one row
        with the reason as its verdict.
    """
    rows = []
    for name, model in models.items():
        known = {
            "Technique": model.technique,
            "Outcome": model.outcome,
            "Month": f"{model.horizon_months:g}",
            "Basis": f"{model.basis}, {model.n_real} real",
        }
        found = tabulate_external(model.validations)
        told = "; ".join(reasons.get(name, ["no published data set has patients of this technique"]))
        rows += [{**known, **row} for row in found.to_dict("records")] or [
            {**known, "Validated on": "none", "n": "", "O/E": "", "Verdict": told}
        ]
    return pd.DataFrame(rows)


def write_validated(models: Mapping[str, Predictor], reasons: Mapping[str, Sequence[str]]) -> str:
    """Write a page of all models with the cohorts they were validated on, as HTML that needs nothing but itself.

    Parameters
    ----------
    models, reasons
        As for :func:`tabulate_validated`.
    """
    n_validated = sum(bool(model.validations) for model in models.values())
    n_contradicted = sum(any(item.contradicts for item in model.validations) for model in models.values())
    low, high = ACCEPTED
    section = Section(
        name="models",
        title="Models",
        text=(
            f"{n_validated} of {len(models)} models were judged by real patients whom they had not seen, and "
            f"{n_contradicted} {'is' if n_contradicted == 1 else 'are'} contradicted: {FEWEST} patients or more put "
            f"the 95 % interval of observed / expected wholly outside {low:g} to {high:g}. A contradicted model "
            "abstains for such patients. Techniques treat different patients: do not compare them."
        ),
        tables={"All cohorts of each model, the worst first": tabulate_validated(models, reasons)},
    )
    limits = Section(name="limits", title="Limits", text="These hold for every model.", items=list(ALWAYS))
    facts = {"Models": str(len(models)), "Validated": str(n_validated), "Contradicted": str(n_contradicted)}
    note = "REAL PATIENTS. Numbers of patients are rounded."
    return write_page("Models on other patients", note, facts, [section, limits])


def write_external_report(cohort: str, basis: str, models: Sequence[EvaluatedModel]) -> str:
    """Write an external validation as HTML that needs nothing but itself.

    Parameters
    ----------
    cohort : str
        Name of the cohort.
    basis : {"synthetic", "real", "blended"}
        Whether its patients are simulated.
    models : sequence of EvaluatedModel
        In the order of the page.
    """
    n_contradicted = sum(model.validation is not None and model.validation.contradicts for model in models)
    low, high = ACCEPTED
    overview = Section(
        name="models",
        title="Models",
        text=(
            f"Do the predictions hold for patients the models have not seen? {n_contradicted} of {len(models)} "
            f"{'is' if n_contradicted == 1 else 'are'} contradicted: {FEWEST} patients or more put the 95 % interval "
            f"of observed / expected wholly outside {low:g} to {high:g}. Techniques treat different patients: do not "
            "compare them."
        ),
        tables={"Every model on these patients": pd.DataFrame([_summarize(model) for model in models])},
    )
    measured = [model for model in models if "metrics" in model.tables]
    sections = [overview, *(section for model in measured for section in _list_sections(model))]
    limits = Section(name="limits", title="Limits", text="What these numbers do not say.", items=list(ALWAYS))
    facts = {"Cohort": cohort, "Basis of the patients": basis, "Models": str(len(models))}
    note = {
        "real": "REAL PATIENTS. Counts under five are not shown, nor counts from which they could be worked out.",
        "synthetic": "SIMULATED PATIENTS. They follow published evidence and validate nothing.",
    }.get(basis, "REAL AND SIMULATED PATIENTS TOGETHER. They validate nothing.")
    return write_page(f"External validation on {cohort}", note, facts, [*sections, limits])


def _summarize(model: EvaluatedModel) -> dict[str, str]:
    predictor, metrics = model.predictor, model.tables.get("metrics", pd.DataFrame(columns=["metric"]))
    rows = {row["metric"]: row for row in metrics.to_dict("records")}
    return {
        "Model": model.contents.title,
        "Version": predictor.version,
        "Basis": f"{predictor.basis}, {predictor.n_real} real",
        "Month": f"{predictor.horizon_months:g}",
        "n": show_count(model.tables["flow"]["evaluated"].iloc[0]),
        **{label: format_estimate(rows[name]) if name in rows else "" for name, label in SUMMARY.items()},
        "Verdict": model.describe_verdict(),
    }


def _list_sections(model: EvaluatedModel) -> Iterator[Section]:
    tables = model.tables
    results = Results(
        explanation=None,
        basis=model.predictor.basis,
        simulated=False,
        tables={**tables, **({"calibration_curve": tables["calibration"]} if "calibration" in tables else {})},
    )
    pictures = draw_figures(results, FIGURES_SHOWN)
    figures: dict[str, list[Figure]] = {}
    for name, picture in pictures.items():
        figures.setdefault(name.partition("/")[0], []).append(
            Figure(image=picture.figure.axes[0], alt=f"{SHOWN[name]}. It is described below.", caption=picture.caption)
        )
    yield _write_calibration(model, figures.get("calibration", []))
    if "decision_curve" in tables:
        yield _write_benefit(model, figures.get("benefit", []))
    if any(name in tables for name in GROUPED):
        yield _write_groups(model, figures.get("subgroups", []))
    if "update" in tables:
        yield _write_update(model)
    yield _write_patients(model, figures.get("uncertainty", []))


def _write_update(model: EvaluatedModel) -> Section:
    tables = model.tables
    compared = tables["update"].drop(columns="method")
    compared["metric"] = [name_metric(name) for name in compared["metric"]]
    tests = tables["update_choice"].drop(columns=["chosen", "intercept", "slope"])
    chosen = tables["update_choice"].iloc[0]
    named = str(chosen["chosen"]).replace("_", " ")
    return Section(
        name=f"{model.anchor}-update",
        title=f"{model.contents.title}: recalibration",
        text=(
            f"What does a recalibration on these patients gain? Chosen by a closed testing procedure: {named} "
            f"(intercept {chosen['intercept']:+.2f}, slope {chosen['slope']:.2f} of the log odds). Before and after "
            "are compared on patients left out of the recalibration; observed / expected is near 1 after any. The "
            "recalibrated model must be evaluated on other patients."
        ),
        tables={
            "Before and after": compared.rename(columns=str.capitalize),
            "Tests": tests.rename(columns=lambda name: str(name).replace("_", " ").capitalize()),
        },
    )


def _write_calibration(model: EvaluatedModel, figures: Sequence[Figure]) -> Section:
    tables = model.tables
    return Section(
        name=f"{model.anchor}-calibration",
        title=f"{model.contents.title}: calibration and discrimination",
        text=f"{model.describe_verdict().capitalize()}. {_describe_intervals(tables)}".strip(),
        verdict="refused" if model.validation is not None and model.validation.contradicts else "",
        figures=figures,
        tables={
            "Main metrics, on these patients": model.contents.list_metrics(HEADLINES).drop(columns="Method"),
            **({"Risk and individual intervals": _tabulate_intervals(tables)} if "intervals" in tables else {}),
        },
        numbers=tables["metrics"],
        layout="tall",
    )


def _write_benefit(model: EvaluatedModel, figures: Sequence[Figure]) -> Section:
    return Section(
        name=f"{model.anchor}-benefit",
        title=f"{model.contents.title}: benefit",
        text=(
            "Does deciding by the model do better on these patients than treating everybody, treating nobody, or "
            "deciding by the response that the evidence expects? Each interval holds for its own threshold."
        ),
        figures=figures,
        numbers=model.tables["decision_curve"],
        layout="tall",
    )


def _write_groups(model: EvaluatedModel, figures: Sequence[Figure]) -> Section:
    tables = model.tables
    return Section(
        name=f"{model.anchor}-groups",
        title=f"{model.contents.title}: subgroups, sites and years",
        text=(
            "Do predictions hold for everybody? Small groups are hidden, and so are groups from which a small one "
            "could be worked out. With many groups, some differ by chance."
        ),
        figures=figures,
        tables={name.capitalize(): tabulate_groups(tables[name]) for name in GROUPED if name in tables},
        numbers=tables.get("pooled"),
        layout="tall",
    )


def _write_patients(model: EvaluatedModel, figures: Sequence[Figure]) -> Section:
    tables = model.tables
    flow = tables["flow"].iloc[0]
    names = {"episodes": "Episodes of the technique", "followed_up": "Followed up", "abstained": "The model abstains"}
    steps = pd.DataFrame(
        {
            "Step": [*names.values(), "Evaluated"],
            "Episodes": [show_count(flow[step]) for step in (*names, "evaluated")],
        }
    )
    shown = {"Episodes evaluated and left out": steps}
    if "abstentions" in tables:
        reasons = tables["abstentions"]
        shown["Why the model abstains, of those followed up"] = reasons.assign(n=reasons["n"].map(show_count)).rename(
            columns={"reason": "Reason", "n": "Episodes"}
        )
    if "observation_weights" in tables:
        weights = tables["observation_weights"]
        shown["Weights of patients followed up, for those lost"] = weights.rename(columns=str.capitalize)
    notes = [f"Of these patients the model was trained on: {flow['trained_on']}.", str(flow["note"])]
    return Section(
        name=f"{model.anchor}-patients",
        title=f"{model.contents.title}: patients",
        text="Who was evaluated, who was left out and why, and how much those lost to follow-up could change.",
        items=[note for note in notes if note],
        figures=figures,
        tables=shown,
        numbers=tables.get("loss_to_follow_up"),
        layout="tall",
    )


def _tabulate_intervals(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    rows = tables["intervals"].to_dict("records")
    return pd.DataFrame(
        [
            {
                "Measure": MEASURES[row["measure"]],
                "Estimate": show_number(row["estimate"]),
                "Interval": show_interval(row),
            }
            for row in rows
        ]
    )


def _describe_intervals(tables: Mapping[str, pd.DataFrame]) -> str:
    if "intervals" not in tables:
        return ""
    means = tables["intervals"].set_index("measure")["estimate"]
    place = "within" if means["mean_lower"] <= means["observed_risk"] <= means["mean_upper"] else "outside"
    return (
        f"{means['observed_risk']:.0%} had the outcome where {means['mean_probability']:.0%} was predicted; this is "
        f"{place} the mean limits of the individual intervals ({means['mean_lower']:.0%} to {means['mean_upper']:.0%})."
    )
