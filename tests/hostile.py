"""Text from outside that tries to be more than text, and a look at whether a page shows it as text."""

from collections import Counter
from html.parser import HTMLParser


def hostile(place: str) -> str:
    """Return markup, a template, quotes and a newline, marked with the `place` where a page should show them."""
    return (
        f"{place}</title></style></script><script>document.title='taken'</script>"
        f"<img src=x onerror=\"document.title='taken'\">' {{{{ 7 * 7 }}}} {{% raw %}} {{# x #}}"
        " &lt;b&gt; \\ %{y}\nend"
    )


def check_shown_as_text(html: str, places: list[str], scripts: int = 1) -> None:
    """Check that each place's text stands somewhere in the page, whole but for runs of white space, and that the page
    has as many scripts as it should.
    """
    page = _Page()
    page.feed(html)
    page.close()
    assert page.tags["script"] == scripts and page.tags["title"] >= 1 and "onerror" not in page.names
    folded = [" ".join(text.split()) for text in page.texts]
    missing = [place for place in places if not any(" ".join(hostile(place).split()) in text for text in folded)]
    assert not missing, missing


class _Page(HTMLParser):
    """Elements, names of attributes, and all texts: those of attributes too, those of scripts and styles not."""

    def __init__(self):
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.names: set[str] = set()
        self.texts: list[str] = []
        self._raw = False

    def handle_starttag(self, tag, attrs):
        self.tags[tag] += 1
        self.names |= {name for name, _ in attrs}
        self.texts += [value for _, value in attrs if value]
        self._raw = tag in ("script", "style")

    def handle_endtag(self, tag):
        self._raw = False

    def handle_data(self, data):
        if not self._raw:
            self.texts.append(data)
