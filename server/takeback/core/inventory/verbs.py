"""What verbs do. Two lists matter most: those that only look, and those that are nouns as often as they are verbs."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from takeback.core.inventory.words import vocabulary


class Deed(StrEnum):
    """What a verb does to its object. `RUN` sets something in motion, and what that does the arguments tell."""

    LOOK = "look"
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    SEND = "send"
    RUN = "run"


_TABLE: Final = {
    Deed.LOOK: (
        "analyze analyse browse calculate check compare compute convert count describe detect diff discover "
        "display enumerate estimate examine explain fetch find get grep head identify inspect introspect list "
        "look lookup measure peek ping preview query read retrieve return scan search see show stat suggest "
        "summarize summarise tail translate validate view whoami wait"
    ),
    Deed.CREATE: (
        "add allocate append attach bookmark build clone compose copy create draft duplicate enqueue fork "
        "generate import init initialize insert install make mount new open prepend provision put push record "
        "register reserve schedule seed spawn upload write book save store commit log branch tag label "
        "comment note issue file snapshot backup"
    ),
    Deed.UPDATE: (
        "accept ack acknowledge acquire activate adjust apply approve archive arm assign associate authorize "
        "award ban bind blacklist block bump change checkout claim close complete configure confirm connect "
        "consume convert cordon customize deactivate decline decrement demote deny detach disable disarm "
        "disassociate disconnect downgrade downvote drain edit elevate enable encrypt enroll escalate "
        "exchange expire extend fill finish fix flag follow format freeze grant hibernate hide impersonate "
        "increment inflate ingest inject invalidate join leave link lock mark merge migrate modify move mute "
        "offboard onboard optimize overwrite patch pause pin promote protect quarantine rate react reassign "
        "rebase recalculate reconnect redact refill refresh regenerate reindex reject release rename renew "
        "reopen reorder repair replace reschedule reset resize resolve restore resume revert revoke rollback "
        "rotate scale seal select set settle share sign snooze stage star stop subscribe suspend swap switch "
        "sync synchronize take throttle tick touch train transition triage turn unarchive unassign unban "
        "unblock uncordon undo unfollow unfreeze unhide unlink unlock unmark unmute unpin unprotect unseal "
        "unshare unstage unstar unsubscribe unsuspend untick update upgrade upsert upvote vote wake whitelist"
    ),
    Deed.DELETE: (
        "abort cancel clean cleanup clear del delete deallocate deregister dequeue destroy discard dismiss "
        "drop empty erase evict expunge flush forget kill pop prune purge remove rm shred terminate trash "
        "truncate uninstall unmount unregister unset void wipe"
    ),
    Deed.SEND: (
        "announce broadcast buy call charge deliver deposit dial donate email emit forward give invite mail "
        "message notify order pay post publish purchase reply report request refund send sell sms submit tip "
        "trade transfer tweet unpublish withdraw"
    ),
    Deed.RUN: (
        "batch bulk click command control deploy dispatch drag drive eval evaluate exec execute fire handle "
        "hover interact invoke launch manage navigate operate perform play press process reboot redeploy "
        "rerun restart retry run scroll shutdown simulate start swipe tap test trigger type undeploy"
    ),
}

_NOUNS: Final = vocabulary(
    "accept access apply archive arm backup batch block book bookmark branch build bulk call change charge "
    "check checkout claim clean command comment commit complete connect control copy count design diff "
    "display draft drag drop edit email empty enable enqueue estimate exchange extend file filter fire flag "
    "follow fork format forward head hover import index install issue join label leave link list load lock "
    "log look mail make mark measure merge message mount mute new note open order paste patch pin play post "
    "press preview process project pull push put query rate recall record refund reject release reply report "
    "request reset restore result return review run sample scale scan schedule seal search select set share "
    "show sign snapshot stage star start stat state status stop store submit subscribe switch sync tag tail "
    "take test tip touch track trade train transfer transition trash trigger turn tweet type undo update "
    "upgrade upload use view vote wait wake watch write"
)
"""Verbs that are nouns (or adjectives) as often: in prose they count only where they stand as verbs."""

DEEDS: Final[Mapping[str, Deed]] = {word: deed for deed, row in reversed(_TABLE.items()) for word in row.split()} | {
    "convert": Deed.LOOK
}

THINGS: Final = vocabulary("log branch tag label comment note issue file snapshot record bookmark draft pull project")
"""Verbs that in a name are things where they do not lead it, and also where another verb ends it (`issue_read`)."""

_PARTICLES: Final = frozenset({"in", "out", "off", "on", "up", "down", "back"})
_OPPOSITES: Final = vocabulary(
    "add/remove add/delete add/clear append/remove insert/delete insert/remove create/delete create/remove "
    "create/destroy create/drop create/cancel open/close reopen/close enable/disable "
    "activate/deactivate start/stop start/cancel start/terminate launch/terminate pause/resume suspend/resume "
    "archive/restore trash/restore delete/restore grant/revoke attach/detach connect/disconnect join/leave "
    "register/deregister hide/show set/clear book/cancel schedule/cancel reserve/release reserve/cancel "
    "acquire/release allocate/deallocate associate/disassociate promote/demote complete/reopen resolve/reopen "
    "push/pop increment/decrement upgrade/downgrade upload/delete upload/remove clone/delete copy/delete "
    "fork/delete duplicate/delete import/delete save/delete store/delete store/forget generate/delete "
    "commit/revert apply/revert write/delete put/delete enqueue/dequeue"
)
OPPOSITES: Final[frozenset[tuple[str, str]]] = frozenset(
    pair for one, _, other in (row.partition("/") for row in _OPPOSITES) for pair in ((one, other), (other, one))
)
"""Both directions of each pair of verbs of which one takes the other back."""

SETTERS: Final = frozenset(
    {"update", "set", "put", "write", "edit", "modify", "replace", "patch", "change", "upsert", "save"}
)
"""Verbs that bring a record to the state which their arguments name."""

MOVERS: Final = frozenset({"move", "rename", "transfer", "swap", "relocate"})

RELATIVE: Final = frozenset(
    {"increment", "decrement", "adjust", "append", "prepend", "toggle", "bump", "scale", "push", "pop"}
)
"""Verbs whose second call adds to the first."""


MEANS: Final = vocabulary(
    "batch control convert dispatch fill finish format handle hide interact join load manage match operate "
    "optimize perform play process resolve select sort take test touch turn type"
)
"""Verbs that in prose mostly say how something is done ("handles large files"): there they count only as the first."""


ANSWERS: Final = vocabulary("accept apply call complete connect enable recall reject report request")
"""Verbs that in prose mostly say what a tool takes and answers: "both spellings are accepted"."""


def deed_of(word: str) -> Deed | None:
    """What a verb does, in its base form; None for words that are not known as verbs."""
    return DEEDS.get(word) or _by_prefix(word)


def _by_prefix(word: str) -> Deed | None:
    """`unfavorite`, `redeploy`: doing back and doing again are changes, whatever is done."""
    if word == "toggle":
        return Deed.UPDATE
    for prefix in ("un", "re", "de", "dis"):
        if word.startswith(prefix) and DEEDS.get(word.removeprefix(prefix), Deed.LOOK) is not Deed.LOOK:
            return Deed.UPDATE
    return None


def is_noun_too(word: str) -> bool:
    """Whether a verb is a noun as often."""
    return word in _NOUNS


def turns(word: str, following: str) -> bool:
    """Whether a particle makes another verb of it: to check is to look, to check out is not."""
    return following in _PARTICLES and word in {"check", "log", "sign", "turn", "opt"}


def base(word: str) -> tuple[str, str] | None:
    """The verb of a word as it stands in a sentence, with its form: `base`, `s`, `ing` or `ed`. None for no verb."""
    if deed_of(word) is not None:
        return word, "base"
    for form, endings in _FORMS:
        for ending, instead in endings:
            stem = word.removesuffix(ending) + instead
            if word.endswith(ending) and len(stem) > 1:
                for verb in (stem, _undoubled(stem)):
                    if deed_of(verb) is not None:
                        return verb, form
    return None


_FORMS: Final = (
    ("s", (("ies", "y"), ("es", ""), ("s", ""))),
    ("ing", (("ing", ""), ("ing", "e"), ("ying", "ie"))),
    ("ed", (("ied", "y"), ("ed", ""), ("ed", "e"))),
)


def _undoubled(stem: str) -> str:
    """`setting` is set, `submitting` submit."""
    return stem[:-1] if len(stem) > len("aa") and stem[-1] == stem[-2] and stem[-1] in "bdglmnprt" else stem


def opposed(one: str, other: str) -> bool:
    """Whether one verb takes back what the other did."""
    return (one, other) in OPPOSITES or other == f"un{one}" or one == f"un{other}"
