"""What the agents of a load run mean to be done: so many operations, each of which is to take effect once.

Each has arguments that no other has, so that its effect can be told from all others. A share is called twice, as
clients do: the reply was `lost` or slow, the same call is made `together` with itself, or comes `late`, when it was
answered long ago.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from .policies import KINDS

Twice = Literal["", "lost", "together", "late"]

AGENTS: Final = 16
CALLS_OF_A_RUN: Final = 200
"""After which an agent begins a run of its own anew."""

_DUPLICATES: Final[Mapping[Twice, float]] = {"": 0.7, "lost": 0.1, "together": 0.1, "late": 0.1}
"""The share of operations that are called twice, by how."""


@dataclass(frozen=True, slots=True)
class Meant:
    """One operation. `run` is its agent's."""

    number: int
    name: str
    arguments: Mapping[str, str]
    run: str
    twice: Twice = ""

    @property
    def effect(self) -> str:
        """As the counter names it."""
        return effect_of(self.name, self.arguments)

    @property
    def target(self) -> str:
        """What keeps others waiting while it is in doubt."""
        return next(iter(self.arguments.values()))


def effect_of(name: str, arguments: Mapping[str, object]) -> str:
    """The effect of a call, as the counter names it."""
    return " ".join([name, *map(str, arguments.values())])


def generated(calls: int, seed: int, *, agents: int = AGENTS) -> list[list[Meant]]:
    """What each agent means, in order. No run sets a record twice, so that an equal call is never meant anew."""
    return [list(_of_one(agent, range(agent, calls, agents), calls, seed)) for agent in range(agents)]


def _of_one(agent: int, numbers: Sequence[int], calls: int, seed: int) -> Iterator[Meant]:
    chance = random.Random(f"{seed} {agent}")
    ways, records = list(_DUPLICATES), list[int]()
    for at, number in enumerate(numbers):
        if at % CALLS_OF_A_RUN == 0:
            records = chance.sample(range(max(calls // 50, CALLS_OF_A_RUN)), CALLS_OF_A_RUN)
        name = chance.choice(KINDS)
        arguments = _arguments(name, number, records.pop(), chance.randrange(max(calls // 5, 10)))
        twice = chance.choices(ways, list(_DUPLICATES.values()))[0]
        yield Meant(number, name, arguments, f"r-{agent}-{at // CALLS_OF_A_RUN}", twice)


def _arguments(name: str, number: int, record: int, account: int) -> dict[str, str]:
    if name == "set":
        return {"id": f"R-{record}", "value": f"v{number}"}
    if name == "note":
        return {"text": f"n{number}"}
    return {"account": f"{name[0].upper()}-{account}", "amount": f"{number}"}
