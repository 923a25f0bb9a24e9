"""What keeps the renderer from rendering."""

from common.errors import ExpectedError


class RenderError(ExpectedError, ValueError):
    """Texts, a charset or shards that cannot be used; the message names them and the remedy."""
