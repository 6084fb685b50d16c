"""The version of the package, and of the software it runs on: pyproject.toml and the site read the first here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

__version__ = "0.1.0"


def list_software(packages: Iterable[str]) -> Iterator[str]:
    """List paincast, Python and those of some packages that are installed, each with its version."""
    # Imported here, because every command reads the version and few need these.
    import platform
    from importlib.metadata import PackageNotFoundError, version

    yield f"paincast {__version__}"
    yield f"Python {platform.python_version()}"
    for package in packages:
        try:
            yield f"{package} {version(package)}"
        except PackageNotFoundError:
            continue
