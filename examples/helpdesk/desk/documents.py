"""Documents of the knowledge base, under ids that their writers choose."""

import sqlite3
from typing import TypedDict, Unpack

from desk import records
from desk.clock import now
from desk.errors import Conflict
from desk.records import Kind, Record
from desk.store import transaction

DOCUMENT = Kind("document", "documents", "document_id")


class Content(TypedDict):
    """What a document says, and whose it is."""

    tenant: str
    title: str
    body: str


def get_document(db: sqlite3.Connection, document_id: str) -> Record:
    """One document."""
    return records.get(db, DOCUMENT, document_id)


def search_documents(db: sqlite3.Connection, text: str = "", tenant: str | None = None, limit: int = 20) -> Record:
    """Documents by tenant and by a word in their title or body."""
    found = [
        document
        for document in records.select(db, DOCUMENT, tenant=tenant)
        if text.casefold() in f"{document['title']}\n{document['body']}".casefold()
    ]
    return {"documents": found[:limit], "total": len(found)}


def put_document(
    db: sqlite3.Connection,
    document_id: str,
    *,
    expected_version: int | None = None,
    **content: Unpack[Content],
) -> Record:
    """Write a document, whether it exists already or not."""
    with transaction(db):
        current = records.find(db, DOCUMENT, document_id)
        if current is None and expected_version is None:
            return _create(db, {"document_id": document_id, **content})
        if current is not None and current["tenant"] != content["tenant"]:
            raise Conflict(f"document {document_id} belongs to another tenant")
        return records.update(db, DOCUMENT, document_id, content, expected_version)


def delete_document(db: sqlite3.Connection, document_id: str, expected_version: int | None = None) -> Record:
    """Remove a document."""
    return records.delete(db, DOCUMENT, document_id, expected_version)


def _create(db: sqlite3.Connection, document: Record) -> Record:
    moment = now()
    return records.insert(db, DOCUMENT, {**document, "created_at": moment, "updated_at": moment})
