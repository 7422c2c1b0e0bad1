"""Times as the desk writes them: ISO 8601 in UTC with milliseconds, so that text order is time order."""

from datetime import UTC, datetime

from desk.errors import Invalid


def now() -> str:
    """The present moment."""
    return _written(datetime.now(UTC))


def in_utc(moment: str) -> str:
    """The same moment as the desk writes it; a time without a zone is refused, because it names no moment."""
    try:
        parsed = datetime.fromisoformat(moment)
        utc = parsed.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Invalid(f"'{moment}' is not an ISO 8601 time") from None
    if parsed.tzinfo is None:
        raise Invalid(f"'{moment}' has no time zone; write for example 2026-12-01T09:30:00Z")
    return _written(utc)


def _written(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
