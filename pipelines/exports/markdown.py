"""Markdown (GitHub's dialect): headings by their size, paragraphs, lists and tables in reading order."""

import re

from models.layout.structure import BULLET
from pipelines.exports.tree import Block, Page
from pipelines.exports.writer import DocumentWriter
from pipelines.readers.documents.record import Table

_LEFT_OUT = ("header", "footer", "page_number")
_NUMBERED = re.compile(r"\s*(\d{1,3})[.)]\s+")
_SPECIAL = re.compile(r"([\\\\`*_\[\]<>|~])")
_LINE_START = re.compile(r"^(#{1,6}\s|[-+]\s|\d+[.)]\s|={3,}|-{3,}|>)")
_HYPHEN = re.compile(r"(?<=[a-zà-ÿ])-$")


class MarkdownWriter(DocumentWriter[Page]):
    """One Markdown file a document.

    Pages begin with a comment, `<!-- page 2 -->`. Headers, footers and page numbers are left out, as pictures are; a
    failed page is a comment, too.
    """

    name = "md"
    suffix = ".md"

    def add(self, page: Page) -> None:
        parts = [f"<!-- page {page.record.page_number} -->"]
        if page.error:
            parts = [f"<!-- page {page.record.page_number} could not be read: {page.error.replace('--', '- -')} -->"]
        tables = {table.block: table for table in page.record.tables}
        for block in page.blocks:
            if block.kind in _LEFT_OUT:
                continue
            table = tables.get(block.number)
            parts.append(_table(table) if table is not None else _block(page, block))
        self.stream.write(("\n\n".join(part for part in parts if part) + "\n\n").encode())


def _block(page: Page, block: Block) -> str:
    if block.kind == "title":
        level = page.record.blocks[block.number].level or 1
        return f"{'#' * level} {_escaped(' '.join(line.text for line in block.lines))}"
    rows = _rows(block)
    if block.kind == "list":
        return "\n".join(_items(rows))
    return _starts_plainly(_escaped(_flowing(rows)))


def _rows(block: Block) -> list[str]:
    """Return the texts of a block's rows; lines side by side are one row."""
    rows: dict[int, list[str]] = {}
    for line in block.lines:
        rows.setdefault(line.row, []).append(line.text)
    return [" ".join(texts) for texts in rows.values()]


def _flowing(rows: list[str]) -> str:
    """Join the lines of a paragraph; a word that a hyphen parts at a line's end is whole again."""
    text = ""
    for row in rows:
        parted = _HYPHEN.search(text) and row[:1].islower()
        text = text[:-1] + row if parted else f"{text} {row}".lstrip()
    return text


def _items(rows: list[str]) -> list[str]:
    items: list[tuple[str, list[str]]] = []
    for row in rows:
        bullet = BULLET.match(row)
        number = _NUMBERED.match(row)
        if number:
            items.append((f"{number[1]}. ", [row[number.end() :]]))
        elif bullet:
            items.append(("- ", [row[bullet.end() :].strip()]))
        elif items:
            items[-1][1].append(row)
        else:
            items.append(("", [row]))
    return [mark + _escaped(_flowing(lines)) + ("" if mark else "\n") for mark, lines in items]


def _table(table: Table) -> str:
    grid = [["<br>".join(_escaped(line) for line in cell.split("\n")) for cell in row] for row in table.grid]
    head, *rows = grid
    lines = [head, ["---"] * table.columns, *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _escaped(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", text)


def _starts_plainly(text: str) -> str:
    """Keep a paragraph from becoming a heading, a list or a quotation by how it starts."""
    return _LINE_START.sub(lambda start: "\\" + start[0], text)
