"""``MedVLSAM2``: the loaded model, shared by everybody; ``load`` finds its weights."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from huggingface_hub import ModelHubMixin, save_torch_state_dict

from .case import Case
from .ct.volume import CTVolume
from .errors import WeightsError
from .networks.chat import open_planner, open_reader
from .networks.config import ModelConfig
from .networks.lent import lend
from .networks.networks import Networks, read_networks
from .networks.sam2 import MEMORY_MODULES, SegmenterConfig
from .networks.vlm import VisionLanguageModel
from .networks.zero_gpu import on_zero_gpu
from .readers import read_ct
from .readers.case_zip import PRIOR, SCAN, SavedCase, read_case, take_scan
from .weights import checkpoints as checkpoints_of
from .weights import checksums, hub
from .weights.devices import described, network_precision, pick_device
from .weights.download import commit_of
from .weights.placement import DeviceMap, Place

SHARD = "2GB"
LENT_GPU = "a GPU that the Space lends a call at a time (ZeroGPU)"


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
    sam2_size: int | str = "auto",
    reader: str | None = None,
    planner: str | None = None,
) -> MedVLSAM2:
    """Load a model.

    Args:
        name: ``"nano"`` (bundled), ``"7b"`` (public checkpoints of the hub), a folder with ``config.json`` and
            weights, or ``owner/name`` of a repository on the hub with such files.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"`` (Apple's GPU).
        quantization: of the language model, where there is one: ``"4bit"``, ``"8bit"``, ``"none"``, or ``"auto"``: the
            most precise one that fits into the free memory.
        sam2: of ``7b``: a name in ``weights.checkpoints.SAM2``, or a ``.pt`` or ``.safetensors`` file of SAM 2.
        checkpoints: of ``7b``: a folder that holds the files; the hub is then not asked.
        revision: branch, tag or commit of the repository on the hub; of ``7b``: of the vision-language model, None
            takes the one in ``weights.checkpoints``.
        sam2_revision: of ``7b``: the same of SAM 2.
        device_map: of the language model: ``"auto"``: as few GPUs as hold it, with main memory beside them where they
            do not; ``"single"``: one device; or the place of each module by name (a GPU's number, ``"cpu"``,
            ``"disk"``). Everything else is on the first GPU. ``notices`` tells what was picked and why.
        max_memory: most bytes of the language model's weights by place, instead of what is free, for instance
            ``{0: 10 * 10**9, "cpu": 32 * 10**9}``.
        sam2_size: pixels that SAM 2 sees a slice in, both sides: 256, 512, 1024, or ``"auto"``: what its weights were
            trained with on a GPU (1024 for SAM 2.1), 512 on a CPU, where 1024 takes five times as long.
        reader: a model that reads slices, in place of the preset's own: a folder or repository of any
            image-text-to-text model of transformers, or the address of an OpenAI-compatible server (``.../v1#model``).
        planner: an instruct model that plans and words answers, likewise.

    Raises:
        WeightsError: there is no such model, its files are incomplete, or the hub cannot be reached.
    """
    place = pick_device(device)
    if reader or planner:
        how = (place, quantization, device_map, max_memory)
        outside = {"reader": open_reader(reader, *how) if reader else None}
        outside["planner"] = open_planner(planner, *how) if planner else None
        if on_zero_gpu():
            outside = {name: lend(model) for name, model in outside.items()}
        rest = (sam2, checkpoints, revision, sam2_revision, device_map, max_memory, sam2_size)
        model = load(name, device, quantization, *rest)
        return MedVLSAM2(replace(model.networks, **outside), model.folders, model.source)
    gpu = place if on_zero_gpu() and place.type == "cuda" else None
    here = torch.device("cpu") if gpu else place  # what measures must not wait for a GPU that is lent
    if name == "7b":
        segmenter, sam2_folder = sam2_source(sam2, checkpoints, sam2_revision)
        segmenter = replace(segmenter, image_size=_slice_size(sam2_size, segmenter.image_size, here))
        folder = checkpoints_of.find(checkpoints_of.VLM, checkpoints, revision)
        vlm = VisionLanguageModel.load(folder, place, quantization, device_map, max_memory)
        nano = hub.find_model("nano")
        config = replace(ModelConfig.load(nano), name="7b", segmenter=segmenter)
        networks = read_networks(nano, here, config, sam2_folder, vlm, "sam2", gpu)
        return MedVLSAM2(networks, (folder, sam2_folder), sam2)
    folder = hub.find_model(name, revision)
    vlm = None
    if (folder / "vlm").is_dir():
        vlm = VisionLanguageModel.load(folder / "vlm", place, quantization, device_map, max_memory)
    config = ModelConfig.load(folder)
    if sam2_size != "auto":
        config = replace(config, segmenter=replace(config.segmenter, image_size=_slice_size(sam2_size, 0, here)))
    return MedVLSAM2(read_networks(folder, here, config, vlm=vlm, gpu=gpu), (folder,))


def _slice_size(wanted: int | str, native: int, device: torch.device) -> int:
    """See ``load``."""
    if wanted == "auto":
        return min(native, 512) if device.type == "cpu" else native
    if str(wanted) not in checkpoints_of.SLICE_SIZES:
        choices = ", ".join(checkpoints_of.SLICE_SIZES)
        raise WeightsError(f"SAM 2 does not see slices at {wanted!r} pixels here. Choose {choices}.")
    return int(wanted)


def sam2_source(
    name: str, checkpoints: str | Path | None = None, revision: str | None = None
) -> tuple[SegmenterConfig, Path]:
    """Config and folder of a SAM 2 checkpoint, for ``networks.sam2.Sam2``."""
    checkpoint = checkpoints_of.sam2_checkpoint(name)
    if not checkpoint.repo:  # a file of one's own
        folder, stem = Path(name).parent, Path(name).stem
    else:
        folder, stem = checkpoints_of.find(checkpoint, checkpoints, revision), checkpoint.files[0].removesuffix(".pt")
        if not (folder / checkpoint.files[0]).is_file():
            stem = checkpoints_of.SAFETENSORS.removesuffix(".safetensors")
    return SegmenterConfig(checkpoint.sam2_config, stem, checkpoint.image_size), folder


def open_case(
    path: str | Path,
    ct: CTVolume | None = None,
    *,
    prior: CTVolume | None = None,
    model: MedVLSAM2 | None = None,
) -> Case:
    """Go on with a case that ``Case.save`` wrote, perhaps in another version.

    Args:
        path: the ``.medvl.zip``.
        ct: its scan; None where the file holds it.
        prior: the earlier scan that stood beside; None where the file holds it, or it is to be left out.
        model: loaded before; None loads the bundled one.

    Raises:
        CaseFileError: the file is damaged, unsafe or of a later version; it holds no scan and ``ct`` is None; or ``ct``
            is another scan.
    """
    return (model or load()).open_case(path, ct, prior)


def _scan_of(path: str | Path, saved: SavedCase, name: str = SCAN) -> CTVolume:
    """A scan that is in the file of a case, under the name that it had."""
    with tempfile.TemporaryDirectory(prefix="medvl-case-") as folder:
        ct = read_ct(take_scan(path, folder, name))
    return replace(ct, info=replace(ct.info, file_name=saved.scan.file_name))


class MedVLSAM2(ModelHubMixin, library_name="medvl", tags=["medical", "ct", "segmentation"]):
    """Weights in memory and where they came from. Stateless towards cases, so one instance serves all visitors.

    ``from_pretrained``, ``save_pretrained`` and ``push_to_hub`` are those of huggingface_hub; a saved folder loads
    with ``medvl.load(folder)``.

    Attributes:
        networks: the weights.
        folders: that the weights came from; of ``7b`` that of the vision-language model, then that of SAM 2.
        source: name of the SAM 2 checkpoint of ``7b``, else None.
    """

    def __new__(cls, *_: object, **__: object) -> MedVLSAM2:
        """Without the mixin's copy of all arguments, which would copy the weights."""
        return object.__new__(cls)

    def __init__(self, networks: Networks, folders: tuple[Path, ...] = (), source: str | None = None) -> None:
        self.networks = networks
        self.folders = folders
        self.source = source

    @property
    def config(self) -> ModelConfig:
        """Configuration of all parts."""
        return self.networks.config

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return self.networks.device

    @property
    def vlm(self) -> VisionLanguageModel | None:
        """The vision-language model; None where a preset has none (``nano``)."""
        return self.networks.vlm

    @property
    def weights(self) -> tuple[str, ...]:
        """Short names of what is loaded, for one line of the page."""
        if self.source:
            return ("Med3DVLM-Qwen-2.5-7B", checkpoints_of.sam2_checkpoint(self.source).short, "bundled localiser")
        networks = self.networks
        parts = [(True, "SAM 2 hiera-tiny"), (True, "slice propagator"), (networks.localiser, "localiser")]
        parts += [(networks.vlm, "3-D encoder, projector and language model"), (networks.seg_head, "[SEG] head")]
        return tuple(name for part, name in parts if part)

    @property
    def segmentation(self) -> str:
        """For people: precision and size in which SAM 2 computes, where, and why."""
        name, size = str(network_precision(self.device)).removeprefix("torch."), self.config.segmenter.image_size
        why = {"bfloat16": "this GPU computes in it", "float32": "the device has no bfloat16 of its own"}[name]
        why = "the CPU" if self.device.type == "cpu" else f"{described(self.device)}, {why}"
        lent = f", runs of slices on {LENT_GPU}" if on_zero_gpu() else ""
        return f"{name} at {size} pixels a slice on {why}{lent}"

    def notices(self) -> list[str]:
        """For people: how the language model is held in memory and why; weights, their licences and use."""
        lent = f" on {LENT_GPU}" if on_zero_gpu() else ""
        lines = [f"Language model{lent}: {self.vlm.lm.precision.reason}."] if self.vlm else []
        lines.append(f"Segmentation: {self.segmentation}.")
        lines += [model.notice for model in (self.networks.reader, self.networks.planner) if model]
        if self.source:
            of_vlm, of_sam2 = checkpoints_of.VLM, checkpoints_of.sam2_checkpoint(self.source)
            lines += [c.notice_of(f) for c, f in zip((of_vlm, of_sam2), self.folders, strict=True)]
            lines.append(
                f"Med3DVLM knows no [SEG]: named structures are found by the bundled localiser and delineated by "
                f"{of_sam2.short}; what the language model says is its reading of the image, not a measurement."
            )
        elif self.folders[0] == hub.BUNDLED / "nano":
            lines.append(f"Bundled weights ({', '.join(self.weights)}): Apache-2.0. {checkpoints_of.INTENDED_USE}")
        else:
            commit = commit_of(self.folders[0])
            where = f"a repository of the hub, revision {commit[:12]}" if commit else "a local folder"
            lines.append(
                f"Weights from {where} ({', '.join(self.weights)}): under the terms of whoever trained them. "
                f"{checkpoints_of.INTENDED_USE}"
            )
        return lines

    def open(self, ct: CTVolume) -> Case:
        """Start working on a CT."""
        return Case(self.networks, ct)

    def open_case(self, path: str | Path, ct: CTVolume | None = None, prior: CTVolume | None = None) -> Case:
        """Go on with a saved case; see ``open_case``."""
        saved = read_case(path)
        case = self.open(_scan_of(path, saved) if ct is None else ct)
        case.restore(saved)
        if saved.prior is not None and (prior is not None or saved.prior.case.has_scan):
            earlier = _scan_of(path, saved.prior.case, PRIOR) if prior is None else prior
            case.restore_prior(saved.prior, self.open(earlier))
        return case

    # ---- folders of the hub

    @classmethod
    def _from_pretrained(
        cls,
        *,
        model_id: str,
        device: str = "auto",
        quantization: str = "auto",
        device_map: str | DeviceMap = "auto",
        max_memory: Mapping[Place, int] | None = None,
        **options: object,
    ) -> MedVLSAM2:
        folder = hub.fetch(model_id, hub.MODEL_FILES, **hub.download_options(options))
        return load(str(folder), device, quantization, device_map=device_map, max_memory=max_memory)

    def _save_pretrained(self, save_directory: Path) -> None:
        folder, networks = Path(save_directory), self.networks
        self.config.save(folder)
        sam2 = networks.sam2.net.state_dict()
        if not networks.sam2.has_memory:  # memory modules that no checkpoint filled are not weights
            sam2 = {n: t for n, t in sam2.items() if not n.startswith(MEMORY_MODULES)}
        parts = {self.config.segmenter.weights: sam2, "propagator": networks.propagator.state_dict()}
        for stem in ("localiser", "detail_head", "region_head", "refiner", "seg_head"):
            part = getattr(networks, stem)
            if part is not None:
                parts[stem] = part.state_dict()
        for stem, state in parts.items():
            state = {n: t.detach().contiguous() for n, t in state.items()}
            save_torch_state_dict(state, folder, filename_pattern=stem + "{suffix}.safetensors", max_shard_size=SHARD)
        checksums.record(folder)
        if networks.vlm is not None:
            networks.vlm.save_pretrained(folder / "vlm")
