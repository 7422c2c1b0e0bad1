"""Reports, which take a while: asking for one makes a job, and a worker writes the document later."""

import sqlite3
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

from desk import faults, records
from desk.clock import now
from desk.documents import put_document
from desk.records import Kind, Record
from desk.store import transaction
from desk.tickets import TICKET

JOB = Kind("job", "jobs", "job_id", "J")
WORK = "job"
"""The name under which a fault of the worker itself is planned."""

MODES: frozenset[faults.Mode] = frozenset({"hang_before", "slow_before", "error_before"})
PAUSE = 0.1
"""Seconds between two looks for work."""


def write_report(db: sqlite3.Connection, tenant: str) -> Record:
    """Have a report on a tenant's tickets written. Each call is a job of its own, with a document of its own."""
    with transaction(db):
        job = records.insert(db, JOB, {"tenant": tenant, "document_id": "", "status": "queued", "created_at": now()})
        document_id = f"report-{job['job_id'].partition('-')[2]}"
        db.execute("UPDATE jobs SET document_id = ? WHERE job_id = ?", (document_id, job["job_id"]))
        return get_job(db, job["job_id"])


def get_job(db: sqlite3.Connection, job_id: str) -> Record:
    """One job."""
    return records.get(db, JOB, job_id)


@asynccontextmanager
async def worker(db: sqlite3.Connection) -> AsyncIterator[None]:
    """A worker beside whatever the server does."""
    async with anyio.create_task_group() as group:
        group.start_soon(work, db)
        yield
        group.cancel_scope.cancel()


async def work(db: sqlite3.Connection) -> None:
    """Do whatever is queued, by whichever server it was accepted, until cancelled.

    A job is done in one transaction: if this process dies in it, the job is still queued, and the next worker does it.
    """
    while True:
        queued = records.select(db, JOB, status="queued")
        if not queued:
            await anyio.sleep(PAUSE)
            continue
        try:
            if fault := faults.planned(WORK, MODES):
                await fault.before()
            _write(db, queued[0]["job_id"])
        except faults.InjectedError as error:
            _settle(db, queued[0]["job_id"], "failed", str(error))


def _write(db: sqlite3.Connection, job_id: str) -> None:
    with transaction(db):
        job = get_job(db, job_id)
        if job["status"] == "queued":
            content = {"tenant": job["tenant"], "title": "Tickets", "body": _report(db, job["tenant"])}
            put_document(db, job["document_id"], **content)
            _settle(db, job_id, "done", None)


def _settle(db: sqlite3.Connection, job_id: str, status: str, error: str | None) -> None:
    statement = "UPDATE jobs SET status = ?, error = ?, finished_at = ? WHERE job_id = ? AND status = 'queued'"
    with transaction(db):
        db.execute(statement, (status, error, now(), job_id))


def _report(db: sqlite3.Connection, tenant: str) -> str:
    tickets = records.select(db, TICKET, tenant=tenant)
    counted = Counter((ticket["status"], ticket["priority"]) for ticket in tickets)
    lines = [f"{status}, {priority}: {count}" for (status, priority), count in sorted(counted.items())]
    return "\n".join([f"Tickets of {tenant}: {len(tickets)}", *lines])
