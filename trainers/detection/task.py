"""Training of text detection: pages to probability maps, by differentiable binarisation.

Training sees random crops; validation whole pages, scaled, tiled and decoded as the predictor does it (its own
functions). Boxes are the decoded blobs grown by `unclip_ratio`: how much that must be depends on the network and on how
tightly people draw boxes, so it is fitted on the validation pages, and the bundle's card carries it.
"""

from collections.abc import Mapping, Sequence, Sized
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import nn

from models.bundle import Bundle, BundleError, load_bundle
from models.text_detection.db import DBDecoding, decode
from models.text_detection.networks import DBDetector, DBNet, PPOCRDetector
from models.text_detection.networks.ppocr import published_weights
from models.text_detection.preprocess import DetectionInput, as_seen, stitched, view_of
from trainers.core.task import Batch, CardFields, Export, Sample, Split, Task, TaskSettings
from trainers.detection.augmentation import random_crop
from trainers.detection.loss import db_loss
from trainers.detection.metrics import Matches, detection_metrics, match
from trainers.detection.source import RegionShardsSettings, RegionSource, RenderedRegionsSettings
from trainers.detection.targets import Targets, targets
from trainers.render import degrade

UNCLIP_RATIOS = tuple(round(0.1 * step, 1) for step in range(4, 25))
_DECODING = DBDecoding(thresh=0.3, box_thresh=0.5, use_dilation=True)
_TRAINING_ONLY = "threshold."
_PUBLISHED = "package:rapidocr/"  # where bundles of PaddleOCR's own weights have their networks


class DetectionSettings(TaskSettings):
    """Settings of `DetectionTask`.

    Attributes:
        architecture: `ppocrv6` (start it from `train.initial_weights: ppocrv6-det@small`) or `dbnet` (light, half the
            cost).
        crop: side of training crops, px.
        scale: range of the crops' scale, times that at which the predictor looks at the page.
        max_angle: degrees by which crops are turned.
        damage: share of training crops that scanners and cameras damage (`trainers.render.degrade`).
        validation_damage: the same of validation pages; 0 for real ones.
        shrink_ratio: how much of a region's area is learnt as text, see `trainers.detection.targets`. PaddleOCR
            raises it from the paper's 0.4 to 0.6 while it trains: its weights go on with 0.6.
    """

    architecture: Literal["ppocrv6", "dbnet"] = "ppocrv6"
    crop: int = Field(default=640, ge=64, multiple_of=32)
    scale: tuple[float, float] = (0.5, 2.0)
    max_angle: float = Field(default=8.0, ge=0, le=45)
    damage: float = Field(default=0.7, ge=0, le=1)
    validation_damage: float = Field(default=0.0, ge=0, le=1)
    shrink_ratio: float = Field(default=0.6, gt=0, lt=1)


class DetectionTask(Task[DetectionSettings, RegionSource]):
    """See the module's text."""

    name = "detection"
    bundle_task = "text_detection"
    Settings = DetectionSettings
    source_kinds = (RegionShardsSettings, RenderedRegionsSettings)
    validation_settings = frozenset({"validation_damage"})
    best_metric = "hmean"

    def __init__(self, settings: DetectionSettings, sources: Mapping[str, RegionSource], seed: int):
        super().__init__(settings, sources, seed)
        self.ratios: tuple[float, ...] = UNCLIP_RATIOS
        self.form = DetectionInput(
            colour="BGR",
            mean=127.5,
            std=127.5,
            min_short_side=544,
            max_short_side=1280,
            tile_side=1600,
            tile_overlap=192,
        )

    def network(self) -> DBDetector:
        network = PPOCRDetector() if self.settings.architecture == "ppocrv6" else DBNet()
        # Convolutions of few channels run about twice as fast on CPUs with channels last.
        return network.to(memory_format=torch.channels_last)

    def sample(self, index: int, split: Split) -> Sample:
        """`image` uint8 [height, width, 3] RGB; in training the maps of `Targets`, in validation `quads` float32
        [regions, 4, 2] (px of the image) and `ignore` bool [regions]."""
        rng = self.rng(split, index)
        page = self.sources[split].regions(index)
        height, width = page.image.shape[:2]
        view = view_of(width, height, self.form)
        ratio = np.divide(view.size, (width, height))
        if split == "train":
            scale = np.sqrt(ratio.prod())
            scale *= np.exp(rng.uniform(*np.log(self.settings.scale)))
            crop = random_crop(page, rng, self.settings.crop, scale, self.settings.max_angle)
            image = degrade(crop.image, rng) if rng.random() < self.settings.damage else crop.image
            side = self.settings.crop
            return {"image": image} | targets(crop.quads, crop.ignore, side, side, self.settings.shrink_ratio)._asdict()
        image = as_seen(page.image, view)
        if rng.random() < self.settings.validation_damage:
            image = degrade(image, rng)
        quads = (page.quads * ratio + view.margin).astype(np.float32)
        return {"image": image, "quads": quads, "ignore": page.ignore}

    def collate(self, samples: Sequence[Sample]) -> Batch:
        """Training samples are stacked. Of validation pages, `image` is padded to the largest, `size` int64 [batch, 2]
        says the height and width of each; `quads` are padded, `count` int64 [batch] says how many are true."""
        if "text" in samples[0]:
            return super().collate(samples)
        sizes = np.array([sample["image"].shape[:2] for sample in samples])
        counts = np.array([len(sample["quads"]) for sample in samples])
        image = np.zeros((len(samples), *sizes.max(axis=0), 3), np.uint8)
        quads = np.zeros((len(samples), max(1, counts.max()), 4, 2), np.float32)
        ignore = np.zeros(quads.shape[:2], bool)
        for i, sample in enumerate(samples):
            image[i, : sizes[i, 0], : sizes[i, 1]] = sample["image"]
            quads[i, : counts[i]], ignore[i, : counts[i]] = sample["quads"], sample["ignore"]
        arrays = {"image": image, "size": sizes, "quads": quads, "ignore": ignore, "count": counts}
        return {name: torch.from_numpy(array) for name, array in arrays.items()}

    def loss(self, network: nn.Module, batch: Batch) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        maps = {name: batch[name].float() for name in Targets._fields}
        maps["threshold"] = maps["threshold"] / 255
        return db_loss(network(self._input(batch["image"])), **maps)

    def predict(self, network: nn.Module, batch: Batch) -> dict[str, np.ndarray]:
        """Return counts for each of `ratios`: `matched`, `found`, `true`, each int64 [batch, ratios]."""
        counts = []
        for image, size, quads, ignore, count in zip(
            *(batch[name] for name in ("image", "size", "quads", "ignore", "count")), strict=True
        ):
            height, width = size.tolist()
            probability = self._probability(network, image[:height, :width])
            limits = np.array([width, height], np.float32)
            true, ignored = quads[:count].cpu().numpy(), ignore[:count].cpu().numpy()
            row = []
            for ratio in self.ratios:
                regions = decode(probability, (1, 1), _DECODING.model_copy(update={"unclip_ratio": ratio}))
                found = np.array([region.polygon for region in regions], np.float32).reshape(-1, 4, 2)
                row.append(match(np.clip(found, 0, limits), true, ignored))
            counts.append(row)
        matched, found, true = np.moveaxis(np.array(counts), 2, 0)
        return {"matched": matched, "found": found, "true": true}

    def metrics(self, predictions: dict[str, np.ndarray]) -> dict[str, float]:
        """`precision`, `recall`, `hmean` at the `unclip_ratio` of the highest hmean, which is given too."""
        columns = zip(*(predictions[name].T for name in Matches._fields), strict=True)
        results = [detection_metrics(map(Matches, *column)) for column in columns]
        best = max(range(len(results)), key=lambda number: results[number]["hmean"])
        return results[best] | {"unclip_ratio": self.ratios[best]}

    def validation_length(self) -> int | None:
        source = self.sources.get("validation")
        return len(source) if isinstance(source, Sized) else None

    def fitted_decoding(self, metrics: Mapping[str, float]) -> dict[str, Any]:
        return {"unclip_ratio": metrics["unclip_ratio"]}

    def decode_as(self, bundle: Bundle, refit: bool) -> None:
        if not refit and "unclip_ratio" in bundle.card.decoding:
            self.ratios = (bundle.card.decoding["unclip_ratio"],)

    def published_weights(self, source: str) -> tuple[dict[str, torch.Tensor], list[str]] | None:
        """PP-OCRv6's, where `source` is that bundle."""
        weights = ppocrv6_weights(source) if self.settings.architecture == "ppocrv6" else None
        return None if weights is None else (weights, [])

    def adapt_weights(
        self, network: nn.Module, weights: dict[str, torch.Tensor], labels: list[str] | None, source: str
    ) -> tuple[dict[str, torch.Tensor], str]:
        """Start the threshold branch anew: bundles do not store it, since inference does not use it."""
        if any(name.startswith(_TRAINING_ONLY) for name in weights):
            return weights, ""
        fresh = {name: value for name, value in network.state_dict().items() if name.startswith(_TRAINING_ONLY)}
        return weights | fresh, f"{source}: all {len(weights)} tensors loaded; the threshold branch starts anew"

    def export(self) -> Export:
        example = torch.randn(2, 3, 96, 128)
        dynamic = {"x": {2: "height", 3: "width"}}
        return Export({"x": example}, ["probability"], dynamic, training_only=(_TRAINING_ONLY,))

    def card_fields(self) -> CardFields:
        names = {"ppocrv6": "PP-OCRv6 small text detection (DB head)", "dbnet": "DBNet (PP-LCNet, FPN)"}
        return CardFields(
            architecture=names[self.settings.architecture],
            input=self.form.model_dump(),
            decoding=_DECODING.model_dump(),
        )

    def _input(self, image: torch.Tensor) -> torch.Tensor:
        """uint8 [batch, height, width, 3] RGB → what the network takes."""
        blob = (image.flip(3).permute(0, 3, 1, 2).float() - self.form.mean) / self.form.std
        return blob.contiguous(memory_format=torch.channels_last)

    def _probability(self, network: nn.Module, page: torch.Tensor) -> np.ndarray:
        """Probability map of a page (height, width, 3), uint8 (height, width), as the predictor makes it."""

        def tile_map(tile: np.ndarray) -> np.ndarray:
            output = network(self._input(torch.from_numpy(tile)[None].to(page.device)))
            return (output[0, 0].float().cpu().numpy() * 255).astype(np.uint8)

        return stitched(page.cpu().numpy(), self.form.tile_side, self.form.tile_overlap, tile_map)


def ppocrv6_weights(source: str) -> dict[str, torch.Tensor] | None:
    """Weights of PaddleOCR's published detector, where `source` is its bundle; else None."""
    try:
        bundle = load_bundle(source, DetectionTask.bundle_task)
    except BundleError:
        return None
    return published_weights(bundle.network) if bundle.card.network.startswith(_PUBLISHED) else None
