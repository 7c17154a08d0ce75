"""``MedVLSAM2``: the loaded model, shared by everybody; ``load`` finds its weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch

from . import hub, hub_checkpoints
from .case import Case
from .config import ModelConfig, SegmenterConfig
from .details import DetailHead
from .errors import WeightsError
from .hub_download import commit_of
from .localiser import Localiser
from .model_hub import HubModel
from .placement import DeviceMap, Place
from .propagation import SlicePropagator
from .seg_token import SegHead
from .slice_encoder import Sam2
from .text_segmenter import Edge
from .vlm import VisionLanguageModel
from .volume import CTVolume


def pick_device(device: str = "auto") -> torch.device:
    """``"auto"`` -> CUDA if there is one, else the CPU."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(device)


def load(
    name: str = "nano",
    device: str = "auto",
    quantization: str = "auto",
    sam2: str = "sam2.1-tiny",
    checkpoints: str | Path | None = None,
    revision: str | None = None,
    sam2_revision: str | None = None,
    device_map: str | DeviceMap = "auto",
    max_memory: Mapping[Place, int] | None = None,
) -> MedVLSAM2:
    """Load a model.

    Args:
        name: ``"nano"`` (bundled), ``"7b"`` (public checkpoints of the hub), a folder with ``config.json`` and
            weights, or ``owner/name`` of a repository on the hub with such files.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        quantization: of the language model, where there is one: ``"4bit"``, ``"8bit"``, ``"none"``, or ``"auto"``: the
            most precise one that fits into the free memory.
        sam2: of ``7b``: a name in ``hub_checkpoints.SAM2``.
        checkpoints: of ``7b``: a folder that holds the files; the hub is then not asked.
        revision: branch, tag or commit of the repository on the hub; of ``7b``: of the vision-language model, None
            takes the one in ``hub_checkpoints``.
        sam2_revision: of ``7b``: the same of SAM 2.
        device_map: of the language model: ``"auto"``: as few GPUs as hold it, with main memory beside them where they
            do not; ``"single"``: one device; or the place of each module by name (a GPU's number, ``"cpu"``,
            ``"disk"``). Everything else is on the first GPU. ``notices`` tells what was picked and why.
        max_memory: most bytes of the language model's weights by place, instead of what is free, for instance
            ``{0: 10 * 10**9, "cpu": 32 * 10**9}``.

    Raises:
        WeightsError: there is no such model, its files are incomplete, or the hub cannot be reached.
    """
    place = pick_device(device)
    if name == "7b":
        segmenter = hub_checkpoints.sam2_source(sam2, checkpoints, sam2_revision)
        folder = hub_checkpoints.find(hub_checkpoints.VLM, checkpoints, revision)
        model = MedVLSAM2(hub.find_model("nano"), place, segmenter)
        model.source, model.folders = sam2, (folder, segmenter[1])
    else:
        folder = hub.find_model(name, revision)
        model = MedVLSAM2(folder, place)
        folder = folder / "vlm"
    if name == "7b" or folder.is_dir():
        model.vlm = VisionLanguageModel.load(folder, place, quantization, device_map, max_memory)
    model.check_seg_head()
    return model


class MedVLSAM2(HubModel):
    """Weights in memory. Stateless towards cases, so one instance serves all visitors.

    Attributes:
        vlm: the vision-language model; None where a preset has none (``nano``).
        seg_head: turns the language model's [SEG] into a place and a prompt; None where it was not trained (``nano``,
            ``7b``).
        source: name of the SAM 2 checkpoint of ``7b``, else None.
        folders: that the weights came from; of ``7b`` that of the vision-language model, then that of SAM 2.
    """

    def __init__(
        self, folder: Path, device: torch.device, segmenter: tuple[SegmenterConfig, Path] | None = None
    ) -> None:
        """Read a model folder.

        Args:
            folder: with ``config.json`` and weights.
            device: of everything.
            segmenter: another SAM 2 than the folder's, and the folder of its weights.
        """
        self.config = ModelConfig.load(folder)
        self.device = device
        sam2_folder = folder
        if segmenter:
            self.config, sam2_folder = replace(self.config, name="7b", segmenter=segmenter[0]), segmenter[1]
        self.sam2 = Sam2(self.config.segmenter, sam2_folder, device)
        self.vlm: VisionLanguageModel | None = None
        self.source: str | None = None
        self.folders: tuple[Path, ...] = (folder,)
        self.propagator = SlicePropagator(self.config.propagator)
        hub.load_strict(self.propagator, hub.read_weights(folder, "propagator"), "the slice propagator")
        self.propagator.to(device, memory_format=torch.channels_last).eval().requires_grad_(False)
        self.localiser: Localiser | None = None
        if self.config.localiser:
            self.localiser = Localiser(self.config.localiser)
            hub.load_strict(self.localiser, hub.read_weights(folder, "localiser"), "the localiser")
            self.localiser.float().to(device, memory_format=torch.channels_last_3d).eval().requires_grad_(False)

        self.detail_head: DetailHead | None = None
        if self.config.localiser and self.config.detail_head:
            self.detail_head = DetailHead(self.config.detail_head)
            hub.load_strict(self.detail_head, hub.read_weights(folder, "detail_head"), "the detail head")
            self.detail_head.float().to(device, memory_format=torch.channels_last_3d).eval().requires_grad_(False)

        self.seg_head: SegHead | None = None
        if self.config.seg_head:
            self.seg_head = SegHead(self.config.seg_head)
            hub.load_strict(self.seg_head, hub.read_weights(folder, "seg_head"), "the [SEG] head")
            self.seg_head.float().to(device).eval().requires_grad_(False)

    def check_seg_head(self) -> None:
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

    @property
    def edge(self) -> Edge:
        """What delineates a structure that the localiser found: SAM 2.1 where it was chosen, else the edge in HU."""
        return "sam2" if self.source else "hu"

    @property
    def weights(self) -> tuple[str, ...]:
        """Short names of what is loaded, for one line of the page."""
        if self.source:
            return ("Med3DVLM-Qwen-2.5-7B", hub_checkpoints.SAM2[self.source].short, "bundled localiser")
        parts = [(True, "SAM 2 hiera-tiny"), (True, "slice propagator"), (self.localiser, "localiser")]
        parts += [(self.vlm, "3-D encoder, projector and language model"), (self.seg_head, "[SEG] head")]
        return tuple(name for part, name in parts if part)

    def notices(self) -> list[str]:
        """For people: how the language model is held in memory and why; weights, their licences and use."""
        lines = [f"Language model: {self.vlm.lm.precision.reason}."] if self.vlm else []
        if self.source:
            of_vlm, of_sam2 = hub_checkpoints.VLM, hub_checkpoints.SAM2[self.source]
            lines += [c.notice_of(f) for c, f in zip((of_vlm, of_sam2), self.folders, strict=True)]
            lines.append(
                f"Med3DVLM knows no [SEG]: named structures are found by the bundled localiser and delineated by "
                f"{of_sam2.short}; what the language model says is its reading of the image, not a measurement."
            )
        elif self.folders[0] == hub.BUNDLED / "nano":
            lines.append(f"Bundled weights ({', '.join(self.weights)}): Apache-2.0. {hub_checkpoints.INTENDED_USE}")
        else:
            commit = commit_of(self.folders[0])
            where = f"a repository of the hub, revision {commit[:12]}" if commit else "a local folder"
            lines.append(
                f"Weights from {where} ({', '.join(self.weights)}): under the terms of whoever trained them. "
                f"{hub_checkpoints.INTENDED_USE}"
            )
        return lines

    def open(self, ct: CTVolume) -> Case:
        """Start working on a CT."""
        return Case(self, ct)
