"""Procedure codes that may stand for several techniques; a mapping must say which, by a second condition."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from paincast.files.strict_yaml import Node
from paincast.schema import Column

_NECK_EPIDURAL = (
    "an epidural steroid injection",
    "an epidural injection without a steroid",
    "an intrathecal injection",
)
_LOW_EPIDURAL = (
    "an interlaminar epidural steroid injection",
    "a caudal epidural steroid injection",
    "an epidural injection without a steroid",
    "an intrathecal injection",
)
_TRANSFORAMINAL = ("a transforaminal epidural steroid injection", "a nerve root block, for diagnosis or treatment")
_FACET = ("a therapeutic facet joint injection", "a diagnostic block of the joint or of its medial branches")
_LARGE_JOINT = ("an injection of the knee", "of the hip", "of another large joint", "an aspiration")

AMBIGUOUS_CODES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "20610": _LARGE_JOINT,
        "20611": _LARGE_JOINT,
        "62320": _NECK_EPIDURAL,
        "62321": _NECK_EPIDURAL,
        "62322": _LOW_EPIDURAL,
        "62323": _LOW_EPIDURAL,
        "63650": ("the electrode of a stimulation trial", "the electrode of a permanent spinal cord stimulator"),
        "64479": _TRANSFORAMINAL,
        "64483": _TRANSFORAMINAL,
        "64490": _FACET,
        "64493": _FACET,
        "64640": ("a neurolysis of genicular nerves", "of sacroiliac nerves", "of another peripheral nerve"),
    }
)
"""What each of these codes of procedures may stand for. CPT itself is licensed by the American Medical Association and
is not part of the package; the numbers stand here to be refused."""


def refuse_ambiguous_code(node: Node, code: str, target: Column) -> None:
    """Refuse a code that alone decides the technique or approach although it stands for several.

    Raises
    ------
    SettingsError
        If the code is in :data:`AMBIGUOUS_CODES`; the message names what it may be.
    """
    if target.name in ("technique", "approach") and code in AMBIGUOUS_CODES:
        raise node.refuse(
            f"the procedure code {code} alone does not tell the {target.name}: it may be "
            f"{', or '.join(AMBIGUOUS_CODES[code])}; write '{{means: ..., where: {{column: ..., is: [...]}}}}'"
        )
