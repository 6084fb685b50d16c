"""What a registered model may be used for: a right that one version holds, the champion of a gate that allows care."""

from __future__ import annotations

from collections.abc import Mapping

from paincast.errors import DataError
from paincast.schema import RESEARCH_MARK

CHAMPION = "champion"
"""Alias of the version in service."""

USE_LIMIT = "Research use only, unless it is loaded as the champion of a gate that allows care."
"""What every report and description of a model says, which stays true when it is promoted."""

PROMOTED_USE = "promoted_use"
"""Tag of a version: what the gate that promoted it allowed, which holds again when it is champion again."""

CONTENT = "model_content"
"""Tag of a run and of its version: the content version of their bundle."""


def hold_contents(address: str, version: str, *tags: Mapping[str, str]) -> bool:
    """Hold the content version of a bundle against those that its run and its registered version name.

    Parameters
    ----------
    address : str
        Where the bundle is, for the message.
    version : str
        Content version of the bundle.
    *tags : mapping of str to str
        Tags of the registered version and of its run.

    Returns
    -------
    bool
        Whether any of them names one.

    Raises
    ------
    DataError
        If one names another.
    """
    named = [one[CONTENT] for one in tags if one.get(CONTENT)]
    others = [content for content in named if content != version]
    if others:
        raise DataError(
            f"{address} holds a bundle of version {version}, and {others[0]} was recorded: the bundle is not that of "
            "its run; train the model again",
            code="PC-GATES-01",
        )
    return bool(named)


def read_use(tags: Mapping[str, str], *, is_champion: bool) -> str:
    """Read from the tags of a registered version what it may be used for.

    Parameters
    ----------
    tags : mapping of str to str
        Tags of the version.
    is_champion : bool
        Whether the alias ``champion`` points at this very version.

    Returns
    -------
    str
        Empty for the champion that was promoted under a gate that allows care, whose tag ``use`` is empty; for
        everything else ``research use only``. A tag that was emptied by hand gives no right that the gate did not.
    """
    was_promoted = tags.get("verdict") == "passes" and bool(tags.get("promoted_at"))
    # Versions of earlier releases do not tell what their gate allowed but by ``use``.
    for_care = tags.get("use") == tags.get(PROMOTED_USE, "") == "" and tags.get("basis") != "synthetic"
    return "" if is_champion and was_promoted and for_care else RESEARCH_MARK
