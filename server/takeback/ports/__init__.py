"""What the shell of the core needs from the outside, as protocols.

Ledger, tools, compensations and the guard stand side by side on these and do not know each other. A port lets no
foreign exception through: what can go wrong is one of the exceptions below.
"""

from takeback.core.results import HTTP, VERSION
from takeback.ports.access import AccessEntry, AccessLedger, Sighting
from takeback.ports.agents import AgentUseCases, Caller, UndoAnswer
from takeback.ports.compensation import CodedCompensation, Compensation, Impossible, Material, Remedy
from takeback.ports.downstream import ANSWERED_WITHIN, Ask, Bridge, Downstream, Questions, Tell
from takeback.ports.ledger import (
    Approach,
    Change,
    HistoryQuery,
    KeyTaken,
    Lease,
    LeaseLost,
    Ledger,
    LedgerFailure,
    NotFound,
    Page,
    Pruned,
    Removed,
    Stale,
    Standing,
)
from takeback.ports.machine import Clock, Ids, Processes
from takeback.ports.pins import Pins
from takeback.ports.queue import QueueEntry, QueueLedger, QueuePage, QueueQuery
from takeback.ports.tools import (
    Answered,
    Busy,
    Changed,
    NotificationSink,
    NotSent,
    OutcomeUnknown,
    ProgressSink,
    ToolClient,
    ToolDefinition,
    ToolFailure,
)

__all__ = [
    "ANSWERED_WITHIN",
    "HTTP",
    "VERSION",
    "AccessEntry",
    "AccessLedger",
    "AgentUseCases",
    "Answered",
    "Approach",
    "Ask",
    "Bridge",
    "Busy",
    "Caller",
    "Change",
    "Changed",
    "Clock",
    "CodedCompensation",
    "Compensation",
    "Downstream",
    "HistoryQuery",
    "Ids",
    "Impossible",
    "KeyTaken",
    "Lease",
    "LeaseLost",
    "Ledger",
    "LedgerFailure",
    "Material",
    "NotFound",
    "NotSent",
    "NotificationSink",
    "OutcomeUnknown",
    "Page",
    "Pins",
    "Processes",
    "ProgressSink",
    "Pruned",
    "Questions",
    "QueueEntry",
    "QueueLedger",
    "QueuePage",
    "QueueQuery",
    "Remedy",
    "Removed",
    "Sighting",
    "Stale",
    "Standing",
    "Tell",
    "ToolClient",
    "ToolDefinition",
    "ToolFailure",
    "UndoAnswer",
]
