from __future__ import annotations

import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"

# Store, server and browser are those of the tour's pictures; a source distribution does not hold it.
if DOCS.is_dir():
    sys.path.append(str(DOCS))
else:
    collect_ignore_glob = ["test_*.py"]
