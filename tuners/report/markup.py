"""Small pieces of HTML of a sweep's report; the others are those of `trainers.core.report_page`."""

from trainers.core.report_page import both


def nothing(english: str, korean: str) -> str:
    """A card that says why there is nothing to see."""
    return f'<div class="card"><p class="none">{both(english, korean)}</p></div>'


def card(content: str) -> str:
    return f'<div class="card">{content}</div>'
