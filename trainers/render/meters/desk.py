"""What a picture of a meter is drawn from, by its seed."""

import random

from trainers.render.canvas import Desk
from trainers.render.fonts import FontSet, system_fonts
from trainers.render.page import Split
from trainers.render.texts.source import shipped_texts


def new_desk(what: str, seed: int | tuple[int, ...], split: Split, fonts: FontSet | None) -> Desk:
    """All that a picture is drawn from, decided by its seed. Raises: ValueError: unknown split."""
    if split not in ("train", "validation"):
        raise ValueError(f'unknown split {split!r}: "train" or "validation"')
    key = tuple(seed) if isinstance(seed, tuple) else (seed,)
    rng = random.Random(f"{what} {[int(s) for s in key]} {split}")
    return Desk(rng, fonts or system_fonts(), shipped_texts(), split)
