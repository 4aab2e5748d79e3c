"""What users may call drives, devices and objects."""

from __future__ import annotations

import re

IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9._-]*")
"""Letters, digits, `-`, `.` and `_`, a letter first."""
