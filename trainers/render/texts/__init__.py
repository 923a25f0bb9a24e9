"""What pages say: sentences and labels from lists or a Parquet file, and made-up dates, amounts, codes and the like.

`korean.txt` and `english.txt` are short lists written for this project, in sections that start with `# name`.
"""

from trainers.render.texts.source import TextSource
from trainers.render.texts.words import Words

__all__ = ["TextSource", "Words"]
