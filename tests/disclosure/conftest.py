from __future__ import annotations

import sys
from pathlib import Path

# The attack is a module of its own, so that it shares nothing with what it attacks.
sys.path.insert(0, str(Path(__file__).parent))
