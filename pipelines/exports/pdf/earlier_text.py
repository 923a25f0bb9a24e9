"""Removes the invisible text of an earlier OCR from a page, so that none of its words is found twice."""

import re
from collections.abc import Iterable

import pikepdf
from pikepdf import Dictionary, Name

from pipelines.exports.pdf.text import INVISIBLE

_SHOWS_TEXT = frozenset({"Tj", "TJ", "'", '"'})
_PLACES_TEXT = frozenset({"BT", "ET", "Td", "TD", "Tm", "T*"})
_INVISIBLE_TEXT = re.compile(rb"\b3\s+Tr\b")
_MOST_NESTED = 8  # forms within forms


def remove_invisible_text(pdf: pikepdf.Pdf, page: pikepdf.Page) -> None:
    """Remove the text objects of which nothing is seen, also those in forms. Objects that other pages may share are
    replaced on this page alone."""
    contents = page.obj.get(Name.Contents)
    streams = contents if isinstance(contents, pikepdf.Array) else [contents]
    kept = _kept(page, [stream for stream in streams if isinstance(stream, pikepdf.Stream)])
    if kept is not None:
        page.obj.Contents = pdf.make_stream(kept)
    resources = _without_forms_text(pdf, page.resources, _MOST_NESTED)
    if resources is not None:
        page.obj.Resources = resources


def copied(dictionary: pikepdf.Object) -> Dictionary:
    """Return a dictionary of the same entries, for changes that others who share it must not see."""
    return Dictionary(dict(dictionary.items()))


def _without_forms_text(pdf: pikepdf.Pdf, resources: pikepdf.Object, depth: int) -> pikepdf.Dictionary | None:
    """Return the resources with forms that hold no invisible text; None if they hold none now."""
    forms = resources.get(Name.XObject)
    if not isinstance(forms, pikepdf.Dictionary) or not depth:
        return None
    changed = {}
    for name, form in forms.items():
        if not isinstance(form, pikepdf.Stream) or form.get(Name.Subtype) != Name.Form:
            continue
        kept = _kept(form, [form])
        own = form.get(Name.Resources)
        nested = None if own is None else _without_forms_text(pdf, own, depth - 1)
        if kept is None and nested is None:
            continue
        entries = {key: value for key, value in form.items() if key not in ("/Length", "/Filter", "/DecodeParms")}
        if nested is not None:
            entries["/Resources"] = nested
        changed[name] = pdf.make_stream(form.read_bytes() if kept is None else kept, entries)
    if not changed:
        return None
    result, new_forms = copied(resources), copied(forms)
    for name, form in changed.items():
        new_forms[name] = form
    result.XObject = new_forms
    return result


def _kept(owner: pikepdf.Page | pikepdf.Object, streams: Iterable[pikepdf.Stream]) -> bytes | None:
    """Return the content without invisible text objects; None if there are none."""
    if not any(_INVISIBLE_TEXT.search(stream.read_bytes()) for stream in streams):
        return None
    kept: list = []
    modes, mode = [], 0
    start, seen, unseen = 0, False, False
    removed = False
    for instruction in pikepdf.parse_content_stream(owner):
        operands, operator = instruction.operands, str(instruction.operator)
        if operator == "q":
            modes.append(mode)
        elif operator == "Q" and modes:
            mode = modes.pop()
        elif operator == "Tr" and operands:
            mode = int(operands[0])
        elif operator == "BT":
            start, seen, unseen = len(kept), False, False
        elif operator in _SHOWS_TEXT:
            seen, unseen = seen or mode != INVISIBLE, unseen or mode == INVISIBLE
        kept.append(instruction)
        if operator == "ET" and unseen and not seen:
            # What sets the state of later text objects stays.
            kept[start:] = [other for other in kept[start:] if str(other.operator) not in _SHOWS_TEXT | _PLACES_TEXT]
            removed = True
    return pikepdf.unparse_content_stream(kept) if removed else None
