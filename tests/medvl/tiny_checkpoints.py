"""Tiny random checkpoints in the published layouts, written by the tests that read them."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

WORDS = ["the", "liver", "spleen", "is", "where", "large", "normal", "what", "size", "seen", "it", "?", "\n", "."]
CHAT = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def tokenizer():
    """A word-level tokenizer with the special tokens of the models."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    specials = ["<unk>", "<|im_start|>", "<|im_end|>", "<im_patch>", "[SEG]", "user", "assistant"]
    vocabulary = {w: i for i, w in enumerate(specials + WORDS)}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split("\n", "isolated"), pre_tokenizers.Split(" ", "removed")]
    )
    outer = PreTrainedTokenizerFast(
        tokenizer_object=inner,
        unk_token="<unk>",
        eos_token="<|im_end|>",
        additional_special_tokens=["<|im_start|>", "<im_patch>", "[SEG]"],
    )
    outer.chat_template = CHAT
    return outer


def language_model(kind: str = "qwen2", seed: int = 0, **changes):
    """A random causal language model of a few thousand weights that never ends its answer by itself."""
    from transformers import CONFIG_MAPPING, AutoModelForCausalLM

    torch.manual_seed(seed)
    fields = dict(
        vocab_size=len(tokenizer()),
        hidden_size=64,  # 4-bit kernels on the CPU work on blocks of 64
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        tie_word_embeddings=False,
        initializer_range=0.5,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=None,
    )
    return AutoModelForCausalLM.from_config(CONFIG_MAPPING[kind](**{**fields, **changes})).eval()


def write_language_model(folder: Path, kind: str = "qwen2", **changes):
    """A folder in the Hugging Face layout; returns the model."""
    model = language_model(kind, **changes)
    model.save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return model


def write_med3dvlm(
    folder: Path, drop: str = "", extra: str = "", layer_scale: str = "scale"
) -> dict[str, torch.Tensor]:
    """A checkpoint in Med3DVLM's layout, of the true encoder; returns its tensors.

    Args:
        folder: written into.
        drop: this tensor is left out.
        extra: a tensor of this name is added.
        layer_scale: the name of the encoder's layer scale.
    """
    from medvl.projector import MixerProjector, ProjectorConfig
    from medvl.vision_encoder import DCFormer, token_counts

    size = (32, 64, 64)
    low, high = token_counts(size)[-2:]
    model = language_model()
    torch.manual_seed(1)
    encoder = DCFormer()
    for name, tensor in encoder.state_dict().items():
        if "running_var" in name:
            tensor.uniform_(0.5, 2)
        elif "running_mean" in name or name.endswith(".scale"):
            tensor.normal_()
    projector = MixerProjector(ProjectorConfig((low, 384), (high, 768), (6, 4), (3, 2), 64))
    state = dict(model.state_dict())
    for prefix, part in (("model.vision_tower.vision_tower.", encoder), ("model.mm_projector.", projector)):
        state |= {prefix + n: t for n, t in part.state_dict().items()}
    if layer_scale != "scale":
        state = {n.replace(".scale", f".{layer_scale}"): t for n, t in state.items()}
    state.pop(drop, None)
    if extra:
        state[extra] = torch.zeros(2)
    folder.mkdir(parents=True, exist_ok=True)
    save_file({n: t.contiguous() for n, t in state.items()}, folder / "model.safetensors", {"format": "pt"})
    config = model.config.to_dict() | {
        "model_type": "vlm_qwen",
        "architectures": "VLMQwenForCausalLM",
        "auto_map": {"AutoConfig": "qwen.VLMQwenConfig"},
        "vision_tower": "dcformer",
        "vision_select_layer": -2,
        "vision_select_feature": "cls_patch",
        "mm_projector_type": "mixer",
        "mm_mlp_depth": 2,
        "input_size": [64, 64, 32],
        "low_input_size": [low, 384],
        "high_input_size": [high, 768],
        "low_output_size": [6, 4],
        "high_output_size": [3, 2],
        "proj_out_num": 6,
    }
    (folder / "config.json").write_text(json.dumps(config))
    tokenizer().save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps(config))
    return state


def seg_head_config():
    """The [SEG] head's shape for the checkpoint of ``write_med3dvlm``."""
    from medvl.seg_token import SegTokenConfig

    return SegTokenConfig(hidden_dim=64, voxel_dim=8)


def write_model_folder(folder: Path, model, prompt: str = "plain", head: bool = True) -> None:
    """A folder as ``MedVLSAM2.save_pretrained`` writes it: a loaded model's own parts, a tiny vision-language model
    and, if wanted, a random [SEG] head.

    Args:
        folder: written into.
        model: ``medvl.load()``.
        prompt: of the vision-language model, see ``VLMConfig``; ``"chat"`` sees earlier turns.
        head: whether there is a [SEG] head.
    """
    from dataclasses import replace

    from medvl.config import ModelConfig
    from medvl.seg_token import SegHead
    from medvl.vlm import VisionLanguageModel

    write_med3dvlm(folder / "published")
    vlm = VisionLanguageModel.load(folder / "published", quantization="none")
    if prompt == "chat":
        vlm.config = replace(vlm.config, prompt="chat", splice="in_place")
    model.save_pretrained(folder)
    vlm.save_pretrained(folder / "vlm")
    if head:
        replace(ModelConfig.load(folder), seg_head=seg_head_config()).save(folder)
        torch.manual_seed(2)
        save_file(SegHead(seg_head_config()).state_dict(), folder / "seg_head.safetensors")
