r"""Prepares Toloka's WaterMeters for training and measuring: one Parquet file a split, corners corrected.

    python -m benchmarks.water_meters ../shared/data/water_meters.parquet data/water
    ocray data import parquet data/water/train.parquet --output data/meters/water --layout meters \
        --meter-class analog --leading-zeros-dropped --validation 0.08
    ocray data import parquet data/water/val.parquet --output data/meters/water_val --layout meters \
        --meter-class analog --leading-zeros-dropped --validation 1

Corners are to be in reading order. Found by looking at the strips they cut: 37 displays that hang upside down have
theirs in the photo's order, and three photos' are scaled as if their sides were swapped.
"""

import argparse
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from PIL import Image, ImageOps

# Numbers in the photos' names, id_NUMBER_value_…
# fmt: off
UPSIDE_DOWN = frozenset((
    8, 69, 120, 148, 276, 289, 299, 300, 338, 433, 466, 471, 496, 516, 553, 567, 622, 638, 683, 684, 712, 733, 749, 754,
    843, 867, 876, 880, 917, 927, 932, 957, 980, 1000, 1013, 1020, 1038,
))
# fmt: on
SCALED_WRONG = frozenset((1, 2, 3))


def corrected(name: str, corners: list, image: bytes) -> list:
    """Corners [4][2] px of a photo of that name, in reading order."""
    number = int(name.split("_")[1])
    quad = np.array(corners, np.float64)
    if number in SCALED_WRONG:
        with Image.open(pa.BufferReader(image)) as opened:
            width, height = ImageOps.exif_transpose(opened).size
        quad = quad * (width / height, height / width)
    if number in UPSIDE_DOWN:
        quad = np.roll(quad, 2, axis=0)
    return quad.tolist()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    table = pq.read_table(arguments.source)
    rows = zip(*(table[column].to_pylist() for column in ("name", "corners", "image")), strict=True)
    place = table.schema.get_field_index("corners")
    table = table.set_column(
        place, "corners", pa.array([corrected(*row) for row in rows], table.schema.field(place).type)
    )
    arguments.out.mkdir(parents=True, exist_ok=True)
    for split in table["split"].unique().to_pylist():
        part = table.filter(pc.field("split") == split)
        pq.write_table(part, arguments.out / f"{split}.parquet")
        print(f"{arguments.out / f'{split}.parquet'}: {part.num_rows} photos")


if __name__ == "__main__":
    main()
