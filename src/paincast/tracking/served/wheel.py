"""Make a wheel of the installed package, and the requirements of a model that it travels with."""

from __future__ import annotations

import base64
import hashlib
import io
import re
import zipfile
from collections.abc import Iterator
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution, version
from pathlib import Path
from typing import NamedTuple

from paincast.errors import OutputError
from paincast.settings.configs import find_configs
from paincast.version import __version__

NAME = "paincast"
PACKAGE = Path(__file__).resolve().parents[2]
DIGITS = 12
WHEEL_FACTS = f"Wheel-Version: 1.0\nGenerator: {NAME} {__version__}\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
EARLIEST = (1980, 1, 1, 0, 0, 0)
"""The time of every file in the wheel: the same package gives the same bytes."""

LEFT_OUT = ("__pycache__", ".pyc", ".pyo")


class Wheel(NamedTuple):
    """A wheel: the name of its file, and its content."""

    file_name: str
    content: bytes


@cache
def make_wheel() -> Wheel:
    """Make a wheel of the package as it is installed, editable or not, without network and build tools.

    Its version has a local part, the first digits of the hash of what it holds (``0.1.0+0f3a…``): installers prefer it
    over any ``0.1.0`` of an index, and it says which code is installed where development goes on under one version.

    Returns
    -------
    Wheel

    Raises
    ------
    OutputError
        If the package is not installed, so that nobody knows what it needs.
    """
    installed = find_distribution()
    files = dict(_list_files())
    facts = dict(_list_facts(installed))
    digest = hashlib.sha256()
    for name, content in sorted((files | facts).items()):
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    local = f"{__version__}+{digest.hexdigest()[:DIGITS]}"
    facts["METADATA"] = re.sub(rb"(?m)^Version: .*$", f"Version: {local}".encode(), facts["METADATA"], count=1)
    folder = f"{NAME}-{local}.dist-info"
    named = {**files, **{f"{folder}/{name}": content for name, content in facts.items()}}
    record = "".join(f"{name},sha256={_hash(content)},{len(content)}\n" for name, content in sorted(named.items()))
    named[f"{folder}/RECORD"] = f"{record}{folder}/RECORD,,\n".encode()
    return Wheel(f"{NAME}-{local}-py3-none-any.whl", _zip(named))


def find_distribution() -> Distribution:
    """Find what is installed of the package.

    Raises
    ------
    OutputError
        If nothing is.
    """
    try:
        return distribution(NAME)
    except PackageNotFoundError:
        raise OutputError(
            f"{NAME} is imported from its sources and not installed, so that its requirements are not known and no "
            "model can be logged; install it with 'pip install --editable .'",
            code="PC-TRACKING-30",
        ) from None


def _list_files() -> Iterator[tuple[str, bytes]]:
    configs = find_configs()
    roots = [(PACKAGE, NAME)] if PACKAGE in configs.parents else [(PACKAGE, NAME), (configs, f"{NAME}/configs")]
    for root, name in roots:
        for file in root.rglob("*"):
            if file.is_file() and not any(part.endswith(LEFT_OUT) for part in file.relative_to(root).parts):
                yield f"{name}/{file.relative_to(root).as_posix()}", file.read_bytes()


def _list_facts(installed: Distribution) -> Iterator[tuple[str, bytes]]:
    yield "WHEEL", WHEEL_FACTS.encode()
    for name in ("METADATA", "entry_points.txt"):
        yield name, (installed.read_text(name) or "").encode()
    for file in installed.files or ():
        if ".dist-info/licenses/" in (path := file.as_posix()):
            yield path.partition(".dist-info/")[2], file.read_binary()


def _hash(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")


def _zip(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in files.items():
            facts = zipfile.ZipInfo(name, EARLIEST)
            facts.compress_type = zipfile.ZIP_DEFLATED
            facts.external_attr = 0o644 << 16
            archive.writestr(facts, content)
    return packed.getvalue()


def list_requirements(wheels: str) -> list[str]:
    """List what has to be installed to serve a model: the package from its wheel, and what it needs, as installed here.

    Parameters
    ----------
    wheels : str
        The folder of the wheel, relative to ``requirements.txt``, from where installers look it up.

    Returns
    -------
    list of str
        Lines of a requirements file. What its requirements need in turn is left to the installer.
    """
    needed = [line for line in find_distribution().requires or () if "extra ==" not in line]
    names = sorted({re.split(r"[^\w.-]", line, maxsplit=1)[0] for line in needed})
    return [f"--find-links {wheels}", f"{NAME}=={__version__}", *(f"{name}=={version(name)}" for name in names)]
