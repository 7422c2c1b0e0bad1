"""For whom a correction trail is told: the inside, or a customer, who learns nothing of others and no logins."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from takeback.core.action import Action, Target
from takeback.core.wording import targets_of

Audience = Literal["internal", "customer"]


@dataclass(frozen=True, slots=True)
class Voice:
    """How people, tools, times and free texts are put. `hidden` are ids of records that are not this customer's."""

    audience: Audience
    agent: str
    hidden: tuple[str, ...] = ()

    @classmethod
    def of(cls, audience: Audience, action: Action, others: Sequence[Action]) -> Voice:
        """The voice in which an action is told; `others` are what else its run did."""
        own = {target.id for target in action.targets}
        foreign = {target.id for other in others for target in other.targets} - own
        labels = {target.label for other in others for target in other.targets if target.id in foreign and target.label}
        return cls(audience, action.principal, tuple(sorted(foreign | labels, key=len, reverse=True)))

    @property
    def outward(self) -> bool:
        """Whether somebody outside listens."""
        return self.audience == "customer"

    def who(self, principal: str) -> str:
        """A login on the inside, a role outside."""
        if not self.outward:
            return principal
        return "our assistant" if principal == self.agent else "a member of our staff"

    def tool(self, name: str) -> str:
        """What was called."""
        return "our system" if self.outward else name

    def when(self, at: datetime) -> str:
        """A time on the inside, a date outside."""
        return f"{at:%d %B %Y}".lstrip("0") if self.outward else f"{at:%Y-%m-%d %H:%M} UTC"

    def targets(self, targets: Sequence[Target]) -> str:
        """The records, by id and label."""
        return targets_of(targets)

    def free(self, text: str) -> str:
        """Words that somebody else wrote, without what names another's record."""
        if not self.outward:
            return text
        for name in self.hidden:
            text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "another record", text)
        return text
