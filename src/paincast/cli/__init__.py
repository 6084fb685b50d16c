"""Command line: the click commands, and the only modules that import Hydra."""

from paincast.cli.app import main

__all__ = ["main"]
