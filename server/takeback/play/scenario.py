"""What a scenario file may say. TOML; unknown keys are errors."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from takeback.core.expressions import Expression, ExpressionError
from takeback.core.jsontext import JSON
from takeback.core.policy.mistakes import spelled
from takeback.core.policy.values import Duration

_REFERENCE: Final = re.compile(r"\$\{(\w+)\}")

VARIABLES: Final = frozenset({"PLAY", "SCENARIO", "PYTHON", "TAKEBACK_STATE"})
"""What `[env]` and the commands of programs may refer to: the folders of play, scenario and guard, and this Python."""

ENDINGS: Final = ("", "_approval", "_confirm")
"""What a step's `save = "name"` keeps: the action's id, the approval's, and what confirms a preview."""


class ScenarioMistake(ValueError):
    """The scenario file is wrong; says where and why."""


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _several(value: object) -> object:
    return (value,) if isinstance(value, str) else value


Texts = Annotated[tuple[str, ...], BeforeValidator(_several)]
"""One text, or several."""


class Expect(_Table):
    """What must be true of a step's answer. `text` and `no_text` are substrings of its text."""

    error: bool | None = None
    text: Texts = ()
    no_text: Texts = ()
    status: str | None = None
    replayed: bool | None = None
    verified: str | None = None
    undo: str | None = None
    same_action_as: str | None = None
    other_action_than: str | None = None


class CallStep(_Table):
    """One tool call. `reply` says what the wire between client and guard does to the answer."""

    tool: str
    args: dict[str, Any] = {}
    meta: dict[str, Any] = {}
    reply: str = Field("delivered", pattern="^(delivered|lost)$")
    save: str | None = None
    expect: Expect = Expect()

    @model_validator(mode="after")
    def _seen(self) -> CallStep:
        if self.reply == "lost" and self.expect != Expect():
            raise ValueError("a reply that is lost cannot be expected to say anything")
        return self


class PersonStep(_Table):
    """What the scripted person does: at the command line, or the answers to the forms that come from now on."""

    approve: str | None = None
    deny: str | None = None
    reason: str = "as scripted"
    forms: tuple[Annotated[str, Field(pattern="^(approve|deny|ignore)$")], ...] | None = None

    @model_validator(mode="after")
    def _one(self) -> PersonStep:
        if sum(what is not None for what in (self.approve, self.deny, self.forms)) != 1:
            raise ValueError("a person needs exactly one of approve, deny, forms")
        return self


class WorldStep(_Table):
    """A look at the real system past the guard, through a connection of its own. `edit` is somebody else's change.

    `see` names the fields to show (all otherwise); `true` is an expression over `result` that must hold, at once or
    `within` so long.
    """

    tool: str = Field(pattern=r"^[^.]+\..+$", description="upstream.tool")
    args: dict[str, Any] = {}
    see: tuple[str, ...] = ()
    true: str | None = None
    within: Duration = timedelta()


class KillStep(_Table):
    """The guard's process is killed (SIGKILL), as soon as `once` holds of the real system.

    What a call is doing then is deterministic where a fault makes the system hold its answer.
    """

    once: WorldStep

    @model_validator(mode="after")
    def _waits(self) -> KillStep:
        if self.once.true is None:
            raise ValueError("what it waits for is missing: once.true")
        return self


class ShowStep(_Table):
    """A command that a person gives (short: `show = "history"`), and what its output must say, at once or `within`."""

    command: Annotated[str, Field(min_length=1)]
    text: Texts = ()
    no_text: Texts = ()
    within: Duration = timedelta()


def _command(value: object) -> object:
    if not isinstance(value, str):
        return value
    return {"command": value} if value.strip() else None


class Step(_Table):
    """One step: exactly one of the keys beside `say`."""

    say: str = ""
    call: CallStep | None = None
    parallel: tuple[CallStep, ...] = ()
    person: PersonStep | None = None
    world: WorldStep | None = None
    edit: WorldStep | None = None
    fault: dict[str, Any] | None = None
    kill: KillStep | None = None
    show: Annotated[ShowStep | None, BeforeValidator(_command)] = None
    reconnect: bool = False

    @model_validator(mode="after")
    def _one(self) -> Step:
        kinds = [name for name in type(self).model_fields if name != "say"]
        if sum(bool(getattr(self, kind)) for kind in kinds) != 1:
            raise ValueError(f"a step needs exactly one of {', '.join(kinds)}")
        return self

    @property
    def looks(self) -> tuple[tuple[str, WorldStep], ...]:
        """The looks at real systems that it takes, by their place in the file."""
        once = self.kill.once if self.kill is not None else None
        places = (("world", self.world), ("edit", self.edit), ("kill.once", once))
        return tuple((place, look) for place, look in places if look is not None)


def _text(value: object) -> object:
    return value.strip() if isinstance(value, str) else value


class Program(_Table):
    """A program that runs beside the guard. What it prints first, its address, becomes the variable `address`."""

    command: tuple[str, ...] = Field(min_length=1)
    address: str = Field(pattern=r"^[A-Za-z_]\w*$")


class Scenario(_Table):
    """The whole file. `forms` says whether the scripted client can show forms; `faults_file` is what `fault` writes."""

    title: str
    about: Annotated[str, BeforeValidator(_text)] = ""
    policy: str = "policy.toml"
    env: dict[str, str] = {}
    program: dict[Annotated[str, Field(pattern=r"^[A-Za-z][\w-]{0,31}$")], Program] = {}
    forms: bool = False
    faults_file: str | None = None
    step: tuple[Step, ...] = Field(min_length=1)


def read_scenario(text: bytes, name: str) -> Scenario:
    """Parse a scenario.

    Raises:
        ScenarioMistake: it is malformed; the message names every mistake.
    """
    try:
        scenario = Scenario.model_validate(tomllib.loads(text.decode("utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ScenarioMistake(f"{name}: {error}") from None
    except ValidationError as error:
        raise ScenarioMistake("\n".join(f"{name}: {mistake}" for mistake in _told(error))) from None
    if mistakes := [*_unknown_variables(scenario), *_loose_ends(scenario)]:
        raise ScenarioMistake("\n".join(f"{name}: {mistake}" for mistake in mistakes))
    return scenario


def _told(error: ValidationError) -> Iterator[str]:
    found = error.errors()
    inside = any(e["loc"][0] == "step" and len(e["loc"]) > 1 for e in found)
    for one in found:
        # Where a step is wrong, pydantic also counts the steps that are left, and misses one.
        if not (inside and one["type"] == "too_short" and one["loc"] == ("step",)):
            yield _mistake(one["loc"], one["msg"])


def _mistake(keys: tuple[str | int, ...], message: str) -> str:
    return f"{spelled(keys)}: {message.removeprefix('Value error, ')}"


def _unknown_variables(scenario: Scenario) -> Iterator[str]:
    places = [(("env", key), value) for key, value in scenario.env.items()]
    places += [(("program", key), repr(program.command)) for key, program in scenario.program.items()]
    for keys, value in places:
        for name in sorted(set(_REFERENCE.findall(value)) - VARIABLES):
            yield _mistake(keys, f"there is no ${{{name}}} here, only {', '.join(sorted(VARIABLES))}")


def _loose_ends(scenario: Scenario) -> Iterator[str]:
    """Names that no earlier step saved, and expressions that are none."""
    saved: set[str] = set()
    killed = False
    for index, step in enumerate(scenario.step):
        for keys, name in _named(step):
            if name not in saved:
                yield _mistake(("step", index, *keys), f"no earlier step saves {name!r}")
        for place, look in step.looks:
            if look.true is not None and (wrong := _wrong(look.true)):
                yield _mistake(("step", index, *place.split("."), "true"), wrong)
        if killed and (step.kill is not None or calls_of(step)):
            yield _mistake(("step", index), "no guard runs here: it was killed, and `reconnect` starts another one")
        killed = (killed or step.kill is not None) and not step.reconnect
        saved |= {f"{call.save}{end}" for call in calls_of(step) if call.save for end in ENDINGS}


def _named(step: Step) -> Iterator[tuple[tuple[str, ...], str]]:
    """What a step takes from earlier ones: where, and the name."""
    for key in ("call", "parallel", "world", "edit", "kill", "show"):
        for name in sorted(set(_REFERENCE.findall(repr(getattr(step, key))))):
            yield (key,), name
    for call in calls_of(step):
        for key in ("same_action_as", "other_action_than"):
            if (name := getattr(call.expect, key)) is not None:
                yield ("call" if step.call else "parallel", "expect", key), name
    for key in ("approve", "deny"):
        if step.person is not None and (name := getattr(step.person, key)) is not None:
            yield ("person", key), name


def calls_of(step: Step) -> tuple[CallStep, ...]:
    """The calls that a step makes."""
    return (step.call,) if step.call is not None else step.parallel


def _wrong(expression: str) -> str | None:
    try:
        Expression(_REFERENCE.sub("x", expression))
    except ExpressionError as error:
        return str(error)
    return None


def expanded(text: str, variables: Mapping[str, str]) -> str:
    """A text with `${NAME}` replaced where there is such a variable; nothing else is touched."""
    return _REFERENCE.sub(lambda found: variables.get(found[1], found[0]), text)


def filled(value: JSON, saved: dict[str, str]) -> JSON:
    """`${name}` replaced by what an earlier step saved.

    Raises:
        ScenarioMistake: nothing was saved under that name.
    """
    if isinstance(value, str):
        return _REFERENCE.sub(lambda found: _saved(found[1], saved), value)
    if isinstance(value, dict):
        return {key: filled(item, saved) for key, item in value.items()}
    return [filled(item, saved) for item in value] if isinstance(value, list) else value


def _saved(name: str, saved: dict[str, str]) -> str:
    if name not in saved:
        raise ScenarioMistake(f"${{{name}}} was not saved by an earlier step")
    return saved[name]
