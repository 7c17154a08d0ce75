"""Configuration of the model, one dataclass a box of the figure; saved as ``config.json`` beside the weights."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ..errors import WeightsError
from .detail_head import DetailConfig
from .localiser import LocaliserConfig
from .propagator import PropagatorConfig
from .refiner import RefinerConfig
from .region_head import RegionConfig
from .sam2 import SegmenterConfig
from .seg_head import SegTokenConfig


@dataclass(frozen=True)
class ModelConfig:
    """The whole model folder.

    Attributes:
        name: of the preset or the trained model.
        segmenter: SAM 2.
        propagator: from slice to slice.
        localiser: None where a model takes clicks and boxes only.
        detail_head: None where a model has none; it reads the localiser's features.
        region_head: None where a model has none; it reads the localiser's coarse map.
        refiner: None where a model has none; it looks closer where the localiser found something.
        seg_head: None where the language model was not trained to point with [SEG].
    """

    name: str = "nano"
    segmenter: SegmenterConfig = field(default_factory=SegmenterConfig)
    propagator: PropagatorConfig = field(default_factory=PropagatorConfig)
    localiser: LocaliserConfig | None = None
    detail_head: DetailConfig | None = None
    seg_head: SegTokenConfig | None = None
    region_head: RegionConfig | None = None
    refiner: RefinerConfig | None = None

    @classmethod
    def load(cls, folder: Path) -> ModelConfig:
        """Read ``config.json``.

        Raises:
            WeightsError: the file is missing or does not fit this version.
        """
        path = folder / "config.json"
        try:
            raw = json.loads(path.read_text())
            localiser, details, seg_head = raw.get("localiser"), raw.get("detail_head"), raw.get("seg_head")
            regions, refiner = raw.get("region_head"), raw.get("refiner")
            return cls(
                raw["name"],
                SegmenterConfig(**raw["segmenter"]),
                PropagatorConfig(**_tuples(raw["propagator"])),
                LocaliserConfig(**_tuples(localiser)) if localiser else None,
                DetailConfig(**_tuples(details)) if details else None,
                SegTokenConfig(**_tuples(seg_head)) if seg_head else None,
                RegionConfig(**_tuples(regions)) if regions else None,
                RefinerConfig(**_tuples(refiner)) if refiner else None,
            )
        except FileNotFoundError:
            raise WeightsError(f"No config.json in the model folder {folder.name!r}. Give a complete folder.") from None
        except (KeyError, TypeError, ValueError) as error:
            raise WeightsError(f"config.json in {folder.name!r} does not fit this version: {error}.") from error

    def save(self, folder: Path) -> None:
        """Write ``config.json``."""
        (folder / "config.json").write_text(json.dumps(asdict(self), indent=2) + "\n")


def _tuples(fields: dict) -> dict:
    """JSON has lists where the dataclasses have tuples."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}
