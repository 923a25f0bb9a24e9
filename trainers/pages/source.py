"""Upright pages that are rendered when they are needed; `trainers.data.pages` has those of Parquet shards."""

import numpy as np


class RenderedPages:
    """Pages that `trainers.render` makes from their index; no two indices share a page."""

    def __init__(self, split: str, seed: int = 0):
        self.split = split
        self.seed = seed

    def page(self, index: int) -> np.ndarray:
        from trainers.render import render_page  # fonts load only where pages are rendered

        return render_page(self.seed * 1_000_000_000 + index, split=self.split).image

    def skew_degrees(self, index: int) -> float:
        return 0.0
