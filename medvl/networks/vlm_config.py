"""The vision-language model's ``config.json``: ours, and the one published with Med3DVLM."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ..errors import WeightsError
from .projector import ProjectorConfig
from .vision_encoder import SIZES, VisionEncoderConfig

MODEL_TYPE = "medvl_vlm"
PUBLISHED = {"vlm_qwen": "qwen2", "vlm_llama": "llama", "vlm_phi3": "phi3"}  # model_type -> that of the language model


@dataclass(frozen=True)
class VLMConfig:
    """The whole vision-language model.

    Attributes:
        text: config of the language model as transformers writes it, with its ``model_type``.
        encoder: of the 3-D encoder.
        projector: of the projector.
        input_size: ``(D, H, W)`` of the image.
        splice: ``"published"``: as in Med3DVLM the first placeholder keeps its own embedding and the image takes the
            positions after it, so that the first text token behind the placeholders is lost; ``"in_place"``: the image
            takes the places of the placeholders and no text is lost.
        prompt: ``"plain"``: placeholders and question, one turn, no template (Med3DVLM); ``"chat"``: the language
            model's chat template with the whole conversation, placeholders before the first question.
    """

    text: dict
    encoder: VisionEncoderConfig = field(default_factory=VisionEncoderConfig)
    projector: ProjectorConfig = field(default_factory=ProjectorConfig)
    input_size: tuple[int, int, int] = (128, 256, 256)
    splice: str = "published"
    prompt: str = "plain"

    def text_config(self) -> object:
        """The language model's config as transformers' class."""
        from transformers import CONFIG_MAPPING

        kind = self.text.get("model_type")
        if kind not in CONFIG_MAPPING:
            raise WeightsError(f"transformers does not know the language model type {kind!r}. A newer release may.")
        return CONFIG_MAPPING[kind].from_dict(self.text)

    @classmethod
    def load(cls, folder: Path) -> VLMConfig:
        """Read ``config.json``.

        Raises:
            WeightsError: it is missing, or is not of a vision-language model that this package knows.
        """
        try:
            raw = json.loads((folder / "config.json").read_text())
        except FileNotFoundError:
            raise WeightsError(f"No config.json in {folder.name!r}. Give a complete model folder.") from None
        except json.JSONDecodeError as error:
            raise WeightsError(f"config.json in {folder.name!r} is not JSON: {error}.") from None
        kind = raw.get("model_type")
        try:
            if kind == MODEL_TYPE:
                return cls(
                    raw["text"],
                    VisionEncoderConfig(**{k: tuple(v) for k, v in raw["encoder"].items()}),
                    _projector(raw["projector"]),
                    tuple(raw["input_size"]),
                    raw["splice"],
                    raw["prompt"],
                )
            if kind in PUBLISHED:
                return cls._published(raw)
        except (KeyError, TypeError) as error:
            raise WeightsError(f"config.json in {folder.name!r} does not fit this version: {error}.") from error
        raise WeightsError(
            f"config.json in {folder.name!r} has the model type {kind!r}; known are {MODEL_TYPE!r} and "
            f"{', '.join(map(repr, PUBLISHED))}."
        )

    @classmethod
    def _published(cls, raw: dict) -> VLMConfig:
        """Med3DVLM's config: the language model's fields and the vision fields side by side."""
        if raw.get("vision_tower", "dcformer") != "dcformer" or raw.get("mm_projector_type", "mixer") != "mixer":
            raise WeightsError(
                f"This checkpoint has the encoder {raw.get('vision_tower')!r} and the projector "
                f"{raw.get('mm_projector_type')!r}; only DCFormer with the mixer is implemented."
            )
        if raw.get("mm_mlp_depth", 2) != 2 or raw.get("vision_select_layer", -2) != -2:
            raise WeightsError("Only mm_mlp_depth 2 and vision_select_layer -2 are implemented, as published.")
        text = dict(raw, model_type=PUBLISHED[raw["model_type"]])
        text["architectures"] = None  # published as a bare string, which transformers does not take
        text.pop("auto_map", None)
        projector = ProjectorConfig(
            tuple(raw.get("low_input_size", (256, 384))),
            tuple(raw.get("high_input_size", (32, 768))),
            tuple(raw.get("low_output_size", (192, 128))),
            tuple(raw.get("high_output_size", (64, 128))),
            raw["hidden_size"],
        )
        # The published input_size is (256, 256, 128) in some files and (128, 256, 256) in others; the network was
        # trained on volumes of depth 128 either way.
        size = tuple(sorted(raw.get("input_size", (128, 256, 256))))
        return cls(text, SIZES["small"], projector, size)

    def save(self, folder: Path) -> None:
        """Write ``config.json``."""
        (folder / "config.json").write_text(json.dumps({"model_type": MODEL_TYPE, **asdict(self)}, indent=2) + "\n")


def _projector(raw: dict) -> ProjectorConfig:
    return ProjectorConfig(**{k: tuple(v) if isinstance(v, list) else v for k, v in raw.items()})
