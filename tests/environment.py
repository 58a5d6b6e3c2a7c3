"""What the tests find around them, set before libraries read it: nothing is fetched, and no terminal is claimed."""

from __future__ import annotations

import os

os.environ["HF_HUB_OFFLINE"] = "1"
for name in ("FORCE_COLOR", "PY_COLORS", "TTY_COMPATIBLE", "GITHUB_ACTIONS"):
    os.environ.pop(name, None)
