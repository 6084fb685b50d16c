"""A comparison in words for clinicians: differences of every 100 patients, with their intervals."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

from paincast.disclosure.rounding import FEW
from paincast.effects.average import ATE, FEW_SITES, Clusters
from paincast.reporting.effects.results import ComparisonResults

Row = Mapping[Hashable, Any]


def name_strategy(name: str) -> str:
    """Name a strategy for reading.

    Examples
    --------
    >>> name_strategy("root_block")
    'root block'
    """
    return name.replace("_", " ")


def format_difference(difference: float) -> str:
    """Format a difference in risk as patients of every 100.

    Examples
    --------
    >>> format_difference(0.0452), format_difference(-0.0119), format_difference(0.0001)
    ('4.5 more', '1.2 fewer', '0.0')
    """
    patients = round(100.0 * difference, 1)
    return f"{abs(patients):.1f} {'more' if patients > 0 else 'fewer'}" if patients else "0.0"


def holds_zero(row: Row) -> bool:
    """Whether the interval of a contrast holds no difference."""
    return bool(row["lower"] <= 0.0 <= row["upper"])


def format_interval(row: Row) -> str:
    """Format the interval of a difference in risk, of every 100 patients."""
    return f"{format_difference(row['lower'])} to {format_difference(row['upper'])}"


def describe_contrast(row: Row, strategy: str, reference: str) -> str:
    """Describe a contrast: what the difference means of every 100 patients, its interval, and whether it holds zero.

    Parameters
    ----------
    row : mapping
        ``estimate, lower, upper`` of the difference in risk.
    strategy, reference : str
        Both strategies in words.

    Examples
    --------
    >>> describe_contrast({"estimate": 0.02, "lower": -0.01, "upper": 0.05}, "a", "b").partition(". ")[0]
    'With a instead of b, of every 100 patients 2.0 more would have the outcome (95 % interval: 1.0 fewer to 5.0 more)'
    """
    told = f"{format_difference(row['estimate'])} would have the outcome (95 % interval: {format_interval(row)})"
    doubt = (
        "The interval holds zero: these patients do not tell which of the two leads to the outcome more often."
        if holds_zero(row)
        else "The interval does not hold zero."
    )
    return f"With {strategy} instead of {reference}, of every 100 patients {told}. {doubt}"


def describe_result(results: ComparisonResults) -> list[str]:
    """Describe what was found, a sentence for each contrast over all analysed patients; or why nothing was."""
    if results.refusal is not None:
        return [
            "REFUSED: no difference between the strategies is given, and none was computed.",
            f"Why: {results.refusal}.",
        ]
    contrasts = results.tables["contrasts"]
    words = {strategy.name: strategy.describe() for strategy in results.trial.strategies}
    rows = contrasts[contrasts["population"] == ATE].to_dict("records")
    told = [describe_contrast(row, words[row["strategy"]], words[row["reference"]]) for row in rows]
    return told + describe_sites(results.clusters)


def describe_sites(clusters: Clusters | None) -> list[str]:
    """Say in a sentence what the interval does not hold if there is one site, or none, or few; otherwise nothing.

    Examples
    --------
    >>> describe_sites(Clusters(patients=5000, sites=40))
    []
    >>> describe_sites(Clusters(patients=5000, sites=1))[0].partition(":")[0]
    'One site'
    """
    if clusters is None or (len(clusters.by) > 1 and not clusters.are_few):
        return []
    if clusters.are_few:
        return [
            f"{clusters.sites} clusters by site, fewer than {FEW_SITES}: the interval rests on few, and may be too "
            "narrow (Cameron 2015, doi:10.3368/jhr.50.2.317)."
        ]
    count = "One site" if clusters.sites else "No site is recorded"
    return [
        f"{count}: differences between sites cannot be seen, and the interval, clustered by patient alone, does not "
        "hold them."
    ]


def describe_outcome(results: ComparisonResults) -> str:
    """Describe the outcome with its month."""
    return f"{results.trial.outcome.question}; {results.trial.month:g} months after the procedure"


def format_count(n: int, basis: str) -> str:
    """Format a count; of real patients it is rounded, which is said.

    Examples
    --------
    >>> format_count(4987, "synthetic"), format_count(4985, "real"), format_count(0, "real")
    ('4,987', 'about 4,985', 'fewer than 5')
    """
    return f"{n:,}" if basis == "synthetic" else f"about {n:,}" if n else FEW
