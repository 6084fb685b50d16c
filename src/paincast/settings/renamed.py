"""Settings that were renamed: whoever gives an old name is told the new one."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

RENAMED: Mapping[str, tuple[str, str]] = MappingProxyType({})
"""By old dotted name: the new one, and how values change; empty if they do not."""
