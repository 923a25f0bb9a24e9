"""What a job reads: inputs to a list of documents, documents to a manifest of one row a page.

Files, folders, globs, manifests (Parquet or CSV of URIs) and Parquet files of images; local or any fsspec URI. Plain
Python without Ray; decoding is in `pipelines.documents`.
"""

from pipelines.sources.document import Document, InputError, Listing
from pipelines.sources.listing import list_documents
from pipelines.sources.plan import manifest_schema, plan_document, plan_pages, plan_unopened

__all__ = [
    "Document",
    "InputError",
    "Listing",
    "list_documents",
    "manifest_schema",
    "plan_document",
    "plan_pages",
    "plan_unopened",
]
