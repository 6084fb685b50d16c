"""The version of the package: pyproject.toml, the site and the package itself read it here."""

__version__ = "0.1.0"
