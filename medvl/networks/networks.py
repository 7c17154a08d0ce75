"""``Networks``: the weights of one model in memory, read in one pass and never changed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import torch
from torch import nn

from ..errors import WeightsError
from ..weights import hub
from .chat import ChatModel
from .config import ModelConfig
from .detail_head import DetailHead
from .image_text import PictureModel
from .lent import LentSam2, LentVlm
from .localiser import Localiser
from .propagator import SlicePropagator
from .refiner import Refiner
from .region_head import RegionHead
from .sam2 import Sam2
from .seg_head import SegHead
from .vlm import VisionLanguageModel

Edge = Literal["hu", "sam2", "none"]
Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class Networks:
    """Everything that a case needs of a model.

    Attributes:
        config: of all parts.
        device: of everything but a language model that is spread by hand.
        sam2: single slices to masks.
        propagator: from slice to slice.
        localiser: names to places; None where a model takes clicks and boxes only.
        detail_head: further names, on the localiser's features; None where a model has none.
        seg_head: turns the language model's [SEG] into a place and a prompt; None where it was not trained.
        vlm: the vision-language model; None where a preset has none.
        reader: looks at slices in place of ``vlm``; None where none was named.
        planner: an instruct model that plans and words; None where none was named.
        region_head: which regions of the body are in view; None where a model has none.
        refiner: draws fine structures anew, in crops; None where a model has none.
        edge: what delineates a structure that the localiser found: the edge in HU, SAM 2, or nothing.
    """

    config: ModelConfig
    device: torch.device
    sam2: Sam2
    propagator: SlicePropagator
    localiser: Localiser | None = None
    detail_head: DetailHead | None = None
    seg_head: SegHead | None = None
    vlm: VisionLanguageModel | None = None
    edge: Edge = "hu"
    reader: PictureModel | None = None
    planner: ChatModel | None = None
    region_head: RegionHead | None = None
    refiner: Refiner | None = None

    def __post_init__(self) -> None:
        """Refuse a [SEG] head that does not belong to the language model beside it.

        Raises:
            WeightsError: sizes differ, or the tokenizer has no [SEG].
        """
        if self.vlm is None or self.seg_head is None:
            return
        config, width = self.seg_head.config, self.vlm.lm.model.get_input_embeddings().weight.shape[1]
        config.stages(self.vlm.encoder.config.channels)
        if config.hidden_dim != width:
            raise WeightsError(
                f"The [SEG] head was built for states of {config.hidden_dim} values and the language model has {width}."
                " Use the files of one release together."
            )
        if self.vlm.lm.seg_id() is None:
            raise WeightsError("There is a [SEG] head and no [SEG] in the tokenizer. Use the one saved with the model.")


def read_networks(
    folder: Path,
    device: torch.device,
    config: ModelConfig | None = None,
    sam2_folder: Path | None = None,
    vlm: VisionLanguageModel | None = None,
    edge: Edge = "hu",
    gpu: torch.device | None = None,
) -> Networks:
    """Read a model folder.

    Args:
        folder: with ``config.json`` and weights.
        device: of everything.
        config: another one than the folder's.
        sam2_folder: where SAM 2's weights are, if not in ``folder``.
        vlm: the vision-language model.
        edge: see ``Networks``.
        gpu: that is lent a call at a time (``zero_gpu``), beside ``device``; ``vlm`` is there.

    Raises:
        WeightsError: weights are missing, damaged, or do not fit.
    """
    config = config or ModelConfig.load(folder)
    flat, deep = torch.channels_last, torch.channels_last_3d

    def part(network: Network, stem: str, what: str, layout: torch.memory_format | None) -> Network:
        hub.load_strict(network, hub.read_weights(folder, stem), what)
        layout = layout if device.type != "mps" else None  # Apple's kernels take the usual order only
        return network.float().to(device, memory_format=layout).eval().requires_grad_(False)

    localiser = details = regions = refiner = head = None
    if config.localiser:
        localiser = part(Localiser(config.localiser), "localiser", "the localiser", deep)
    if config.localiser and config.detail_head:
        details = part(DetailHead(config.detail_head), "detail_head", "the detail head", deep)
    if config.localiser and config.region_head:
        regions = part(RegionHead(config.region_head), "region_head", "the region head", None)
    if config.localiser and config.refiner:
        refiner = part(Refiner(config.refiner), "refiner", "the refiner", deep)
    if config.seg_head:
        head = part(SegHead(config.seg_head), "seg_head", "the [SEG] head", None)
    propagator = part(SlicePropagator(config.propagator), "propagator", "the slice propagator", flat)
    where = (config.segmenter, sam2_folder or folder)
    sam2 = LentSam2(*where, gpu) if gpu else Sam2(*where, device)
    vlm = LentVlm(vlm) if gpu and vlm else vlm
    return Networks(
        config, device, sam2, propagator, localiser, details, head, vlm, edge, region_head=regions, refiner=refiner
    )
