import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trainers.render.errors import RenderError
from trainers.render.texts import TextSource, Words
from trainers.render.texts.source import split_items

SECTIONS = ("label", "title", "company", "person", "place", "product", "sentence")


@pytest.mark.parametrize("language", ["ko", "en"])
def test_splits_are_disjoint_and_neither_is_poor(language):
    source = TextSource()
    for section in SECTIONS:
        train, validation = (source.items(language, section, split) for split in ("train", "validation"))
        assert not set(train) & set(validation)
        assert len(train) > len(validation) >= 8


def test_the_split_of_an_item_does_not_depend_on_the_list():
    items = [f"sentence number {i}" for i in range(2000)]
    train, validation = split_items(items)
    assert 100 < len(validation) < 250 and len(train) + len(validation) == 2000
    fewer_train, fewer_validation = split_items(items[:1000][::-1])
    assert set(fewer_train) <= set(train) and set(fewer_validation) <= set(validation)


def test_parquet_sentences_replace_the_shipped_ones(tmp_path):
    lines = [f"문장 {i}" for i in range(400)]
    pq.write_table(pa.table({"text": [*lines, None, " "]}), tmp_path / "t.parquet")
    source = TextSource.from_parquet(tmp_path / "t.parquet")
    both = source.items("ko", "sentence", "train") + source.items("ko", "sentence", "validation")
    assert sorted(both) == sorted(lines)
    with pytest.raises(RenderError, match="no column 'nothing': it has text"):
        TextSource.from_parquet(tmp_path / "t.parquet", column="nothing")


def test_too_few_sentences_are_refused():
    with pytest.raises(ValueError, match="too few ko sentence texts"):
        TextSource(["하나", "둘"])


@pytest.mark.parametrize("language", ["ko", "en"])
def test_every_generator_gives_text(language):
    words = Words(TextSource(), "validation", language, random.Random(1))
    numbers = ("date", "time", "price", "amount", "phone", "business_number", "code", "percent", "quantity")
    for name in (*numbers, "sentence", "phrase", "address", "email", "value"):
        assert all(getattr(words, name)().strip() for _ in range(50)), name
    assert len(words.prose(200)) >= 200 and len(words.digits(7)) == 7
