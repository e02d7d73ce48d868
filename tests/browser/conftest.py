"""The samples of the pages are those of the tests in ``quality``."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "quality"))
