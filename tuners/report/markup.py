"""Small pieces of HTML: text in both languages, escaping, tables."""

from collections.abc import Sequence
from html import escape

__all__ = ["both", "card", "escape", "nothing", "table"]


def both(english: str, korean: str) -> str:
    """HTML that shows `english` or `korean` (both already HTML), as the reader's switch says."""
    return f'<span lang="en">{english}</span><span lang="ko">{korean}</span>'


def nothing(english: str, korean: str) -> str:
    """A card that says why there is nothing to see."""
    return f'<div class="card"><p class="none">{both(english, korean)}</p></div>'


def card(content: str) -> str:
    return f'<div class="card">{content}</div>'


def table(head: Sequence[str], rows: Sequence[Sequence[str]], numeric: Sequence[int] = ()) -> str:
    """A plain table of cells that are HTML already; `numeric` columns stand to the right."""

    def row(tag: str, cells: Sequence[str]) -> str:
        marked = (f"<{tag}{' class=n' if at in numeric else ''}>{cell}</{tag}>" for at, cell in enumerate(cells))
        return f"<tr>{''.join(marked)}</tr>"

    body = "".join(row("td", cells) for cells in rows)
    return f'<div class="wide"><table><thead>{row("th", head)}</thead><tbody>{body}</tbody></table></div>'
