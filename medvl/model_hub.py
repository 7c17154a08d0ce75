"""``from_pretrained``, ``save_pretrained`` and ``push_to_hub`` of the whole model, through huggingface_hub's mixin."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from huggingface_hub import ModelHubMixin, save_torch_state_dict

from . import hub
from .placement import DeviceMap, Place
from .slice_encoder import MEMORY_MODULES

SHARD = "2GB"


class HubModel(ModelHubMixin, library_name="medvl", tags=["medical", "ct", "segmentation"]):
    """What ``MedVLSAM2`` inherits. A saved folder loads with ``medvl.load(folder)``."""

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
    ) -> HubModel:
        from .model import load

        folder = hub.fetch(model_id, hub.MODEL_FILES, **hub.download_options(options))
        return load(str(folder), device, quantization, device_map=device_map, max_memory=max_memory)

    def _save_pretrained(self, save_directory: Path) -> None:
        folder = Path(save_directory)
        self.config.save(folder)
        sam2 = self.sam2.net.state_dict()
        if not self.sam2.has_memory:  # memory modules that no checkpoint filled are not weights
            sam2 = {n: t for n, t in sam2.items() if not n.startswith(MEMORY_MODULES)}
        parts = {self.config.segmenter.weights: sam2, "propagator": self.propagator.state_dict()}
        for stem in ("localiser", "detail_head", "seg_head"):
            part = getattr(self, stem)
            if part is not None:
                parts[stem] = part.state_dict()
        for stem, state in parts.items():
            state = {n: t.detach().contiguous() for n, t in state.items()}
            save_torch_state_dict(state, folder, filename_pattern=stem + "{suffix}.safetensors", max_shard_size=SHARD)
        if self.vlm is not None:
            self.vlm.save_pretrained(folder / "vlm")
