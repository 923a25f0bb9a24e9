"""Text quality of a whole job's records: what `ocray ocr` wrote about the rows of a labelled Parquet file.

    ocray ocr --input ../shared/data/korean_pages.parquet --output out/korean --languages ko,en
    python benchmarks/job_quality.py out/korean --truth ../shared/data/korean_pages.parquet

Pages that failed count as read empty. Prints word and character F1 over all pages (order-free, see
`benchmarks/page_text_f1.py`), and each page's, worst first.
"""

import argparse
from pathlib import Path

import pyarrow.parquet as pq

from benchmarks.page_text_f1 import TextScore
from benchmarks.text_quality import true_text
from common.storage import Storage
from pipelines.ledger import Ledger


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", help="of the job")
    parser.add_argument("--truth", type=Path, required=True, help="Parquet file that the job read, with the truth")
    arguments = parser.parse_args()
    ledger = Ledger(Storage(arguments.output))
    read = {
        row["document_uri"].rpartition("#row=")[2]: row["text"] or ""
        for part in ledger.parts()
        for row in ledger.read_part(part, ["document_uri", "text"]).to_pylist()
    }
    total, pages = TextScore(), []
    for number, row in enumerate(pq.read_table(arguments.truth).to_pylist()):
        text, true = read.get(str(number), ""), true_text(row)
        total.add(text, true)
        pages.append(TextScore())
        pages[-1].add(text, true)
    words, characters = total.words.value, total.characters.value
    print(f"{len(pages)} pages, {len(read)} read: word F1 {words:.4f}, character F1 {characters:.4f}")
    for number in sorted(range(len(pages)), key=lambda number: pages[number].words.value):
        print(
            f"row {number}: word F1 {pages[number].words.value:.3f}, character F1 {pages[number].characters.value:.3f}"
        )


if __name__ == "__main__":
    main()
