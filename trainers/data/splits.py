"""Which rows are for training and which for validation, by hash: adding rows moves none of those that are there."""

import hashlib
from typing import Literal

Split = Literal["train", "validation"]
SPLITS: tuple[Split, ...] = ("train", "validation")


def split_of(key: str, validation: float, seed: int = 0) -> Split:
    """Return the split of a row.

    Args:
        key: the row's group, so that groups stay together, or its name where it has none.
        validation: share of keys for validation, 0..1.
        seed: another seed divides otherwise. With one seed, a larger share keeps the rows of a smaller one.
    """
    digest = hashlib.blake2b(f"{seed}\0{key}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return "validation" if int.from_bytes(digest, "big") < validation * 2**64 else "train"
