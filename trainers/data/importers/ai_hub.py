"""AI Hub's Korean text images: fonts printed and handwritten (an image a text), and scenes (a box a word).

Fonts: {"images": [{id, width, height, file_name}], "annotations": [{id, image_id, text, attributes: {type: 글자(음절) |
단어(어절) | 문장}}]}. Scenes ("Text in the wild" and sets with a JSON an image): an annotation also has bbox
[x, y, w, h], attributes.class is character, word or ignored, and illegible text is null or "xxx". Words and their
characters are both boxed, so only requested types are imported.
"""

import argparse
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path

from trainers.data.importers.coco import declared_size, find_image
from trainers.data.importers.image_files import ImageFinder
from trainers.data.importers.importer import Importer
from trainers.data.importers.json_sets import joined, json_files
from trainers.data.importers.quads import quad_of_box
from trainers.data.importers.rows import LeftOut, LineFound, PageFound, Row, RowError, Skipped
from trainers.data.layouts import Region

TYPES = ("character", "word", "sentence")
_NAMES = {
    "글자(음절)": "character",
    "단어(어절)": "word",
    "문장": "sentence",
    **{name: name for name in (*TYPES, "ignored")},
}
_ILLEGIBLE = {"xxx", "###"}


def read(source: Path, *, images: Path | None = None, types: Collection[str] = ("word", "sentence")) -> Iterator[Row]:
    """Yield lines of images without boxes, and pages of images with boxes.

    Args:
        source: JSON file, or a folder of them (sets with a JSON an image).
        images: folder of the images; default: the source's folder. They are found by name in the folders below it.
        types: which of `TYPES` to take; annotations that name no type are always taken.
    """
    finder = ImageFinder([images or (source if source.is_dir() else source.parent)], anywhere=True)
    for path in json_files(source):
        skipped: Counter[str] = Counter()
        for found in joined(path):
            yield from [found] if isinstance(found, LeftOut) else _image(path, *found, finder, types, skipped)
        for kind, count in skipped.items():
            yield Skipped(f"annotations of type {kind}", count)


def _image(
    path: Path, image: dict, annotations: list[dict], finder: ImageFinder, types: Collection[str], skipped: Counter[str]
) -> Iterator[Row]:
    place = f"{path}:image {image['id']}"
    if not annotations:
        yield LeftOut(place, "image without annotation")
        return
    kinds = [_kind(annotation) for annotation in annotations]
    taken = [(a, kind) for a, kind in zip(annotations, kinds, strict=True) if kind in (None, "ignored", *types)]
    skipped.update(kind for kind in kinds if kind not in (None, "ignored", *types))
    if not taken:
        return
    try:
        name, file = find_image(image, finder)
    except RowError as error:
        yield LeftOut(place, error.reason, error.detail)
        return
    regions = []
    for annotation, kind in taken:
        text = annotation.get("text")
        place_of = f"{path}:annotation {annotation.get('id')}"
        if "bbox" not in annotation:
            yield LineFound(place_of, name, file, text if isinstance(text, str) else "", str(path))
            continue
        try:
            quad = quad_of_box(annotation["bbox"])
        except RowError as error:
            yield LeftOut(place_of, error.reason, error.detail)
            continue
        legible = isinstance(text, str) and text.strip() and text not in _ILLEGIBLE
        regions.append(Region(quad, text if legible else None, ignore=kind == "ignored" or not legible))
    if regions:
        yield PageFound(place, name, file, tuple(regions), str(path), size=declared_size(image))


def _kind(annotation: dict) -> str | None:
    attributes = annotation.get("attributes")
    if not isinstance(attributes, dict):
        return None
    kind = attributes.get("type") or attributes.get("class")
    return None if kind is None else _NAMES.get(str(kind), str(kind))


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    text = f"annotation types to import: {','.join(TYPES)} (default: word,sentence)"
    parser.add_argument("--types", type=_types, default=("word", "sentence"), help=text)


def _types(text: str) -> tuple[str, ...]:
    types = tuple(part.strip() for part in text.split(","))
    if unknown := [kind for kind in types if kind not in TYPES]:
        raise argparse.ArgumentTypeError(f"unknown type {unknown[0]!r}; known: {', '.join(TYPES)}")
    return types


IMPORTER = Importer(
    help="AI Hub JSON: fonts (printed, handwritten) and scenes",
    layouts=("lines", "regions"),
    read=lambda options: read(options.source, images=options.images, types=options.types),
    add_arguments=_add_arguments,
)
