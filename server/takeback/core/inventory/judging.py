"""Whether a tool reads or writes: every source is asked, and the answers are weighed."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from takeback.core.inventory.arguments import Argument, is_language
from takeback.core.inventory.evidence import ENOUGH, FOR, VETO, Finding, Source, balance
from takeback.core.inventory.offered import Offered
from takeback.core.inventory.prose import changes, joined_to_lead, lead
from takeback.core.inventory.verbs import THINGS, Deed, deed_of, is_noun_too
from takeback.core.inventory.words import vocabulary, words

_TAKES_TEXT: Final = vocabulary(
    "search find query lookup analyze analyse compare convert translate validate summarize summarise "
    "calculate compute count detect diff estimate scan check suggest explain preview"
)
"""Verbs that look at a text which they are given."""

_HANDED_OUT: Final = re.compile(
    r"\b(?:pending|unread|unseen|queued|waiting|next)\s+(?:\w+[/ ]){0,2}"
    r"(?:messages?|jobs?|events?|notifications?|entr(?:y|ies)|items?|e?mails?)\b"
    r"|\bfrom (?:the|a|an) (?:\w+ )?(?:queue|subscription|mailbox)\b|\bconsumer group\b",
    re.IGNORECASE,
)
"""What is handed out once, or is no longer new when it was read."""

_SOURCES_OF_ONCE: Final = frozenset({"queue", "subscription", "consumer"})

_ON_SCREEN: Final = vocabulary("selector css_selector uid xpath element locator coordinate target_element")
"""Arguments that name a place on a screen: what is there decides what an action does."""

_TAKEN: Final = frozenset({"lock", "lease", "mutex", "semaphore", "reservation"})
"""What one has taken when one got it."""

_LISTINGS: Final = vocabulary("list status info information detail details history count log logs stats summary")
_SEARCHES: Final = vocabulary("search query lookup filter find list count")
_GOES_OUT: Final = vocabulary(
    "refund payment payout transfer charge purchase trade donation message email mail sms tweet invitation "
    "invite notification announcement"
)
"""What leaves the system in the moment in which it is made."""

_BY_METHOD: Final = {"POST": Deed.CREATE, "PUT": Deed.UPDATE, "PATCH": Deed.UPDATE, "DELETE": Deed.DELETE}


class Nature(StrEnum):
    """What a tool is taken for. An unsure one is drafted as the most careful kind of write."""

    READ = "read"
    WRITE = "write"
    UNSURE = "unsure"


@dataclass(frozen=True, slots=True)
class Harmless:
    """When a tool only reads: a condition over `args`, and the arguments that it needs to be called so."""

    condition: str
    given: dict[str, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a tool is, why, and (`harmless`) under which conditions the tool is a read although it can write.

    `deed` is what it does to its object where it writes; None where nothing says. `several` names the argument that
    chooses between several things.
    """

    nature: Nature
    deed: Deed | None
    findings: tuple[Finding, ...]
    harmless: tuple[Harmless, ...] = ()
    several: Argument | None = None

    @property
    def reads(self) -> bool:
        """Whether it can be asked without changing anything, if need be in a certain way."""
        return self.nature is Nature.READ


def judge(tool: Offered, written: Container[tuple[str, ...]] = frozenset()) -> Judgement:
    """Ask every source about a tool. `written` are the paths that tools of the same API write to."""
    findings = (*_findings(tool), *_of_others(tool, written))
    several = next((argument for argument in tool.arguments if _chooses(argument)), None)
    nature = _nature(findings)
    if several is not None:
        return Judgement(Nature.WRITE, _deed(tool), findings, tuple(_choices_that_read(tool, several)), several)
    if nature is not Nature.READ:
        return Judgement(nature, _deed(tool), findings)
    return Judgement(nature, None, findings, tuple(_ways_to_read(tool)))


def _nature(findings: tuple[Finding, ...]) -> Nature:
    if any(finding.weight <= VETO for finding in findings):
        return Nature.WRITE
    says_so = {finding.source for finding in findings if finding.weight > 0}
    spoken = says_so & {Source.NAME, Source.DESCRIPTION, Source.OTHERS}
    return Nature.READ if spoken and balance(findings) >= ENOUGH else Nature.UNSURE


def _findings(tool: Offered) -> Iterator[Finding]:
    yield from _of_name(tool)
    yield from _of_description(tool)
    yield from _of_hints(tool)
    yield from _of_arguments(tool)
    yield from _of_requests(tool)
    yield from _of_http(tool)


def _of_name(tool: Offered) -> Iterator[Finding]:
    if tool.deed is Deed.LOOK:
        yield Finding(Source.NAME, FOR, f"the name says {tool.verb}")
    elif tool.deed is not None:
        last = words(tool.name)[-1]
        listing = is_noun_too(str(tool.verb)) and last in _LISTINGS and last != tool.verb
        if not listing:
            yield Finding(Source.NAME, VETO, f"the name says {tool.verb}")
    if tool.deed is Deed.LOOK and tool.noun[-1:] and tool.noun[-1] in _TAKEN:
        yield Finding(Source.NAME, VETO, f"to {tool.verb} a {tool.noun[-1]} may be to take it")
    parts = words(tool.name)
    if tool.verb is None and parts and deed_of(parts[-1]) is not None and parts[-1] not in THINGS:
        yield Finding(Source.NAME, -FOR, f"the name ends with {parts[-1]}, which may be a verb")
    for stray in tool.strays:
        yield Finding(Source.NAME, VETO, f"the name says {stray}, too")


def _of_description(tool: Offered) -> Iterator[Finding]:
    begins = lead(tool.description)
    if begins is not None and begins[1] is Deed.LOOK:
        yield Finding(Source.DESCRIPTION, FOR, f'the description begins with "{begins[0]}"')
    elif begins is not None:
        yield Finding(Source.DESCRIPTION, VETO, f'the description begins with "{begins[0]}"')
    if _HANDED_OUT.search(tool.description) is not None:
        yield Finding(Source.DESCRIPTION, VETO, "what it reads may be handed out once, or be marked as read")
    if joined := list(dict.fromkeys(joined_to_lead(tool.description))):
        reason = f"the description goes on with {', '.join(joined[:3])}, of which it is not known what it does"
        yield Finding(Source.DESCRIPTION, -ENOUGH, reason)
    said = list(dict.fromkeys(word for text in (tool.description, tool.title) for word in changes(text)))
    if said:
        yield Finding(Source.DESCRIPTION, VETO, "the description speaks of changes: " + ", ".join(said[:5]))


def _of_hints(tool: Offered) -> Iterator[Finding]:
    reads, destroys = tool.hints.get("readOnlyHint"), tool.hints.get("destructiveHint")
    if reads is True and destroys is not True and tool.http is None:  # else the hint is the method, said again
        yield Finding(Source.ANNOTATIONS, FOR, "readOnlyHint is true")
    if reads is False:
        yield Finding(Source.ANNOTATIONS, VETO, "readOnlyHint is false")
    if destroys is True:
        yield Finding(Source.ANNOTATIONS, VETO, "destructiveHint is true")


def _of_arguments(tool: Offered) -> Iterator[Finding]:
    for argument in tool.arguments:
        if argument.is_command or (
            argument.is_query and is_language(f"{' '.join(words(tool.name))} {tool.description}")
        ):
            yield Finding(Source.SCHEMA, VETO, f"{argument.name} is a command or a program, which may do anything")
        elif _SOURCES_OF_ONCE.intersection(words(argument.name)) - set(tool.noun):
            yield Finding(Source.SCHEMA, VETO, f"{argument.name} may hand out once what is read from it")
        elif argument.is_output_file and argument.required:
            yield Finding(Source.SCHEMA, VETO, f"{argument.name} is a file that it writes")
        elif argument.is_content and argument.required and tool.verb not in _TAKES_TEXT:
            yield Finding(Source.SCHEMA, VETO, f"{argument.name} gives it something to write")


def _of_requests(tool: Offered) -> Iterator[Finding]:
    """A tool that sends any request, or makes one file of another."""
    named = {word for argument in tool.arguments for word in words(argument.name)}
    if named & {"url", "uri", "endpoint", "href"} and named & {"method", "body", "payload"}:
        yield Finding(Source.SCHEMA, VETO, "it sends requests with any method or body")
    if tool.verb in {"convert", "translate", "format"} and named & {"path", "file", "filename", "folder", "directory"}:
        yield Finding(Source.SCHEMA, VETO, f"to {tool.verb} a file is to write another")


def _of_http(tool: Offered) -> Iterator[Finding]:
    if tool.http is None:
        return
    last = words(tool.http.segments[-1]) if tool.http.segments else ()
    if not tool.http.is_safe:
        asks = tool.http.method == "POST" and _SEARCHES.intersection(last)
        yield Finding(Source.HTTP, -FOR if asks else VETO, f"the method is {tool.http.method}")
        return
    acts = next((word for word in _path_verbs(tool.http.segments)), None)
    if acts is not None:
        yield Finding(Source.HTTP, VETO, f"the path says {acts}, whatever the method")
    elif tool.http.method != "OPTIONS":
        yield Finding(Source.HTTP, FOR, f"the method is {tool.http.method}")


def _of_others(tool: Offered, written: Container[tuple[str, ...]]) -> Iterator[Finding]:
    """A path that other methods write to is a record's, and GET is how one reads it."""
    if tool.http is not None and tool.http.is_safe and tool.http.segments in written:
        yield Finding(Source.OTHERS, FOR, "other tools write to the same path")


def written_paths(tools: Iterable[Offered]) -> frozenset[tuple[str, ...]]:
    """The paths that requests with methods of change go to."""
    return frozenset(tool.http.segments for tool in tools if tool.http is not None and not tool.http.is_safe)


def _path_verbs(segments: tuple[str, ...]) -> Iterator[str]:
    """Verbs of change in a path: sure ones that lead a segment, and others where they end the path of one thing."""
    for index, segment in enumerate(segments):
        parts = words(segment)
        if segment == "{}" or not parts or deed_of(parts[0]) in {None, Deed.LOOK}:
            continue
        ends = index == len(segments) - 1 and index > 0 and segments[index - 1] == "{}"
        if not is_noun_too(parts[0]) or ends:
            yield parts[0]


def _deed(tool: Offered) -> Deed | None:
    """What a write does: by its name, else its description, else its HTTP method."""
    begins = lead(tool.description)
    on_screen = any(argument.key in _ON_SCREEN for argument in tool.arguments)
    if on_screen or tool.family[:1] in {("browser",), ("page",), ("puppeteer",), ("playwright",)}:
        return Deed.RUN  # whatever it is called, the page decides what it does
    if tool.deed not in {None, Deed.LOOK}:
        goes_out = tool.noun[-1:] and tool.noun[-1] in _GOES_OUT and "draft" not in tool.noun
        return (
            Deed.SEND if tool.deed is Deed.CREATE and (goes_out or (begins and begins[1] is Deed.SEND)) else tool.deed
        )
    if begins is not None and begins[1] is not Deed.LOOK and tool.deed is None:
        return begins[1]
    if tool.http is not None and tool.deed is None:
        return _BY_METHOD.get(tool.http.method)
    return None


def _chooses(argument: Argument) -> bool:
    """Whether an argument makes several tools of one, and one of them writes. To append or to overwrite is one."""
    deeds = {_says(choice) for choice in argument.choices}
    one = deeds <= {Deed.LOOK} or deeds <= {Deed.CREATE, Deed.UPDATE}
    return argument.is_order and argument.is_plain and not one


def _says(choice: str) -> Deed | None:
    parts = words(choice)
    return deed_of(parts[0]) if parts else None


def _choices_that_read(tool: Offered, argument: Argument) -> Iterator[Harmless]:
    """Values that are named like reads and spoken of as such; and only where nothing else makes a write of the tool."""
    if tool.deed not in {None, Deed.LOOK} or any(argument.is_command for argument in tool.arguments):
        return
    if tool.http is not None or (tool.hints.get("destructiveHint") is True and tool.hints.get("readOnlyHint") is True):
        return
    told = set(words(f"{tool.description} {argument.said}"))
    for choice in argument.choices:
        parts = words(choice)
        if _says(choice) is Deed.LOOK and (choice,) == parts and choice in told - {"get", "head"}:
            yield Harmless(f"has(args.{argument.name}) && args.{argument.name} == '{choice}'")


def _ways_to_read(tool: Offered) -> Iterator[Harmless]:
    """What must be so for an otherwise harmless tool to stay harmless."""
    conditions: list[str] = []
    given: dict[str, bool] = {}
    for argument in tool.arguments:
        name = f"args.{argument.name}"
        if argument.is_output_file:
            conditions.append(f"!has({name})")
        elif argument.is_switch and argument.schema.get("default") is False:
            conditions.append(f"(!has({name}) || {name} == false)")
        elif argument.is_switch:
            conditions.append(f"has({name}) && {name} == false")
            given[argument.name] = False
    if conditions:
        yield Harmless(" && ".join(conditions), given)
