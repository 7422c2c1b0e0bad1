"""The examples are programs beside the packages, so their folders have to be put on the path."""

import sys
from pathlib import Path

HELPDESK = Path(__file__).parents[2] / "examples" / "helpdesk"

sys.path.insert(0, str(HELPDESK))
