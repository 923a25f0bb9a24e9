"""Rendered lines by index, for a training that draws each line when it is needed."""

from collections.abc import Iterable

from trainers.render.fonts import FontSet
from trainers.render.lines.line import RenderedLine, render_line
from trainers.render.page import Split
from trainers.render.texts.lines import SHARES
from trainers.render.texts.source import TextSource


class RenderedLines:
    """Lines made from their index; no two indices share a line, and any index gives the same line each time.

    Args:
        split, texts, fonts, charset, balance, rare: as for `render_line`.
        seed: of the whole run of lines.

    Raises:
        RenderError: a charset of which no text can be made; raised by the first line.
    """

    def __init__(
        self,
        split: Split,
        seed: int = 0,
        texts: TextSource | None = None,
        *,
        fonts: FontSet | None = None,
        charset: Iterable[str] | None = None,
        balance: bool = False,
        rare: float = SHARES["rare"],
    ) -> None:
        self.split: Split = split
        self.seed = seed
        self._options = {
            "texts": texts,
            "fonts": fonts,
            "charset": None if charset is None else frozenset(charset),
            "balance": balance,
            "rare": rare,
        }

    def line(self, index: int) -> RenderedLine:
        """Return the line of `index`, 0 or above."""
        return render_line((self.seed, index), split=self.split, **self._options)
