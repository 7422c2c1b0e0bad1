"""What a scenario file may say. TOML; unknown keys are errors."""

from __future__ import annotations

import re
import tomllib
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from takeback.core.expressions import ExpressionError
from takeback.core.jsontext import JSON

_REFERENCE: Final = re.compile(r"\$\{(\w+)\}")


class ScenarioMistake(ValueError):
    """The scenario file is wrong; says where and why."""


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Expect(_Table):
    """What must be true of a step's answer. `text` and `no_text` are substrings of its text."""

    error: bool | None = None
    text: tuple[str, ...] = ()
    no_text: tuple[str, ...] = ()
    status: str | None = None
    replayed: bool | None = None
    verified: str | None = None
    undo: str | None = None
    same_action_as: str | None = None
    other_action_than: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _lists(cls, value: Any) -> Any:
        if isinstance(value, dict):
            return {k: (v,) if k in {"text", "no_text"} and isinstance(v, str) else v for k, v in value.items()}
        return value


class CallStep(_Table):
    """One tool call. `reply` says what the wire between client and guard does to the answer."""

    tool: str
    args: dict[str, Any] = {}
    meta: dict[str, Any] = {}
    reply: str = Field("delivered", pattern="^(delivered|lost)$")
    save: str | None = None
    expect: Expect = Expect()


class PersonStep(_Table):
    """What the scripted person does: at the command line, or the answers to the forms that come from now on."""

    approve: str | None = None
    deny: str | None = None
    reason: str = "as scripted"
    forms: tuple[Annotated[str, Field(pattern="^(approve|deny|ignore)$")], ...] | None = None


class WorldStep(_Table):
    """A look at the real system past the guard, through a connection of its own. `edit` is somebody else's change.

    `see` names the fields to show (all otherwise); `true` is an expression over `result` that must hold.
    """

    tool: str
    args: dict[str, Any] = {}
    see: tuple[str, ...] = ()
    true: str | None = None


class Step(_Table):
    """One step: exactly one of `call`, `parallel`, `person`, `world`, `edit`, `fault`, `show`."""

    say: str = ""
    call: CallStep | None = None
    parallel: tuple[CallStep, ...] = ()
    person: PersonStep | None = None
    world: WorldStep | None = None
    edit: WorldStep | None = None
    fault: dict[str, Any] | None = None
    show: str | None = None
    reconnect: bool = False

    @model_validator(mode="after")
    def _one(self) -> Step:
        kinds = [self.call, self.parallel, self.person, self.world, self.edit, self.fault, self.show, self.reconnect]
        if sum(bool(kind) for kind in kinds) != 1:
            raise ValueError("a step needs exactly one of call, parallel, person, world, edit, fault, show, reconnect")
        return self


def _text(value: object) -> object:
    return value.strip() if isinstance(value, str) else value


class Scenario(_Table):
    """The whole file. `forms` says whether the scripted client can show forms; `faults_file` is what `fault` writes."""

    title: str
    about: Annotated[str, BeforeValidator(_text)] = ""
    policy: str = "policy.toml"
    env: dict[str, str] = {}
    forms: bool = False
    faults_file: str | None = None
    step: tuple[Step, ...] = Field(min_length=1)


def read_scenario(text: bytes, name: str) -> Scenario:
    """Parse a scenario.

    Raises:
        ScenarioMistake: it is malformed; the message names every mistake.
    """
    try:
        return Scenario.model_validate(tomllib.loads(text.decode("utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ScenarioMistake(f"{name}: {error}") from None
    except ExpressionError as error:
        raise ScenarioMistake(f"{name}: {error}") from None
    except ValidationError as error:
        lines = [f"{name}: {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise ScenarioMistake("\n".join(lines)) from None


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
