"""HTML by Jinja2 with autoescape: a value is text, and is escaped, unless it is `Markup`.

A template is named by its package and its file, `trainers.meter/report.html`, and lies in the package whose page it
makes. Pages extend `common.html/base.html`; `common.html/macros.html` has the pieces that they share.
"""

from collections.abc import Callable
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined, TemplateNotFound
from markupsafe import Markup

__all__ = ["render"]


def render(template: str, **values: Any) -> Markup:
    """Return a template's HTML.

    Args:
        template: `PACKAGE/FILE`.
        values: what the template may use. A missing one is an error, not an empty text.

    Raises:
        TemplateNotFound: no such file.
        UndefinedError: the template uses a value that is not given.
    """
    return Markup(_ENVIRONMENT.get_template(template).render(**values))


def _source(name: str) -> str:
    package, _, file = name.rpartition("/")
    try:
        return files(package).joinpath(file).read_text("utf-8")
    except (ImportError, OSError, ValueError) as error:
        raise TemplateNotFound(name) from error


def _asset(name: str) -> Markup:
    """Return a stylesheet or script unescaped, for `<style>` and `<script>`; it is named like a template."""
    return Markup(_source(name))


def _load(name: str) -> tuple[str, str, Callable[[], bool]]:
    return _source(name), name, lambda: True


_ENVIRONMENT = Environment(
    loader=FunctionLoader(_load), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)
_ENVIRONMENT.globals["asset"] = _asset
_ENVIRONMENT.policies["json.dumps_kwargs"] = {"ensure_ascii": False}
