"""The kinds of pages. A layout takes a `Desk`, decides sizes, fonts and texts, and returns an upright `Page`."""

from collections.abc import Callable

from trainers.render.canvas import Desk, Page
from trainers.render.layouts import commerce, documents, receipts

# kind: (layout, how often it is drawn)
LAYOUTS: dict[str, tuple[Callable[[Desk], Page], float]] = {
    "form_english": (documents.form_english, 15),
    "form_korean": (documents.form_korean, 8),
    "letter": (documents.letter, 7),
    "article": (documents.article, 8),
    "tables": (documents.tables, 6),
    "contents": (documents.contents, 3),
    "test_paper": (documents.test_paper, 5),
    "notice": (documents.notice, 8),
    "sparse": (documents.sparse, 6),
    "slide": (documents.slide, 3),
    "receipt_english": (receipts.receipt_english, 13),
    "receipt_korean": (receipts.receipt_korean, 5),
    "invoice": (receipts.invoice, 4),
    "product": (commerce.product, 8),
    "card": (commerce.card, 4),
    "label": (commerce.label, 4),
    "captioned_photo": (commerce.captioned_photo, 4),
}
