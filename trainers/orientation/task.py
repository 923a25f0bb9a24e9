"""Training of the orientation network: each page in all its quarter turns.

One decoded page gives `crops` parts, and each part stands in the batch once for each class, so the network sees the
same glyphs in every direction and no class is rarer than another.

The easiest sign of direction is the straight left margin of set text, and a network trained on the page's answer alone
leans on it; real receipts set their amounts flush right. Two settings work against that: every place that holds ink can
be made to vote right by itself (`place_loss`), and crops cut to a window (`windowed`) have straight edges on all sides.
"""

from typing import Literal

import numpy as np
import torch
from pydantic import Field, model_validator
from torch.nn import functional

from models.geometry import fit_within, turn
from models.orientation.network import ARCHITECTURES, pool_tiles
from models.orientation.preprocess import INK, MIN_INK, OrientationInput, content_sections, contrast, pad_to, page_tiles
from models.page_contrast import CLIP
from trainers.core.task import Batch, CardFields, Export, Sample, Split, Task, TaskSettings
from trainers.pages.augmentation import random_crop, turn_with_surroundings
from trainers.pages.source import PAGE_SOURCES, PageSource
from trainers.render import degrade

VALIDATION_LONG_SIDE = 1600
VALIDATION_DAMAGE = 0.8  # share of damaged pages, whatever is trained on: trainings are compared by it
DEFAULT_WIDTH = 16
INKY = 0.03  # share of ink round a place from which its vote counts fully
_STEPS = 127 / CLIP  # contrast is kept in int8 on its way to the network


class OrientationSettings(TaskSettings):
    """Settings of `OrientationTask`.

    Attributes:
        architecture: `glyphnet`, or `mobilevit_xxs` (then long_side = tile = train_tile = 512 and max_tiles = crops = 1
            show it the whole page, as in the source system).
        width: channels of the first convolution of glyphnet; see `GlyphNet`.
        classes: 4 quarter turns, or 2: upright and upside down.
        long_side, tile, max_tiles: how pages are read, see `OrientationInput`.
        train_tile: px, side of the crops trained on.
        crops: crops of a page that are trained on together.
        scale: (least, most) factor on `long_side` in training.
        residual_skew: degrees; pages are turned by up to so much either way, as deskew leaves them.
        damage: share of training pages that are damaged.
        tile_loss, place_loss: weights of the losses of single crops and of single places beside the loss of the page's
            pooled answer.
        windowed: share of training crops that are cut to a window.
    """

    architecture: Literal["glyphnet", "mobilevit_xxs"] = "glyphnet"
    width: int = Field(default=DEFAULT_WIDTH, ge=4)
    classes: Literal[2, 4] = 4
    long_side: int = Field(default=1024, ge=32)
    tile: int = Field(default=384, ge=32)
    max_tiles: int = Field(default=6, ge=1)
    train_tile: int = Field(default=256, ge=32)
    crops: int = Field(default=3, ge=1)
    scale: tuple[float, float] = (0.65, 1.25)
    residual_skew: float = Field(default=3.0, ge=0)
    damage: float = Field(default=0.8, ge=0, le=1)
    tile_loss: float = Field(default=0.5, ge=0)
    place_loss: float = Field(default=1.0, ge=0)
    windowed: float = Field(default=0.5, ge=0, le=1)

    @model_validator(mode="after")
    def _width_is_glyphnets(self):
        if self.architecture != "glyphnet" and self.width != DEFAULT_WIDTH:
            raise ValueError(f"width belongs to architecture glyphnet; {self.architecture} has one width only")
        return self


class OrientationTask(Task[OrientationSettings, PageSource]):
    """See the module's text."""

    name = "orientation"
    Settings = OrientationSettings
    source_kinds = PAGE_SOURCES
    validation_settings = frozenset({"classes", "long_side", "tile", "max_tiles", "residual_skew"})
    best_metric = "accuracy"

    @property
    def quarters(self) -> tuple[int, ...]:
        """Quarter turns counter-clockwise, by class."""
        return (0, 1, 2, 3) if self.settings.classes == 4 else (0, 2)

    def network(self) -> torch.nn.Module:
        width = {"width": self.settings.width} if self.settings.architecture == "glyphnet" else {}
        network = ARCHITECTURES[self.settings.architecture](classes=self.settings.classes, **width)
        # Convolutions of few channels run about twice as fast on CPUs with channels last.
        return network.to(memory_format=torch.channels_last)

    def sample(self, index: int, split: Split) -> Sample:
        """`tiles` int8 [tiles, side, side] (contrast × 127 / CLIP), `count` int64 of tiles that hold something, `label`
        int64: the class that the tiles show (always 0 in training, where `loss` turns them itself)."""
        rng = self.rng(split, index)
        page = self.sources[split].page(index)
        page = fit_within(page, VALIDATION_LONG_SIDE)
        return self._train_sample(page, rng) if split == "train" else self._validation_sample(page, rng)

    def loss(self, network: torch.nn.Module, batch: Batch) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        tiles = batch["tiles"].float() / _STEPS
        pages, crops = tiles.shape[:2]
        turned = torch.stack([torch.rot90(tiles, quarter, (2, 3)) for quarter in self.quarters])
        turned = turned.flatten(0, 2)
        evidence, weight, places = network(turned)
        evidence = evidence.float().unflatten(0, (len(self.quarters) * pages, crops))
        weight = weight.float().unflatten(0, (len(self.quarters) * pages, crops))
        label = torch.arange(len(self.quarters), device=tiles.device).repeat_interleave(pages)
        printed = (batch["count"] > 0).float().repeat(len(self.quarters))
        logits = pool_tiles(evidence, weight)
        page_loss = functional.cross_entropy(logits, label, reduction="none")
        labels = label[:, None].expand(-1, crops)
        tile_loss = functional.cross_entropy(evidence.transpose(1, 2), labels, reduction="none")
        loss = ((page_loss + self.settings.tile_loss * tile_loss.mean(dim=1)) * printed).mean()
        place_loss, place_accuracy = place_losses(places.float(), labels.flatten(), turned)
        loss = loss + self.settings.place_loss * place_loss
        accuracy = (logits.argmax(1) == label).float().mean()
        return loss, {"accuracy": accuracy, "place_accuracy": place_accuracy}

    def predict(self, network: torch.nn.Module, batch: Batch) -> dict[str, np.ndarray]:
        tiles = batch["tiles"].float() / _STEPS
        pages, slots = tiles.shape[:2]
        evidence, weight = network(tiles.flatten(0, 1))
        evidence, weight = evidence.float().unflatten(0, (pages, slots)), weight.float().unflatten(0, (pages, slots))
        empty = torch.arange(slots, device=tiles.device) >= batch["count"].clamp(min=1)[:, None]
        logits = pool_tiles(evidence, weight.masked_fill(empty, -torch.inf))
        return {"predicted": logits.argmax(1).cpu().numpy(), "true": batch["label"].cpu().numpy()}

    def metrics(self, predictions: dict[str, np.ndarray]) -> dict[str, float]:
        """`accuracy`; and `upside_down`, the share of pages answered with the opposite direction."""
        true, predicted = predictions["true"], predictions["predicted"]
        opposite = (predicted - true) % self.settings.classes == self.settings.classes // 2
        return {"accuracy": float((predicted == true).mean()), "upside_down": float(opposite.mean())}

    def export(self) -> Export:
        return Export({"tiles": torch.randn(2, self.settings.tile, self.settings.tile)}, ["evidence", "weight"])

    def card_fields(self) -> CardFields:
        settings = self.settings
        return CardFields(
            architecture=settings.architecture
            + (f" width {settings.width}" if settings.width != DEFAULT_WIDTH else ""),
            input=self._tile_settings().model_dump(),
            labels=[str(90 * quarter) for quarter in self.quarters],
        )

    def _tile_settings(self) -> OrientationInput:
        return OrientationInput(
            long_side=self.settings.long_side, tile=self.settings.tile, max_tiles=self.settings.max_tiles
        )

    def _train_sample(self, page: np.ndarray, rng: np.random.Generator) -> Sample:
        if rng.random() < 0.25:
            page = random_crop(page, rng)
        residual = float(rng.uniform(-self.settings.residual_skew, self.settings.residual_skew))
        if rng.random() < 0.5:
            # As the pipeline meets it: turned by any angle, damaged, and turned back by the skew found.
            first = float(rng.uniform(-90, 90))
            page = turn(self._damaged(turn_with_surroundings(page, first, rng), rng), residual - first)
        else:
            page = self._damaged(turn_with_surroundings(page, residual, rng), rng)
        parts = content_sections(page)
        long_side = round(self.settings.long_side * rng.uniform(*self.settings.scale))
        ink = contrast(parts[rng.integers(len(parts))], long_side)
        tiles = self._random_tiles(ink, rng)
        return self._packed(tiles, self.settings.crops, self.settings.train_tile, label=0, repeat=True)

    def _validation_sample(self, page: np.ndarray, rng: np.random.Generator) -> Sample:
        label = int(rng.integers(len(self.quarters)))
        page = turn(page, float(rng.uniform(-self.settings.residual_skew, self.settings.residual_skew)))
        page = turn(degrade(page, rng) if rng.random() < VALIDATION_DAMAGE else page, 90 * self.quarters[label])
        return self._packed(page_tiles(page, self._tile_settings()), self.settings.max_tiles, self.settings.tile, label)

    def _damaged(self, page: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return degrade(page, rng) if rng.random() < self.settings.damage else page

    def _random_tiles(self, ink: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
        """Up to `crops` crops at random places that hold ink."""
        side = self.settings.train_tile
        ink = pad_to(ink, side)
        tiles: list[np.ndarray] = []
        for _ in range(3 * self.settings.crops):
            y, x = rng.integers(ink.shape[0] - side + 1), rng.integers(ink.shape[1] - side + 1)
            tile = ink[y : y + side, x : x + side]
            if rng.random() < self.settings.windowed:
                tile = windowed(tile, rng)
            if (tile > INK).mean() >= MIN_INK:
                tiles.append(tile)
            if len(tiles) == self.settings.crops:
                break
        return tiles

    def _packed(self, tiles, slots: int, side: int, label: int, repeat: bool = False) -> Sample:
        packed = np.zeros((slots, side, side), np.int8)
        for slot in range(slots if repeat and len(tiles) else len(tiles)):
            packed[slot] = np.rint(tiles[slot % len(tiles)] * _STEPS)
        return {"tiles": packed, "count": np.int64(len(tiles)), "label": np.int64(label)}


def place_losses(places: torch.Tensor, label: torch.Tensor, tiles: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Cross-entropy and accuracy of single places, weighted by the ink they see.

    Args:
        places: logits [tiles, classes, rows, columns].
        label: class of each tile [tiles].
        tiles: local contrast [tiles, height, width].
    """
    ink = functional.adaptive_avg_pool2d((tiles.abs() > INK).float()[:, None], (places.shape[2], places.shape[3]))
    ink = functional.avg_pool2d(ink, 5, stride=1, padding=2)[:, 0] if min(ink.shape[2:]) > 2 else ink[:, 0]
    weight = (ink / INKY).clamp(max=1)
    total = weight.sum().clamp(min=1)
    entropy = functional.cross_entropy(places, label[:, None, None].expand_as(weight), reduction="none")
    right = (places.argmax(1) == label[:, None, None]).float()
    return (weight * entropy).sum() / total, (weight * right).sum().detach() / total


def windowed(tile: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the (h, w) tile with flat paper outside a random window that keeps 0.3..1 of each side."""
    window = np.zeros_like(tile)
    spans = []
    for length in tile.shape:
        kept = int(length * rng.uniform(0.3, 1))
        first = int(rng.integers(length - kept + 1))
        spans.append(slice(first, first + kept))
    window[tuple(spans)] = tile[tuple(spans)]
    return window
