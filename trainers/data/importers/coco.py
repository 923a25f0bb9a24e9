"""COCO: pages with a box or a polygon an annotation, as labelling tools export them and COCO-Text has them.

The text is looked for in `text`, `utf8_string`, `caption`, `transcription` and `attributes`. Ignored regions: `ignore`,
`iscrowd`, `legibility` "illegible", text "###". Corners are taken for those of upright text, since polygons begin
anywhere.
"""

from collections.abc import Iterator
from pathlib import Path

from trainers.data.importers.image_files import ImageFinder
from trainers.data.importers.importer import Importer
from trainers.data.importers.json_sets import joined, json_files
from trainers.data.importers.quads import Quad, quad_of_box, quad_of_points
from trainers.data.importers.rows import LeftOut, PageFound, Row, RowError
from trainers.data.layouts import Region

_TEXT_KEYS = ("text", "utf8_string", "caption", "transcription")


def read(source: Path, *, images: Path | None = None) -> Iterator[Row]:
    """Yield the pages of a COCO JSON, or of all such files in a folder.

    Args:
        source: JSON file, or a folder of them.
        images: folder that `file_name` is relative to; default: the source's folder. Folders below it are searched too.
    """
    finder = ImageFinder([images or (source if source.is_dir() else source.parent)], anywhere=True)
    for path in json_files(source):
        for found in joined(path):
            yield from [found] if isinstance(found, LeftOut) else _page(path, *found, finder)


def _page(path: Path, image: dict, annotations: list[dict], finder: ImageFinder) -> Iterator[Row]:
    place = f"{path}:image {image['id']}"
    if not annotations:
        yield LeftOut(place, "image without annotation")
        return
    regions = []
    for annotation in annotations:
        try:
            regions.append(Region(_quad(annotation), *_text(annotation)))
        except RowError as error:
            yield LeftOut(f"{path}:annotation {annotation.get('id')}", error.reason, error.detail)
    try:
        name, file = find_image(image, finder)
    except RowError as error:
        yield LeftOut(place, error.reason, error.detail)
        return
    yield PageFound(place, name, file, tuple(regions), str(path), size=declared_size(image))


def find_image(image: dict, finder: ImageFinder) -> tuple[str, Path]:
    """Name and path of an image's file. Raises RowError: none is named, or it is not there."""
    name = image.get("file_name")
    if not isinstance(name, str) or not name:
        raise RowError("image without file_name")
    return name, finder.find(name)


def declared_size(image: dict) -> tuple[int, int] | None:
    """Width and height in px as the JSON gives them, or None."""
    try:
        size = int(image["width"]), int(image["height"])
    except (KeyError, TypeError, ValueError):
        return None
    return size if min(size) > 0 else None


def _quad(annotation: dict) -> Quad:
    polygons = annotation.get("segmentation")
    # A run-length mask is a dictionary and has a box beside it.
    if isinstance(polygons, list) and polygons:
        flat = polygons[0] if isinstance(polygons[0], list) else polygons
        return quad_of_points(list(zip(flat[0::2], flat[1::2], strict=False)), sort=True)
    if annotation.get("bbox") is not None:
        return quad_of_box(annotation["bbox"])
    raise RowError("annotation without bbox and segmentation")


def _text(annotation: dict) -> tuple[str | None, bool]:
    """Text, or None, and whether the region is to be ignored."""
    attributes = annotation.get("attributes")
    places = [annotation, attributes] if isinstance(attributes, dict) else [annotation]
    ignore = any(
        bool(place.get("ignore")) or bool(place.get("iscrowd")) or place.get("legibility") == "illegible"
        for place in places
    )
    texts = (place.get(key) for place in places for key in _TEXT_KEYS)
    text = next((text for text in texts if isinstance(text, str) and text.strip()), None)
    return (None, True) if text == "###" else (text, ignore)


IMPORTER = Importer(
    help="COCO JSON: boxes or polygons with text",
    layouts=("regions", "lines"),
    read=lambda options: read(options.source, images=options.images),
)
