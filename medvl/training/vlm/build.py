"""The model that a stage starts from, tokens added to it, LoRA round its language model, and the folder it ends in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

from ...errors import ConfigError
from ...model import MedVLSAM2, load
from ...networks.language_model import IMAGE_TOKEN, SEG_TOKEN, LanguageModel
from ...networks.projector import MixerProjector, ProjectorConfig
from ...networks.seg_head import SegHead, SegTokenConfig
from ...networks.vision_encoder import SIZES, DCFormer, token_counts
from ...networks.vlm import VisionLanguageModel
from ...networks.vlm_config import VLMConfig
from ...weights import hub
from ...weights.download import download
from ..config import ModelSettings

ENCODER_FILE = "encoder.safetensors"


def start(settings: ModelSettings, device: torch.device) -> MedVLSAM2:
    """Load what training starts from, all of it frozen; a new vision-language model is built if there is none.

    Raises:
        ConfigError: there is neither a vision-language model nor a language model to build one from.
        WeightsError: weights are missing or do not fit.
    """
    model = load(settings.start, str(device), settings.quantization, device_map="single", sam2_size=settings.sam2_size)
    if model.vlm is None and settings.language_model:
        model = MedVLSAM2(replace(model.networks, vlm=_new_vlm(settings, device)), model.folders)
    if settings.encoder_weights and model.vlm is not None:
        hub.load_strict(model.vlm.encoder, _read_encoder(settings.encoder_weights), "the vision encoder")
    return model


def new_encoder(settings: ModelSettings, read: bool = True) -> DCFormer:
    """An encoder of its own; new, or with ``encoder_weights`` if they are to be read."""
    encoder = DCFormer(SIZES[settings.encoder])
    for name, parameter in encoder.named_parameters():
        if name.endswith(".scale"):
            torch.nn.init.constant_(parameter, settings.encoder_scale)
    if read and settings.encoder_weights:
        hub.load_strict(encoder, _read_encoder(settings.encoder_weights), "the vision encoder")
    return encoder


def need_vlm(model: MedVLSAM2) -> VisionLanguageModel:
    """The vision-language model.

    Raises:
        ConfigError: there is none.
    """
    if model.vlm is None:
        raise ConfigError(
            "The start has no language model. Name one with model.language_model (a folder or a hub id), or start "
            "from a folder that has one."
        )
    return model.vlm


def _read_encoder(file: Path) -> dict[str, torch.Tensor]:
    if not file.is_file():
        raise ConfigError(f"model.encoder_weights: there is no file {file.name!r}.")
    return load_file(file)


def local_folder(name: str) -> Path:
    """A folder, or the local copy of a hub id."""
    if Path(name).is_dir():
        return Path(name)
    return download(name, ["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja"])


def _new_vlm(settings: ModelSettings, device: torch.device) -> VisionLanguageModel:
    lm = LanguageModel.from_pretrained(
        local_folder(settings.language_model), device, settings.quantization, device_map="single"
    )
    add_token(lm, IMAGE_TOKEN)
    sizes = SIZES[settings.encoder]
    low, high = token_counts(settings.input_size)[-2:]
    width = lm.model.get_input_embeddings().weight.shape[1]
    projector = ProjectorConfig(
        (low, sizes.channels[-2]), (high, sizes.channels[-1]), settings.low_tokens, settings.high_tokens, width
    )
    config = VLMConfig(
        lm.model.config.to_dict(), sizes, projector, settings.input_size, splice="in_place", prompt=settings.prompt
    )
    parts = (new_encoder(settings, read=False), MixerProjector(projector))
    return VisionLanguageModel(config, *(p.to(device).requires_grad_(False) for p in parts), lm)


def add_token(lm: LanguageModel, token: str) -> int:
    """Put a token into the vocabulary if it is not there; returns its id. New embedding rows are like the mean row."""
    known = lm.tokenizer.convert_tokens_to_ids(token)
    if known is not None and known != lm.tokenizer.unk_token_id:
        return known
    lm.tokenizer.add_tokens([token], special_tokens=True)
    if len(lm.tokenizer) > lm.model.get_input_embeddings().weight.shape[0]:
        # published models often have spare rows, which are then used
        lm.model.resize_token_embeddings(len(lm.tokenizer))
        lm.model.requires_grad_(False)
    return lm.tokenizer.convert_tokens_to_ids(token)


def add_seg(model: MedVLSAM2, settings: ModelSettings, device: torch.device) -> tuple[MedVLSAM2, int]:
    """The model with a [SEG] token and, if it has none, a new [SEG] head; and the token's id."""
    vlm = need_vlm(model)
    token = add_token(vlm.lm, SEG_TOKEN)
    networks = model.networks
    if networks.seg_head is None:
        config = SegTokenConfig(
            vlm.lm.model.get_input_embeddings().weight.shape[1],
            tuple(vlm.encoder.config.channels[-settings.seg.maps :]),
            settings.seg.voxel_dim,
        )
        networks = replace(
            networks, seg_head=SegHead(config).to(device), config=replace(networks.config, seg_head=config)
        )
        model = MedVLSAM2(networks, model.folders)
    return model, token


def add_lora(lm: LanguageModel, settings: ModelSettings, tokens: tuple[int, ...] = ()) -> nn.Module:
    """Put LoRA round the linear layers, in place, and train the embedding (and output) rows of ``tokens``.

    Returns:
        peft's model; ``merge`` takes it off again.
    """
    from peft import LoraConfig, get_peft_model

    model = lm.model
    rows = {}
    if tokens:
        tables = [model.get_input_embeddings()]
        if not model.config.tie_word_embeddings:
            tables.append(model.get_output_embeddings())
        names = {id(m): n for n, m in model.named_modules()}
        rows = {names[id(t)].rpartition(".")[2]: list(tokens) for t in tables}
    # peft asks these names whether layers are quantised
    model.is_loaded_in_4bit, model.is_loaded_in_8bit = (lm.precision.mode == m for m in ("4bit", "8bit"))
    lora = settings.lora
    return get_peft_model(
        model,
        LoraConfig(
            task_type="CAUSAL_LM",
            r=lora.rank,
            lora_alpha=lora.alpha,
            lora_dropout=lora.dropout,
            target_modules="all-linear",
            trainable_token_indices=rows or None,
        ),
    )


def tuned(lm: LanguageModel, settings: ModelSettings, tokens: tuple[int, ...] = ()) -> nn.Module:
    """The language model with LoRA and trained rows of ``tokens``, or all of it trained where there is no LoRA."""
    if settings.lora is not None:
        return add_lora(lm, settings, tokens)
    return lm.model.float().requires_grad_(True)


def merge(vlm: VisionLanguageModel, trained: nn.Module) -> None:
    """Add the LoRA updates and the trained rows to the language model's own weights, in place; freeze it."""
    if trained is vlm.lm.model:
        trained.eval().requires_grad_(False)
        return
    vlm.lm.model = trained.merge_and_unload().eval().requires_grad_(False)


def save(model: MedVLSAM2, folder: Path) -> None:
    """Write a folder that ``medvl.load`` reads."""
    if model.vlm is not None:
        lm = model.vlm.lm.model
        text = {**model.vlm.config.text, "vocab_size": lm.get_input_embeddings().weight.shape[0]}
        model.vlm.config = replace(model.vlm.config, text=text)
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
