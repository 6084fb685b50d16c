"""The target trial: the randomised trial that an analysis of a cohort is to emulate, read strictly from YAML."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import Any

from paincast import evidence
from paincast.contract import BUILT_IN, Contract
from paincast.errors import SettingsError, suggest_name
from paincast.evidence.conditions import COMBINATIONS, Condition, check_condition
from paincast.files.strict_yaml import Node, read_yaml
from paincast.outcomes import Outcome, get_outcome
from paincast.schema import COMPARATORS, TECHNIQUES, Column
from paincast.settings import find_configs

COVARIATE_ROLES = frozenset({"predictor", "funnel", "safety"})
"""Roles of the columns that are adjusted for by default; all that is known before the procedure but the choice itself,
what is only recorded, and sensitive attributes."""

YEAR = "procedure_year"
"""Calendar time is adjusted for too: uptake of a technique and results change together."""

INTENDED = "intended_technique"
"""What was to be done: a part of the choice, although it is only recorded."""

LATEST_MONTH = 240.0

_KEYS = ("question", "eligibility", "strategies", "reference", "outcome", "month")
_OPTIONAL = ("covariates", "not_adjusted", "unmeasured", "negative_controls", "sensitivity")


@dataclass(frozen=True, kw_only=True)
class Strategy:
    """A treatment strategy: a technique, or a comparator, by some of its approaches.

    Parameters
    ----------
    name : str
        Name in tables and figures.
    technique : str
        A technique or comparator of the contract.
    approaches : tuple of str
        Approaches that count; empty for all, as chosen by those who treat.
    """

    name: str
    technique: str
    approaches: tuple[str, ...] = ()

    def overlaps(self, other: Strategy) -> bool:
        """Whether an episode could count for both strategies."""
        return self.technique == other.technique and (
            not self.approaches or not other.approaches or bool({*self.approaches} & {*other.approaches})
        )

    def describe(self) -> str:
        """Describe the strategy in words."""
        words = self.technique.replace("_", " ")
        return f"{words} ({' or '.join(self.approaches)})" if self.approaches else words


@dataclass(frozen=True, kw_only=True)
class TargetTrial:
    """The protocol of a target trial [1]_, and what is stated about its emulation.

    Time zero is the day of the procedure. Each strategy is assigned as it was chosen in practice, taken as random given
    the covariates. The contrast is the difference in the risk of the outcome at the month between each strategy and the
    reference, over the analysed patients.

    Parameters
    ----------
    question : str
        The question in words.
    indications : tuple of str
        Eligible indications.
    conditions : tuple of mapping
        Further conditions of eligibility (:mod:`paincast.evidence.conditions`), all of which must hold.
    strategies : tuple of Strategy
        Strategies to compare, the reference first.
    outcome : Outcome
        A binary outcome.
    month : float
        Month after the procedure at which it is assessed.
    covariates : tuple of str
        Columns to adjust for beside the site; empty for all of :func:`list_covariates`.
    not_adjusted : mapping of str to str
        Columns that are left out on purpose, such as an instrument, each with the reason.
    unmeasured : tuple of str
        Confounders that the cohort does not record, in words; they are reported beside every result.
    negative_controls : tuple of str
        Outcomes that the strategies cannot affect differently: binary outcomes, or yes/no columns known before.
    outcome_r2, strategy_r2 : float
        Strength of a hidden confounder for the sensitivity analysis: the share of the remaining variance of the
        outcome, and of the weights of the strategies, that it would explain.

    References
    ----------
    .. [1] Hernán MA, Robins JM. Using big data to emulate a target trial when a randomized trial is not available.
       Am J Epidemiol 2016;183:758-764. doi:10.1093/aje/kwv254
    """

    question: str
    indications: tuple[str, ...]
    conditions: tuple[Condition, ...] = ()
    strategies: tuple[Strategy, ...]
    outcome: Outcome
    month: float
    covariates: tuple[str, ...] = ()
    not_adjusted: Mapping[str, str] = field(default_factory=dict)
    unmeasured: tuple[str, ...] = ()
    negative_controls: tuple[str, ...] = ()
    outcome_r2: float = 0.03
    strategy_r2: float = 0.03

    @property
    def reference(self) -> Strategy:
        """The strategy with which all others are compared."""
        return self.strategies[0]


def list_trials() -> list[str]:
    """Give the names of the target trials that come with the package.

    Examples
    --------
    >>> "epidural_against_root_block" in list_trials()
    True
    """
    return sorted(file.stem for file in (find_configs() / "trial").glob("*.yaml"))


def find_trial(name_or_path: str | Path) -> Path:
    """Find the file of a target trial: one of :func:`list_trials`, or a YAML file.

    Raises
    ------
    SettingsError
        If no trial of that name comes with the package.
    """
    path = Path(name_or_path)
    if path.suffix in (".yaml", ".yml") or path.exists():
        return path
    if str(name_or_path) not in list_trials():
        raise SettingsError(
            f"there is no target trial named '{name_or_path}'; {suggest_name(str(name_or_path), list_trials())}; or "
            "give a YAML file of your own",
            code="PC-EFFECTS-05",
        )
    return find_configs() / "trial" / f"{name_or_path}.yaml"


def read_trial(path: str | Path, contract: Contract = BUILT_IN) -> TargetTrial:
    """Read a target trial from a YAML file, see ``configs/trial/``.

    Parameters
    ----------
    path : str or Path
        The file.
    contract : Contract
        Declares columns, techniques, indications and outcomes; that of the cohort.

    Returns
    -------
    TargetTrial

    Raises
    ------
    SettingsError
        In one line with file, line and key: if a key or name is unknown, a key is missing, there are fewer than two
        strategies or two of which an episode could belong to both, the outcome is not binary, the month is not
        possible, a technique does not treat the indication, or eligibility looks at the choice or at what comes later.

    Examples
    --------
    >>> from paincast.settings.configs import find_configs
    >>> trial = read_trial(find_configs() / "trial" / "epidural_against_root_block.yaml")
    >>> [strategy.name for strategy in trial.strategies], trial.month
    (['root_block', 'epidural'], 3.0)
    """
    top = read_yaml(path).section((*_KEYS, *_OPTIONAL), required=_KEYS)
    eligibility = top["eligibility"].section(("indications", "conditions"), required=("indications",))
    indications = _read_names(eligibility["indications"], contract.indications)
    conditions = [eligibility["conditions"]] if "conditions" in eligibility else []
    covariates = _read_columns(top["covariates"], contract) if "covariates" in top else ()
    sensitivity = top["sensitivity"].section(("outcome_r2", "strategy_r2")) if "sensitivity" in top else {}
    return TargetTrial(
        question=top["question"].text(),
        indications=indications,
        conditions=tuple(_read_condition(entry, contract) for node in conditions for entry in node.entries()),
        strategies=_read_strategies(top["strategies"], top["reference"], indications, contract),
        outcome=_read_outcome(top["outcome"], contract),
        month=top["month"].number(above=0.0, at_most=LATEST_MONTH),
        covariates=covariates,
        not_adjusted=_read_reasons(top["not_adjusted"], covariates, contract) if "not_adjusted" in top else {},
        unmeasured=top["unmeasured"].texts() if "unmeasured" in top else (),
        negative_controls=_read_controls(top, covariates, contract),
        **{name: node.number(above=0.0, at_most=0.99) for name, node in sensitivity.items()},
    )


def _read_names(node: Node, known: tuple[str, ...]) -> tuple[str, ...]:
    """Read a list of one or more names without repetition."""
    names = tuple(entry.choice(known) for entry in node.entries())
    if not names:
        raise node.refuse("is empty; name at least one")
    return _refuse_repeated(node, names)


def _refuse_repeated(node: Node, names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if names.count(name) > 1:
            raise node.refuse(f"'{name}' stands there twice; keep one")
    return names


def _read_strategies(
    node: Node, reference: Node, indications: tuple[str, ...], contract: Contract
) -> tuple[Strategy, ...]:
    nodes = node.children()
    if len(nodes) < 2:
        raise node.refuse("a comparison needs at least two strategies")
    named = {name: _read_strategy(name, child, indications, contract) for name, child in nodes.items()}
    for one, other in combinations(named.values(), 2):
        if one.overlaps(other):
            raise nodes[other.name].refuse(
                f"'{one.name}' and '{other.name}' are the same strategy or overlap; give each its own technique or "
                "approaches"
            )
    first = reference.choice(named)
    return (named.pop(first), *named.values())


def _read_strategy(name: str, node: Node, indications: tuple[str, ...], contract: Contract) -> Strategy:
    parts = node.section(("technique", "approaches"), required=("technique",))
    technique = parts["technique"].choice((*contract.techniques, *COMPARATORS))
    if technique in TECHNIQUES:
        treated = {name for record in evidence.records_of(technique) for name in record.indications}
        for indication in indications:
            if treated and indication not in treated:
                raise parts["technique"].refuse(
                    f"{technique} does not treat {indication}; it treats {', '.join(sorted(treated))}"
                )
    approaches = _read_names(parts["approaches"], contract.episodes["approach"].categories) if len(parts) > 1 else ()
    return Strategy(name=name, technique=technique, approaches=approaches)


def _read_outcome(node: Node, contract: Contract) -> Outcome:
    try:
        outcome = get_outcome(node.text(), outcomes=contract.outcomes)
    except SettingsError as error:
        raise node.refuse(str(error).removeprefix("outcome: ")) from error
    if outcome.kind != "binary":
        binary = ", ".join(name for name, one in contract.outcomes.items() if one.kind == "binary")
        raise node.refuse(f"{outcome.name} is not binary; a contrast of risks needs one of {binary}")
    return outcome


def _read_columns(node: Node, contract: Contract) -> tuple[str, ...]:
    """Read the columns to adjust for: known before the procedure, and no part of the choice."""
    names = _read_names(node, tuple(contract.episodes))
    for name, entry in zip(names, node.entries(), strict=True):
        _refuse_column(entry, name, contract)
    return names


def _refuse_column(node: Node, name: str, contract: Contract) -> None:
    column = contract.episodes[name]
    if is_of_choice(column) or (column.role == "id" and name != YEAR):
        raise node.refuse(f"{name} cannot be adjusted for: it is not known of the patient before the choice")


def _read_reasons(node: Node, covariates: tuple[str, ...], contract: Contract) -> dict[str, str]:
    """Read the columns that are left out on purpose, each with its reason."""
    nodes = node.section(contract.episodes)
    for name, child in nodes.items():
        _refuse_column(child, name, contract)
        if name in covariates:
            raise child.refuse(f"{name} is among the covariates; keep one of both")
    return {name: " ".join(child.text().split()) for name, child in nodes.items()}


def _read_controls(top: dict[str, Node], covariates: tuple[str, ...], contract: Contract) -> tuple[str, ...]:
    if "negative_controls" not in top:
        return ()
    node = top["negative_controls"]
    binary = [name for name, outcome in contract.outcomes.items() if outcome.kind == "binary"]
    yes_no = [name for name, column in contract.episodes.items() if is_covariate(column) and column.type == "boolean"]
    names = _read_names(node, (*binary, *yes_no))
    for name, entry in zip(names, node.entries(), strict=True):
        if name in covariates:
            raise entry.refuse(f"{name} is adjusted for; a negative control must not be a covariate")
        if "not_adjusted" in top and name in top["not_adjusted"].children():
            raise entry.refuse(
                f"{name} is under not_adjusted too; a negative control is never adjusted for, keep it here"
            )
        if name == top["outcome"].text():
            raise entry.refuse(f"{name} is the outcome; a negative control is one that no strategy affects")
    return names


def _read_condition(node: Node, contract: Contract) -> Condition:
    """Read a condition of eligibility and check it on the columns of the contract."""
    condition = _build_condition(node, contract)
    check_condition(condition, f"{node.file}, line {node.line}, {node.place}")
    return condition


def _build_condition(node: Node, contract: Contract) -> dict[str, Any]:
    readers: dict[str, Callable[[Node], Any]] = {
        "column": lambda name: _read_eligible(name, contract),
        "is": Node.flag,
        "at_least": Node.number,
        "below": Node.number,
        "any_of": lambda values: list(values.texts()),
        **dict.fromkeys(COMBINATIONS, lambda parts: [_build_condition(part, contract) for part in parts.entries()]),
    }
    return {name: readers[name](child) for name, child in node.section(readers).items()}


def _read_eligible(node: Node, contract: Contract) -> str:
    """Read the column of a condition, which must not look at the choice or at what comes after it."""
    name = node.text()
    if name in contract.episodes and is_of_choice(contract.episodes[name]):
        raise SettingsError(
            f"{node.file}, line {node.line}, {node.place}: {name} is chosen with the strategy or known only after time "
            "zero; eligibility looks at what is known of the patient before the choice (approaches stand under "
            "'strategies')",
            code="PC-EFFECTS-07",
        )
    return name


def is_of_choice(column: Column) -> bool:
    """Check whether a column is a part of the choice, or known only after it."""
    return column.timing != "before" or column.role == "technique" or column.name == INTENDED


def is_covariate(column: Column) -> bool:
    """Check whether a column is adjusted for by default."""
    return column.timing == "before" and (column.role in COVARIATE_ROLES or column.name == YEAR)


def list_covariates(trial: TargetTrial, contract: Contract = BUILT_IN) -> tuple[str, ...]:
    """List the columns that are adjusted for, beside the site, in the order of the contract.

    By default all that is known before the procedure, but the choice itself, what is only recorded, sensitive
    attributes, negative controls, and what is left out on purpose.

    Examples
    --------
    >>> from dataclasses import replace
    >>> from paincast.settings.configs import find_configs
    >>> trial = read_trial(find_configs() / "trial" / "epidural_against_root_block.yaml")
    >>> list_covariates(replace(trial, covariates=("pain_nrs", "age_years")))
    ('age_years', 'pain_nrs')
    """
    if trial.covariates:
        return tuple(name for name in contract.episodes if name in trial.covariates)
    return tuple(
        name
        for name, column in contract.episodes.items()
        if is_covariate(column) and name not in (*trial.negative_controls, *trial.not_adjusted)
    )


def list_unadjusted(trial: TargetTrial, contract: Contract = BUILT_IN) -> tuple[str, ...]:
    """List the columns that could be adjusted for and are not, in the order of the contract.

    What :func:`list_covariates` gives without a list but not with that of the trial, and what is left out on purpose.

    Examples
    --------
    >>> from dataclasses import replace
    >>> from paincast.settings.configs import find_configs
    >>> trial = read_trial(find_configs() / "trial" / "epidural_against_root_block.yaml")
    >>> list_unadjusted(trial)
    ()
    >>> named = replace(trial, covariates=("age_years", "pain_nrs"))
    >>> len(list_unadjusted(named)) == len(list_covariates(trial)) - 2
    True
    """
    adjusted = list_covariates(trial, contract)
    judged = list_covariates(replace(trial, covariates=(), not_adjusted={}), contract)
    return tuple(name for name in contract.episodes if name in (*judged, *trial.not_adjusted) and name not in adjusted)
