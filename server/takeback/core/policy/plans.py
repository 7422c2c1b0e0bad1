"""What the policy file says of plans."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from takeback.core.policy.table import TABLE


class Plans(BaseModel):
    """Bounds on plans, and where in one the steps stand that nothing takes back.

    `irreversible`: they come as late as what depends on them allows (`last`), a plan in which anything else would still
    have to come after one is refused (`refuse`), or the order is the agent's (`as_given`).
    """

    model_config = TABLE

    irreversible: Literal["last", "refuse", "as_given"] = "last"
    steps: int = Field(default=1000, ge=1, le=10_000)
    side_by_side: int = Field(default=8, ge=1, le=100)
