"""How light `segment` starts: no compiler is loaded for it."""

from __future__ import annotations

import subprocess
import sys


def test_segment_is_loaded_without_numba():
    code = "import sys, mapgen.inference.segment; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
