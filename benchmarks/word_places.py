"""Where the words of rendered lines are put, against where their ink is.

python -m benchmarks.word_places --pages 12 --fonts /usr/share/fonts/truetype

Pages of lines in the fonts found below a folder, at sizes of 9 to 16 points and 200 dpi, black on white, grey on tinted
paper and blurred, are read by the documents reader. A word's x-IoU is the part that its place and the word as drawn
share of both together, along the line: with its ink, and with its advance, which has the room that the face leaves
beside its letters. Words that were read wrong are left out, and counted.
"""

import argparse
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pipelines.exports.tree import build_page
from pipelines.page import Page
from pipelines.readers.documents.record import PageRecord
from pipelines.readers.registry import load_reader
from pipelines.stages.base import run_stages

_WIDTH, _HEIGHT, _MARGIN = 1654, 1200, 110
_ENGLISH = (
    "the annual inspection covered pumps valves meters and switchboards all readings were recorded according to its "
    "standard parts of it to be replaced within 30 days are listed on page 12 Invoice No. 4471-A Total 1,284.50 EUR a I"
)
_KOREAN = (
    "본 보고서는 상반기에 실시한 설비 점검의 결과를 정리한 것이다 점검 대상은 펌프장 밸브 계량기 및 배전반이며 모든 "
    "항목은 기준에 따라 기록하였다 합계 348,700원 서울특별시 강남구 테헤란로 152 제1조 (목적) 이 수"
)


class _Word(NamedTuple):
    text: str
    line: int
    ink: tuple[float, float]
    advance: tuple[float, float]


def main() -> None:
    """Draw, read and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, default=12)
    parser.add_argument("--fonts", type=Path, default=Path("/usr/share/fonts"))
    args = parser.parse_args()
    fonts = sorted(path for path in args.fonts.rglob("*") if path.suffix in (".ttf", ".ttc", ".otf"))
    latin = [path for path in fonts if _writes(path, "ag")]
    korean = [path for path in latin if _writes(path, "가힣")]
    if not korean:
        parser.error(f"no font below {args.fonts} writes Korean; install one, such as fonts-nanum")
    stages = [(spec.build(), spec.batch_size) for spec in load_reader("documents").stages()]
    results: dict[str, list[tuple[float, float]]] = {}
    missed = 0
    for number in range(args.pages):
        rng = random.Random(number)
        name, words, font = ("ko", _KOREAN, rng.choice(korean)) if number % 2 else ("en", _ENGLISH, rng.choice(latin))
        image, drawn = _page(rng, words.split(), font)
        record = PageRecord(page_id=f"{number:016x}", document_uri=font.name, page_number=1, page_count=1)
        page = Page(record, content=cv2.imencode(".png", image)[1].tobytes())
        list(run_stages(stages, [page]))
        found = [
            (word.text, word.polygon) for block in build_page(page.record).blocks for ln in block.lines
            for word in ln.words
        ]  # fmt: skip
        for word in drawn:
            shared = [(_overlap(word, polygon, word.ink), _overlap(word, polygon, word.advance))
                      for text, polygon in found if text == word.text]  # fmt: skip
            best = max(shared, default=(0.0, 0.0))
            if best[0] > 0:
                results.setdefault(name, []).append(best)
            else:
                missed += 1
    everything = [value for values in results.values() for value in values]
    print(
        json.dumps(
            {name: _summary(values) for name, values in (results | {"all": everything}).items()}
            | {"read otherwise": missed},
            indent=1,
        )
    )


def _summary(values: list[tuple[float, float]]) -> dict[str, float]:
    ink, advance = np.array(values).T
    return {
        "words": len(values), "mean x-IoU with the ink": round(float(ink.mean()), 4),
        "with the advance": round(float(advance.mean()), 4), "p5 (ink)": round(float(np.quantile(ink, 0.05)), 3),
    }  # fmt: skip


def _page(rng: random.Random, words: Sequence[str], path: Path) -> tuple[np.ndarray, list[_Word]]:
    font = ImageFont.truetype(str(path), round(rng.uniform(9, 16) * 200 / 72))
    ink, paper = (0, 255) if rng.random() < 0.5 else (rng.randint(20, 90), rng.randint(200, 245))
    page = Image.new("L", (_WIDTH, _HEIGHT), paper)
    draw = ImageDraw.Draw(page)
    drawn: list[_Word] = []
    pitch = round(font.size * rng.uniform(1.3, 1.8))
    for y in range(_MARGIN, _HEIGHT - _MARGIN - pitch, pitch):
        x = float(_MARGIN)
        while True:
            word = rng.choice(words)
            if x + draw.textlength(word, font=font) > _WIDTH - _MARGIN:
                break
            draw.text((x, y), word, font=font, fill=ink)
            blank, _, inked, _ = font.getmask(word, mode="L").getbbox()
            left, _, right, _ = draw.textbbox((x, y), word, font=font)
            drawn.append(_Word(word, int(y + font.size // 2), (left + blank, left + inked), (left, right)))
            x += draw.textlength(word + " ", font=font)
    image = np.asarray(page)
    return (cv2.GaussianBlur(image, (0, 0), 0.8) if rng.random() < 0.5 else image), drawn


def _overlap(word: _Word, polygon: np.ndarray, extent: tuple[float, float]) -> float:
    """Return the x-IoU; 0 where the place is on another line."""
    (left, top), (right, bottom) = polygon.min(axis=0), polygon.max(axis=0)
    if not top <= word.line <= bottom:
        return 0.0
    both = max(0.0, min(right, extent[1]) - max(left, extent[0]))
    return float(both / (max(right, extent[1]) - min(left, extent[0])))


def _writes(path: Path, characters: str) -> bool:
    font = ImageFont.truetype(str(path), 20)
    shapes = [np.asarray(font.getmask(character)).tobytes() for character in ("\uffff", *characters)]
    return shapes[0] not in shapes[1:] and b"" not in shapes[1:]


if __name__ == "__main__":
    main()
