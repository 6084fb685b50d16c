"""The items of the TARGET statement, each with the place in the report that answers it."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

BY_AUTHORS = "for the authors to state"
"""Place of an item that nobody but the authors of a publication can answer."""


class Item(NamedTuple):
    """An item of the TARGET statement [1]_: its number, what it asks in our words, and the section that answers it.

    References
    ----------
    .. [1] Cashin AG, et al. Transparent reporting of observational studies emulating a target trial: the TARGET
       statement. JAMA 2025;334:1084-1093. doi:10.1001/jama.2025.13350
    """

    number: str
    asks: str
    section: str
    needs_estimates: bool = False


ITEMS = (
    Item("1a", "say that a target trial is emulated, and which", "summary"),
    Item("1b", "name the data", "summary"),
    Item("1c", "sum up assumptions, methods, findings and conclusion", "summary"),
    Item("2", "what is known, and what is not", BY_AUTHORS),
    Item("3", "the causal question", "question"),
    Item("4", "why a target trial is emulated with these data", "question"),
    Item("5", "data: source, purpose, setting, places and period", "data"),
    Item("6a", "target trial: eligibility", "protocol"),
    Item("6b", "target trial: treatment strategies", "protocol"),
    Item("6c", "target trial: random assignment, known to the patients", "protocol"),
    Item("6d", "target trial: start and end of follow-up", "protocol"),
    Item("6e", "target trial: outcome, how and when it is measured", "protocol"),
    Item("6f", "target trial: causal contrast and effect measure", "protocol"),
    Item("6g", "target trial: assumptions that identify the contrast", "protocol"),
    Item("6h", "target trial: analysis, with missing data", "protocol"),
    Item("7a", "emulation: eligibility in the data", "protocol"),
    Item("7b", "emulation: strategies in the data", "protocol"),
    Item("7c", "emulation: assignment in the data", "protocol"),
    Item("7d", "emulation: follow-up from assignment on, and its end", "protocol"),
    Item("7e", "emulation: outcome in the data", "protocol"),
    Item("7f", "emulation: contrast in the data", "protocol"),
    Item("7g(i)", "emulation: assumptions, baseline confounding among them", "assumptions"),
    Item("7g(ii)", "emulation: variables on which the assumptions rest", "assumptions"),
    Item("7h(i)", "emulation: analysis and models, with missing data", "assumptions"),
    Item("7h(ii)", "emulation: analyses of sensitivity to the choices made", "sensitivity"),
    Item("8", "numbers assessed, eligible and analysed by strategy", "flow"),
    Item("9", "baseline characteristics by strategy", "baseline"),
    Item("10", "follow-up by strategy, and why it ended", "flow"),
    Item("11", "missing data by strategy", "baseline"),
    Item("12", "outcome by strategy", "results", needs_estimates=True),
    Item("13", "estimate of each contrast with its precision", "results", needs_estimates=True),
    Item("14", "results of the sensitivity analyses", "sensitivity"),
    Item("15", "interpretation", "summary"),
    Item("16", "limitations: trial against emulation, plausibility of the assumptions", "limits"),
    Item("17", "ethics approval", BY_AUTHORS),
    Item("18", "registration of the protocol", BY_AUTHORS),
    Item("19", "data, code and materials: where they are", "reproduction"),
    Item("20", "funding", BY_AUTHORS),
    Item("21", "conflicts of interest", BY_AUTHORS),
)


def tabulate_items(titles: dict[str, str], *, is_answered: bool) -> pd.DataFrame:
    """Tabulate the items of the TARGET statement with the section that answers each.

    Parameters
    ----------
    titles : dict of str to str
        Titles of the sections of the report, by anchor.
    is_answered : bool
        Whether there are estimates.

    Returns
    -------
    DataFrame
        ``Item, Asks, Where``; an item without its section is ``missing``.
    """
    return pd.DataFrame(
        [(item.number, item.asks, _locate(item, titles, is_answered)) for item in ITEMS],
        columns=["Item", "Asks", "Where"],
    )


def _locate(item: Item, titles: dict[str, str], is_answered: bool) -> str:
    if item.section == BY_AUTHORS:
        return BY_AUTHORS
    if item.needs_estimates and not is_answered:
        return "refused: there is none"
    return titles.get(item.section, "missing")
