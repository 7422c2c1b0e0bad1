"""Operations on reports and the jobs that write them."""

from desk import reports
from desk.catalogue import schema
from desk.catalogue.operation import Nature, Operation
from desk.catalogue.schema import arguments, nullable, one_of, result, text

JOB = result(
    job_id=schema.JOB_ID,
    tenant=schema.TENANT,
    document_id={**schema.DOCUMENT_ID, "description": "The document that it writes."},
    status=one_of("How far it is; done and failed are final.", "queued", "done", "failed"),
    error=nullable(text("Why it failed.", 1000)),
    created_at=schema.TIME,
    finished_at=nullable(schema.TIME),
)

OPERATIONS = [
    Operation(
        reports.write_report,
        Nature.ADD,
        "Have a report on a tenant's tickets written into a new document. It takes a while: get_job tells when it is "
        "done. Each call writes another one.",
        arguments({"tenant": schema.TENANT}),
        JOB,
    ),
    Operation(reports.get_job, Nature.READ, "Read how far a job is.", arguments({"job_id": schema.JOB_ID}), JOB),
]
