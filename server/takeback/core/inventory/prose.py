"""What a description says that a tool does: the verb that it begins with, and the verbs of change anywhere in it.

Prose is read for what speaks against a read, so a verb counts unless it plainly does not: because it is denied ("never
deletes"), is said of another tool, or stands where a noun does ("the latest update"). A verb that is a noun as often
counts only where it begins a sentence or governs something ("and restarts those that hang").
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from takeback.core.inventory.verbs import ANSWERS, MEANS, Deed, base, deed_of, is_noun_too, turns
from takeback.core.inventory.words import vocabulary

_SENTENCES: Final = re.compile(r"(?<=[.!?:;])\s+|\n\s*(?=[\n•*A-Z-])|\s[-•*]\s|\s\d+[.)]\s")
_TOKENS: Final = re.compile(r"`[^`]*`|'[^']*'|\"[^\"]*\"|[A-Za-z]+(?:[_-][A-Za-z0-9]+)+|[A-Za-z]+|\d+|[,()/]")
_OPENING: Final = vocabulary(
    "a an the this that tool function endpoint method operation api call used use to for can will lets allows "
    "allow enables you us users user it is be able deprecated optionally automatically also efficiently "
    "recursively quickly safely when want need should simply just directly which"
)
"""Words before the verb of "Use this tool to ...", "Allows you to ..."."""

_DENIALS: Final = vocabulary(
    "not never no without cannot can't don't doesn't won't isn't aren't neither nor instead rather before "
    "prior avoid unlike"
)
_REACH: Final = 3
"""Words over which a denial reaches: "does not itself modify", "instead of creating"."""

_DETERMINERS: Final = vocabulary(
    "a an the this that these those it them its his her their your our my all any each every both one some "
    "existing given specified current new old another multiple several"
)
_OBJECTS: Final = vocabulary("a an the this these those it them its his her their your our my each every all any")
"""Words that begin the object of a verb and seldom follow a plural."""

_BEFORE_NOUNS: Final = _DETERMINERS - {"it", "them"} | vocabulary(
    "of in on at by from with latest last first recent next previous pull for about per same full"
)
_JOINING: Final = vocabulary("and or then also to will would can may might must should automatically it which , / &")
_RELATIVE: Final = frozenset({"that", "which", "who", "whose", "where", "what"})
_HARMLESS: Final = vocabulary(
    "include includes provide provides contain contains support supports give gives output outputs print "
    "prints render renders parse parses extract extracts collect collects gather gathers group groups "
    "aggregate aggregates report filter filters limit limits explain rank ranks is are for with if when in on "
    "of by their from to at as return how why what where optionally than between about like whether determine "
    "determines evaluate assess assesses highlight highlights identify identifies has have does do per its "
    "across within into over under only also not"
)
"""Words after `and` that begin no change."""

_FUTURE: Final = frozenset({"be", "gets", "being"})
_AFTER_NOUNS: Final = vocabulary(
    "are is was were have has had with without and or can will must should may that which in of for from by to on at as"
)


def sentences(text: str) -> Iterator[list[str]]:
    """The words of each sentence, in lower case; quoted names and names with underscores stay as one word."""
    for sentence in _SENTENCES.split(text):
        found = [token.lower() for token in _TOKENS.findall(sentence.replace("\u2019", "'").replace("n't", " not"))]
        if found:
            yield found


def lead(text: str) -> tuple[str, Deed] | None:
    """The verb that a description begins with, and what it does; None where it begins otherwise."""
    for sentence in sentences(text):
        for index, word in enumerate(sentence):
            if word in _OPENING or word in {",", "(", ")"}:
                continue
            found = base(word)
            if found is None or (found[1] not in {"base", "s"} and index == 0 and found[1] != "ing"):
                return None
            verb, _ = found
            deed = deed_of(verb)
            if _looks_after_all(sentence, index):
                return None
            following = sentence[index + 1] if index + 1 < len(sentence) else ""
            return (f"{verb} {following}", Deed.UPDATE) if turns(verb, following) else (verb, deed) if deed else None
    return None


def joined_to_lead(text: str) -> Iterator[str]:
    """What is joined to the verb of the first sentence and is no known verb: "scans the folder and quarantines it"."""
    first = next(sentences(text), [])
    for index, word in enumerate(first[:-1]):
        governs = first[index + 1] in _DETERMINERS and _at(first, index - 1) in {"and", "then", "&"}
        if governs and index > 1 and base(word) is None and word not in _DETERMINERS | _HARMLESS and word.isalpha():
            yield word


def changes(text: str) -> Iterator[str]:
    """The verbs of change that a text says somebody does, as they stand in it."""
    for number, sentence in enumerate(sentences(text)):
        for index, word in enumerate(sentence):
            if (
                _says_other_tool(word)
                and index
                and sentence[index - 1] in {"use", "call", "see", "via", "using", "with"}
            ):
                break
            if _changes(sentence, index, begins=number == 0):
                yield word


def _says_other_tool(word: str) -> bool:
    return "_" in word or word[0] in "`'\"" or "-" in word


def _changes(sentence: list[str], index: int, *, begins: bool) -> bool:
    found = base(sentence[index].rpartition("-")[2])  # auto-creates
    if found is None or ("-" in sentence[index] and is_noun_too(found[0])):
        return False
    verb, form = found
    if deed_of(verb) is Deed.LOOK:
        return turns(verb, _at(sentence, index + 1)) and _at(sentence, index - 1) not in _BEFORE_NOUNS
    if verb in MEANS or _denied(sentence, index) or _looks_after_all(sentence, index):
        return False
    if form == "ed":
        return verb not in ANSWERS and _passive(sentence, index)
    if form == "s" and _is_look(_at(sentence, index - 1)):
        return False  # what is looked at: "list refunds"
    if is_noun_too(verb):
        return _stands_as_verb(sentence, index, form, begins=begins)
    return form == "ing" or _at(sentence, index - 1) not in _BEFORE_NOUNS


def _passive(sentence: list[str], index: int) -> bool:
    """`it is marked as read`; not `issues that are closed`, nor `if it is deleted`."""
    if index > 1 and sentence[index - 1].endswith("ly"):  # is automatically removed
        sentence, index = sentence[: index - 1] + sentence[index:], index - 1
    if _at(sentence, index - 1) not in {"is", "are"} | _FUTURE or _at(sentence, index - 2) in {"can", "could"}:
        return False
    return not (_RELATIVE | {"if", "whether", "when", "unless", "only", "how"}) & set(
        sentence[max(0, index - 4) : index - 1]
    )


def _looks_after_all(sentence: list[str], index: int) -> bool:
    """`Run a find query`, `performs a search`: what is set in motion only looks."""
    found = base(sentence[index])
    if found is None or deed_of(found[0]) is not Deed.RUN:
        return False
    return any(_is_look(word) for word in sentence[index + 1 : index + 5])


def _is_look(word: str) -> bool:
    found = base(word)
    return found is not None and found[1] in {"base", "s"} and deed_of(found[0]) is Deed.LOOK


def _stands_as_verb(sentence: list[str], index: int, form: str, *, begins: bool) -> bool:
    previous, following = _at(sentence, index - 1), _at(sentence, index + 1)
    governs = following in _DETERMINERS
    if form == "s" and following in _OBJECTS:
        return previous not in _BEFORE_NOUNS
    if index == 0 and form != "ing":
        return governs or (begins and following not in _AFTER_NOUNS and not _is_look(following))
    if form == "ing":
        return governs
    if previous in {"to", "will", "can", "must", "may", "should"}:
        return previous != "to" or governs or index == 1
    return governs and (previous in _JOINING or previous in {"this", "tool"})


def _denied(sentence: list[str], index: int) -> bool:
    return bool(_DENIALS & set(sentence[max(0, index - _REACH) : index]))


def _at(sentence: list[str], index: int) -> str:
    return sentence[index] if 0 <= index < len(sentence) else ""
