"""Determine the permitted use of a registered model: only a champion whose gate allows care may be used in care."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from paincast.errors import DataError
from paincast.outcomes import name_model
from paincast.schema import RESEARCH_MARK

CHAMPION = "champion"
"""Alias of the version in service."""

USE_LIMIT = "Research use only, unless it is loaded as the champion of a gate that allows care."
"""Sentence in every report and description of a model; it remains true when the model is promoted."""

PROMOTED_USE = "promoted_use"
"""Tag of a version: the use that its gate allowed, which applies again if it becomes champion again."""

CONTENT = "model_content"
"""Tag of a run and of its version: the content version of their bundle."""


FURTHER_MONTH = "further_month"
"""Tag of a run whose model is not that of the primary month: the month."""


def name_registered(technique: str, outcome: str, further_month: float | None = None) -> str:
    """Return the name in the registry of a model; the arguments are those of :func:`paincast.outcomes.name_model`.

    Examples
    --------
    >>> name_registered("facet_rfa", "pain_response"), name_registered("facet_rfa", "pain_response", 12.0)
    ('paincast.facet_rfa.pain_response', 'paincast.facet_rfa.pain_response.month-12')
    """
    return f"paincast.{name_model(technique, outcome, further_month).replace('/', '.')}"


def name_registered_by(tags: Mapping[str, str]) -> str:
    """Return the name in the registry of the model of a run, from the tags of the run.

    Examples
    --------
    >>> name_registered_by({"technique": "facet_rfa", "outcome": "satisfaction", "further_month": "3"})
    'paincast.facet_rfa.satisfaction.month-03'
    """
    month = tags.get(FURTHER_MONTH)
    return name_registered(str(tags.get("technique")), str(tags.get("outcome")), float(month) if month else None)


def find_versions_of_content(client: Any, name: str, content: str) -> list[Any]:
    """Find the registered versions of a model whose bundle has a content version.

    Parameters
    ----------
    client : object with ``search_model_versions``
        Client of the registry.
    name : str
        Name of the registered model (:func:`name_registered`).
    content : str
        Content version of the bundle.

    Returns
    -------
    list
        Versions as the client gives them; empty if the model is not registered.
    """
    versions = client.search_model_versions(f"name='{name}'")
    return [version for version in versions if version.tags.get(CONTENT) == content]


def verify_contents(address: str, version: str, *tags: Mapping[str, str]) -> bool:
    """Compare the content version of a bundle with the versions in the tags of its run and registered version.

    Parameters
    ----------
    address : str
        Address of the bundle, for the message.
    version : str
        Content version of the bundle.
    *tags : mapping of str to str
        Tags of the registered version and of its run.

    Returns
    -------
    bool
        Whether any of the tags names a content version.

    Raises
    ------
    DataError
        If a tag names another content version.
    """
    named = [entry[CONTENT] for entry in tags if entry.get(CONTENT)]
    others = [content for content in named if content != version]
    if others:
        raise DataError(
            f"{address} has a bundle of version {version}, and {others[0]} was recorded: the bundle does not "
            "match its run; train the model again",
            code="PC-GATES-01",
        )
    return bool(named)


def read_use(tags: Mapping[str, str], *, is_champion: bool) -> str:
    """Read the permitted use from the tags of a registered version.

    Parameters
    ----------
    tags : mapping of str to str
        Tags of the version.
    is_champion : bool
        Whether the alias ``champion`` points to this version.

    Returns
    -------
    str
        Empty for a champion promoted by a gate that allows care, whose tag ``use`` is empty; otherwise ``research use
        only``. Clearing the tag by hand does not permit a use that the gate did not allow.
    """
    was_promoted = tags.get("verdict") == "passes" and bool(tags.get("promoted_at"))
    # Versions of earlier releases record what their gate allowed only in ``use``.
    for_care = tags.get("use") == tags.get(PROMOTED_USE, "") == "" and tags.get("basis") != "synthetic"
    return "" if is_champion and was_promoted and for_care else RESEARCH_MARK
