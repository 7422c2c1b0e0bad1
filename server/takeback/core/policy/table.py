"""What holds for every table of a policy file: its keys are known, and it does not change."""

from __future__ import annotations

from typing import Final

from pydantic import ConfigDict

TABLE: Final = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, populate_by_name=True)
