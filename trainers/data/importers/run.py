"""An import from start to end: what an importer finds is checked, divided, written and accounted for."""

import hashlib
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TextIO

import numpy as np

from trainers.data.importers.image_files import decode_upright, load_image
from trainers.data.importers.meter_labels import fitted
from trainers.data.importers.quads import as_array, outside
from trainers.data.importers.rows import (
    ImportSourceError,
    LeftOut,
    LineFound,
    MeterFound,
    PageFound,
    Row,
    RowError,
    Skipped,
    Understood,
    clean_label,
)
from trainers.data.layouts import REPORT_FILES, Layout, Line, Meter, Page, Region, SetWriter, whole_folder
from trainers.data.splits import split_of

_Made = Line | Page | Meter

MANY_BAD = 0.05  # above this share, the summary says that something is likely wrong
_KEPT_EXAMPLES = 5


@dataclass
class ImportSummary:
    """What an import came to.

    Attributes:
        rows: how many were written, by split.
        regions, ignored_regions: on the pages written.
        meters: how many of the meters written are of a kind or class, or have a label of some sort.
        reasons: how many rows were left out, by reason.
        skipped: what was not requested, and how much of it.
        understood: how names of the source were understood, and how often.
        characters: how often each character occurs in the labels written.
        examples: the first rows left out.
    """

    layout: Layout
    rows: Counter[str] = field(default_factory=Counter)
    regions: int = 0
    ignored_regions: int = 0
    meters: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    understood: Counter[str] = field(default_factory=Counter)
    characters: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    @property
    def imported(self) -> int:
        return self.rows.total()

    @property
    def left_out(self) -> int:
        return self.reasons.total()

    def facts(self) -> dict:
        """For `import.json`; the most frequent characters first."""
        return {
            "layout": self.layout,
            "rows": dict(self.rows),
            "regions": self.regions,
            "ignored_regions": self.ignored_regions,
            "meters": dict(self.meters.most_common()),
            "left_out": dict(self.reasons.most_common()),
            "skipped": dict(self.skipped.most_common()),
            "understood": dict(self.understood.most_common()),
            "characters": dict(sorted(self.characters.items(), key=lambda item: (-item[1], item[0]))),
        }


def import_rows(
    rows: Iterable[Row],
    output: Path,
    *,
    layout: Layout,
    name: str,
    source: Path,
    validation: float = 0.1,
    seed: int = 0,
    group_pattern: str | None = None,
    overwrite: bool = False,
    progress: Callable[[int], None] | None = None,
) -> ImportSummary:
    """Write rows of an importer as a data set; memory holds a few MB of images, and about 150 bytes a row to find
    duplicates.

    Args:
        output: the data set's folder. It also gets `import.json` (counts, characters, settings) and, when rows were
            left out, `left_out.jsonl` (`place`, `reason`, `detail` each).
        layout: *regions* wants pages; for *lines* the legible regions of pages are cut out, with the page as group.
        name: first part of the Parquet files' names.
        source: what was imported, for the report.
        validation: share for validation, 0..1; a row's group, or its name without one, decides.
        group_pattern: regular expression that is sought in names; its first group (or the match) is the row's group.
        progress: called with the number of rows looked at, every 1,000.

    Raises:
        ImportSourceError: nothing was imported, or the rows do not suit the layout; the message says why.
        LayoutError: `output` cannot be used.
    """
    if source.is_dir() and output.resolve().is_relative_to(source.resolve()):
        raise ImportSourceError(f"the output {output} lies in the source {source}; choose a place outside")
    grouping = _compile(group_pattern)
    with whole_folder(output, overwrite=overwrite, may_hold=REPORT_FILES) as folder:
        with (
            (folder / "left_out.jsonl").open("w", encoding="utf-8", errors="backslashreplace") as report,
            SetWriter(folder, layout, _file_name(name)) as writer,
        ):
            work = _Import(layout, report, grouping)
            for number, row in enumerate(rows, 1):
                for key, made in work.take(row):
                    own_split = row.split if isinstance(row, MeterFound) else None
                    split = own_split or split_of(key, validation, seed)
                    writer.add(made, split)
                    work.summary.rows[split] += 1
                if progress and number % 1000 == 0:
                    progress(number)
        summary = work.summary
        if not summary.imported:
            raise ImportSourceError(_nothing(source, summary))
        if not summary.left_out:
            (folder / "left_out.jsonl").unlink()
        settings = {"source": str(source), "validation": validation, "seed": seed, "group_pattern": group_pattern}
        facts = json.dumps({**settings, **summary.facts()}, ensure_ascii=False, indent=1)
        (folder / "import.json").write_text(facts + "\n", "utf-8")
    return summary


class _Import:
    """Turns rows found into rows to write, and counts."""

    def __init__(self, layout: Layout, report: TextIO, grouping: re.Pattern | None):
        self.summary = ImportSummary(layout)
        self._report = report
        self._grouping = grouping
        self._contents: set[int] = set()
        self._names: set[int] = set()

    def take(self, row: Row) -> Iterator[tuple[str, _Made]]:
        """Yield (key of the split, row to write) for a row that was found: none, one, or the lines of a page."""
        if isinstance(row, LeftOut):
            self._leave_out(row)
        elif isinstance(row, Skipped):
            self.summary.skipped[row.what] += row.count
        elif isinstance(row, Understood):
            self.summary.understood[row.what] += row.count
        else:
            make = {LineFound: self._line, PageFound: self._page, MeterFound: self._meter}[type(row)]
            try:
                yield from make(row)
            except RowError as error:
                self._leave_out(LeftOut(row.place, error.reason, error.detail))

    def _line(self, found: LineFound) -> Iterator[tuple[str, _Made]]:
        if self.summary.layout == "regions":
            raise ImportSourceError(f"{found.source} holds text lines without boxes; import it with --layout lines")
        text = clean_label(found.text)
        image, _ = load_image(found.image)
        self._once(image, text)
        yield self._made(Line(image, text, found.name, found.group, found.source))

    def _page(self, found: PageFound) -> Iterator[tuple[str, _Made]]:
        image, size = load_image(found.image)
        if found.size and found.size != size:
            raise RowError(
                "image has another size than its labels",
                f"{size[0]} × {size[1]} px as it is seen (EXIF applied), labels for {found.size[0]} × {found.size[1]}",
            )
        regions = tuple(self._regions(found, size))
        if self.summary.layout == "lines":
            yield from self._cut(found, image, regions)
            return
        self._once(image, repr(regions))
        self.summary.regions += len(regions)
        self.summary.ignored_regions += sum(region.ignore for region in regions)
        for region in regions:
            self.summary.characters.update(region.text or "")
        yield self._made(Page(image, found.name, found.group, found.source, regions))

    def _regions(self, found: PageFound, size: tuple[int, int]) -> Iterator[Region]:
        """Yield the page's regions with clean texts. A region outside the page is dropped; one with an unusable text
        stays, with its text unknown."""
        for number, region in enumerate(found.regions):
            place = f"{found.place} region {number}"
            text = region.text
            if outside(region.quad, *size):
                self._leave_out(LeftOut(place, "region outside the image, or mostly so", str(region.quad)))
                continue
            if text is not None:
                try:
                    text = clean_label(text)
                except RowError as error:
                    self._leave_out(LeftOut(place, error.reason, error.detail))
                    text = None
            yield Region(region.quad, text, region.ignore)

    def _cut(self, found: PageFound, image: bytes, regions: tuple[Region, ...]) -> Iterator[tuple[str, _Made]]:
        from models.text_recognition.preprocess import crop_line
        from trainers.data.encoding import encode_page

        pixels: np.ndarray | None = None
        for number, region in enumerate(regions):
            if region.ignore or region.text is None:
                self.summary.skipped["regions that are illegible or without text"] += 1
                continue
            if pixels is None:
                pixels = np.asarray(decode_upright(image))
            crop = encode_page(crop_line(pixels, as_array(region.quad)))
            try:
                self._once(crop, region.text)
            except RowError as error:
                self._leave_out(LeftOut(f"{found.place} region {number}", error.reason, error.detail))
                continue
            group = found.group if found.group is not None else _nfc(found.name)
            yield self._made(Line(crop, region.text, f"{found.name}#{number}", group, found.source))

    def _meter(self, found: MeterFound) -> Iterator[tuple[str, _Made]]:
        image, size = load_image(found.image)
        corners, digits = fitted(found, size)
        row = Meter(
            image,
            found.name,
            found.group,
            found.source,
            found.kind,
            found.meter_class,
            corners,
            found.reading,
            found.leading_zeros,
            digits,
        )
        self._once(image, repr({**row.record(), "image": None, "name": None, "source": None}))
        facts = [row.kind, f"class {row.meter_class or 'unknown'}"]
        labelled = ("corners", "reading", "digits") if row.kind == "photo" else ("reading", "digits")
        facts += [what for what in labelled if getattr(row, what) is not None]
        self.summary.meters.update(facts)
        self.summary.characters.update(row.reading or "")
        yield self._made(row)

    def _made(self, row: _Made) -> tuple[str, _Made]:
        """Return the key of the row's split, and the row with its final name and group."""
        own = _nfc(row.name)
        group, source = row.group, None if row.source is None else _writable(row.source)
        if self._grouping and (match := self._grouping.search(own)):
            group = match[1] if self._grouping.groups else match[0]
        name, count = own, 1
        while (digest := _digest(name.encode())) in self._names:
            count += 1
            name = f"{own}#{count}"
        self._names.add(digest)
        # Without a group, its own name: an image with several labels stays in one split.
        key = own if group is None else group
        if isinstance(row, Line):
            self.summary.characters.update(row.text)
        return key, replace(row, name=name, group=group, source=source)

    def _once(self, image: bytes, label: str) -> None:
        digest = _digest(image, label.encode("utf-8", "surrogatepass"))
        if digest in self._contents:
            raise RowError("duplicate of an earlier row")
        self._contents.add(digest)

    def _leave_out(self, row: LeftOut) -> None:
        self.summary.reasons[row.reason] += 1
        if len(self.summary.examples) < _KEPT_EXAMPLES:
            self.summary.examples.append(_writable(str(row)))
        entry = {"place": row.place, "reason": row.reason, "detail": row.detail}
        self._report.write(json.dumps(entry, ensure_ascii=False) + "\n")


def _digest(*parts: bytes) -> int:
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return int.from_bytes(digest.digest(), "big")


def _nfc(name: str) -> str:
    return unicodedata.normalize("NFC", _writable(name))


def _writable(text: str) -> str:
    """Text with bytes of file names, and escapes of JSON, that are no Unicode spelt out."""
    return text.encode("utf-8", "backslashreplace").decode()


def _file_name(name: str) -> str:
    return re.sub(r"[^\w.-]+", "_", name).strip("._") or "data"


def _compile(pattern: str | None) -> re.Pattern | None:
    try:
        return re.compile(pattern) if pattern else None
    except re.error as error:
        raise ImportSourceError(f"--group-pattern {pattern} is not a regular expression: {error}") from error


def _nothing(source: Path, summary: ImportSummary) -> str:
    skipped = ", ".join(f"{count:,} {what}" for what, count in summary.skipped.items())
    faults = "; ".join(islice(summary.examples, 3))
    skips = " · ".join(part for part in (f"skipped: {skipped}" if skipped else "", faults) if part)
    return f"nothing could be read from {source}" + (
        f" ({summary.left_out:,} left out): {skips}" if skips else ": it is empty"
    )
