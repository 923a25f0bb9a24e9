"""A language model for text recognition, counted from sentences and labels (`ocray language-model`).

Sentences are only those that the line renderer uses for training, so rendered validation lines stay unseen.
"""

from collections.abc import Iterable, Iterator

import pyarrow.parquet as pq

from models.text_recognition.language_model import LanguageModel
from trainers.data.layouts import LayoutError, parquet_files
from trainers.render import TextSource


def sentences(path: str) -> Iterator[str]:
    """Yield the training split of the sentences in a Parquet file's column `text`."""
    yield from TextSource.from_parquet(path).items("ko", "sentence", "train")


def labels(folder: str) -> Iterator[str]:
    """Yield the labels of a set of lines. Raises LayoutError: no Parquet files there, or without a column `text`."""
    filesystem, paths = parquet_files(folder)
    for path in paths:
        with filesystem.open(path) as file:
            try:
                column = pq.read_table(file, columns=["text"])["text"]
            except (KeyError, ValueError) as error:
                raise LayoutError(f"{path} is not a set of lines: {error}") from error
        yield from column.to_pylist()


def count(texts: Iterable[str], lines: Iterable[str]) -> tuple[LanguageModel, int]:
    """Count a model from Parquet files of sentences and sets of lines. Returns it and the number of texts.

    Raises:
        RenderError: a file of sentences cannot be used. LayoutError: a set cannot. LanguageModelError: no text at all.
    """
    found = [text for path in texts for text in sentences(path)]
    found += [text for folder in lines for text in labels(folder)]
    return LanguageModel.of(found), len(found)
