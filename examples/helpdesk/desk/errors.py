"""What a desk operation can refuse with; anything else that is raised is a fault of the desk itself."""


class DeskError(Exception):
    """A refusal whose text is meant for the caller. Nothing was changed."""


class NotFound(DeskError):
    """The record that the call names does not exist."""

    def __init__(self, kind: str, record_id: str) -> None:
        """Name the record that is missing."""
        super().__init__(f"{kind} {record_id} not found")


class Invalid(DeskError):
    """The arguments make no sense, whatever the state of the desk is."""


class Conflict(DeskError):
    """The arguments make sense, but not in the state that the desk is in."""
