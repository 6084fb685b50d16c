"""Order options by stated weights: an additive utility whose every component stays visible."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from types import MappingProxyType
from typing import NamedTuple

from paincast.planning.figures import Figure


class Scale(NamedTuple):
    """Range of a component: its worst end counts 0, its best 1; figures beyond count less than 0 or more than 1."""

    unit: str
    worst: float
    best: float


SCALES: Mapping[str, Scale] = MappingProxyType(
    {
        "complications": Scale("complications per patient", 0.5, 0.0),
        "recovery": Scale("days", 30.0, 0.0),
        "visits": Scale("visits", 15.0, 0.0),
        "cost": Scale("currency", 30_000.0, 0.0),
        "relief": Scale("share", -0.5, 0.5),
        "durability": Scale("share", -0.5, 0.5),
        "function": Scale("share", -0.5, 0.5),
        "opioid_reduction": Scale("share", -0.5, 0.5),
    }
)
"""Components and their ranges; a file of preferences may give others."""

BY_CONTRAST = ("relief", "durability", "function", "opioid_reduction")
"""Components that enter only through a comparison whose diagnostics passed."""


@dataclass(frozen=True, kw_only=True)
class Component:
    """A component of the utility of an option.

    Parameters
    ----------
    name : str
        Name of the component.
    weight, value : float
        Weight, and value of the option between 0 (the worst of the range) and 1 (the best).
    lower, upper : float
        Value at the ends of the figure's interval.
    figure : Figure
        What it stands on.
    """

    name: str
    weight: float
    value: float
    lower: float
    upper: float
    figure: Figure


@dataclass(frozen=True, kw_only=True)
class Utility:
    """Utility of an option: the weighted sum of its components; its ends are those of all components together."""

    technique: str
    value: float
    lower: float
    upper: float
    components: tuple[Component, ...]


@dataclass(frozen=True, kw_only=True)
class Move:
    """How far one weight must move, the others held, until two options that are neighbours change places.

    Parameters
    ----------
    name : str
        Component.
    weight, to : float
        Weight now, and at which both are equal; ``to`` is None where no weight from 0 on makes them so.
    above, below : str
        The options.
    """

    name: str
    weight: float
    to: float | None
    above: str
    below: str


@dataclass(frozen=True, kw_only=True)
class Preferences:
    """Options by stated weights.

    Parameters
    ----------
    status : {"ordered", "fixed"}
        Whether weights order the options, or they stand in the fixed order.
    because : str
        Why.
    order : tuple of str
        Techniques, the most preferred first; the fixed order where nothing orders them.
    utilities : tuple of Utility
        In the fixed order of techniques.
    left_out : mapping of str to str
        Components with a weight that have no say, and why.
    moves : tuple of Move
        How far a weight must move to change the order.
    """

    status: str
    because: str
    order: tuple[str, ...]
    utilities: tuple[Utility, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    moves: tuple[Move, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Weights of the components, their ranges, and the clinic's own figures.

    Parameters
    ----------
    weights : mapping of str to float
        From 0; one at least is above 0. A component without one has the weight 0.
    scales : mapping of str to Scale
        Range of every component.
    recovery : mapping of str to Figure
        Days of recovery by technique, as the clinic states them: no study that was read counts them.
    """

    weights: Mapping[str, float]
    scales: Mapping[str, Scale] = field(default_factory=lambda: SCALES)
    recovery: Mapping[str, Figure] = field(default_factory=dict)


def order_options(
    options: Sequence[str],
    figures: Mapping[str, Mapping[str, Figure]],
    weights: Weights,
    refusals: Mapping[str, str],
) -> Preferences:
    """Order options by the sum of weight times value over the components that are known of every option.

    Parameters
    ----------
    options : sequence of str
        Techniques, in the fixed order.
    figures : mapping of str to mapping of str to Figure
        By component and technique. A component that lacks an option, or is known of it without a value, has no say.
    weights : Weights
        What is stated.
    refusals : mapping of str to str
        Why a component has no figures.

    Returns
    -------
    Preferences
        Utilities are linear in the weights and in the figures. Equal options stand in the fixed order.
    """
    left_out = {
        name: reason
        for name in weights.weights
        if weights.weights[name] > 0 and (reason := _explain_silence(name, options, figures, refusals))
    }
    entering = [name for name in SCALES if not _explain_silence(name, options, figures, refusals)]
    if len(options) < 2:
        because = "fewer than two techniques are indicated, so there is nothing to order"
        return Preferences(status="fixed", because=because, order=tuple(options), left_out=left_out)
    utilities = tuple(_compute_utility(option, entering, figures, weights) for option in options)
    if not any(weights.weights.get(name, 0.0) > 0 for name in entering):
        because = "no component with a weight is known of every option, so they stand in the order of the contract"
        order = tuple(options)
        return Preferences(status="fixed", because=because, order=order, utilities=utilities, left_out=left_out)
    ranked = sorted(utilities, key=lambda utility: -utility.value)
    because = f"ordered by the weights of {', '.join(name for name in entering if weights.weights.get(name, 0.0) > 0)}"
    if any(other.upper >= one.lower for one, other in pairwise(ranked)):
        because += "; the intervals of neighbours overlap, so that their order is not certain"
    return Preferences(
        status="ordered",
        because=because,
        order=tuple(utility.technique for utility in ranked),
        utilities=utilities,
        left_out=left_out,
        moves=tuple(_find_moves(ranked)),
    )


def _explain_silence(
    name: str, options: Sequence[str], figures: Mapping[str, Mapping[str, Figure]], refusals: Mapping[str, str]
) -> str:
    """Explain why a component has no say; empty if it has."""
    of = figures.get(name, {})
    unknown = [option for option in options if option not in of or of[option].value is None]
    if unknown:
        return refusals.get(name) or f"not known of {', '.join(unknown)}"
    units = sorted({of[option].unit for option in options})
    return "" if len(units) < 2 else f"in different units: {', '.join(units)}"


def _compute_utility(
    option: str, names: Sequence[str], figures: Mapping[str, Mapping[str, Figure]], weights: Weights
) -> Utility:
    components = tuple(
        _compute_component(name, weights.weights.get(name, 0.0), weights.scales[name], figures[name][option])
        for name in names
    )
    value, lower, upper = (
        sum(item.weight * getattr(item, end) for item in components) for end in ("value", "lower", "upper")
    )
    return Utility(technique=option, value=value, lower=lower, upper=upper, components=components)


def _compute_component(name: str, weight: float, scale: Scale, figure: Figure) -> Component:
    ends = [figure.value if end is None else end for end in (figure.value, figure.lower, figure.upper)]
    value, *limits = ((end - scale.worst) / (scale.best - scale.worst) for end in ends if end is not None)
    return Component(name=name, weight=weight, value=value, lower=min(limits), upper=max(limits), figure=figure)


def _find_moves(ranked: Sequence[Utility]) -> Iterator[Move]:
    """Find the weight of each component at which neighbours are equal; the utility is linear, so that it is exact."""
    for above, below in pairwise(ranked):
        lead = above.value - below.value
        for one, other in zip(above.components, below.components, strict=True):
            gain = one.value - other.value
            to = one.weight - lead / gain if gain else -1.0
            yield Move(
                name=one.name,
                weight=one.weight,
                to=to if to >= 0.0 else None,
                above=above.technique,
                below=below.technique,
            )
