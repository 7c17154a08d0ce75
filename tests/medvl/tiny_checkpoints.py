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
    from medvl.networks.projector import MixerProjector, ProjectorConfig
    from medvl.networks.vision_encoder import DCFormer, token_counts

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
    """The [SEG] head's shape for ``vision_language_model``."""
    from medvl.networks.seg_head import SegTokenConfig

    return SegTokenConfig(hidden_dim=64, channels=(32, 64, 128, 256), voxel_dim=16)


def vision_language_model():
    """A random vision-language model that sees 32x64x64 voxels and the whole conversation."""
    from medvl.networks.language_model import LanguageModel
    from medvl.networks.projector import MixerProjector, ProjectorConfig
    from medvl.networks.vision_encoder import SIZES, DCFormer
    from medvl.networks.vlm import VisionLanguageModel
    from medvl.networks.vlm_config import VLMConfig
    from medvl.weights.quantization import Precision

    model = language_model(max_position_embeddings=2048)
    torch.manual_seed(1)
    shape = ProjectorConfig((4, 128), (1, 256), (6, 4), (3, 2), 64)
    config = VLMConfig(model.config.to_dict(), SIZES["nano"], shape, (32, 64, 64), "in_place", "chat")
    lm = LanguageModel(model, tokenizer(), Precision("none", torch.float32, "float32: small"))
    vlm = VisionLanguageModel(config, DCFormer(SIZES["nano"]), MixerProjector(shape), lm)
    for part in vlm.modules.values():
        part.eval().requires_grad_(False)
    return vlm


def write_model_folder(folder: Path, model, vlm=None, head=None) -> None:
    """A folder as ``MedVLSAM2.save_pretrained`` writes it.

    Args:
        folder: written into.
        model: ``medvl.load()``, whose own parts are taken.
        vlm: put beside them; a random one if not given.
        head: the [SEG] head; a random one if not given.
    """
    from dataclasses import replace

    from medvl.networks.config import ModelConfig
    from medvl.networks.seg_head import SegHead

    torch.manual_seed(2)
    head = head or SegHead(seg_head_config())
    model.save_pretrained(folder)
    (vlm or vision_language_model()).save_pretrained(folder / "vlm")
    config = ModelConfig.load(folder)
    segmenter = replace(config.segmenter, image_size=256)  # four times as fast as 512
    replace(config, segmenter=segmenter, seg_head=head.config).save(folder)
    save_file({n: t.contiguous() for n, t in head.state_dict().items()}, folder / "seg_head.safetensors")


def teach(vlm, tokens, conversations: list[list[tuple[str, str]]], steps: int = 150) -> None:
    """Teach the language model to give these answers, word for word, about one image.

    Args:
        vlm: changed in place; only the layers behind the embeddings learn.
        tokens: the image's visual tokens ``[T, C]``.
        conversations: questions with their answers, in order.
        steps: of the optimiser.
    """
    model, end = vlm.lm.model, vlm.lm.tokenizer.eos_token_id
    learned = [p for n, p in model.named_parameters() if "embed_tokens" not in n]
    examples = []
    for turns in conversations:
        for n, (question, answer) in enumerate(turns):
            prompt = vlm.prompt(tokens, question, turns[:n])
            ids = vlm.lm.encode(answer)
            embeds = torch.cat([prompt.embeds, vlm.lm.embed(ids)]).clone().detach()
            examples.append((embeds[None], torch.tensor([*ids, end])))
    for p in learned:
        p.requires_grad_(True)
    optimiser = torch.optim.Adam(learned, 3e-3)
    for _ in range(steps):
        loss = 0.0
        for embeds, wanted in examples:
            logits = model(inputs_embeds=embeds).logits[0, -len(wanted) :]
            loss = loss + torch.nn.functional.cross_entropy(logits, wanted)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    model.requires_grad_(False)


def teach_places(head, maps, states, targets, steps: int = 150) -> None:
    """Teach the [SEG] head where the objects of some states are.

    Args:
        head: changed in place.
        maps: of one image, each ``[C, D', H', W']``.
        states: ``[N, C]``.
        targets: ``[N, D', H', W']`` bool on the finest map.
        steps: of the optimiser.
    """
    optimiser = torch.optim.Adam(head.parameters(), 1e-2)
    for _ in range(steps):
        logits = head.coarse_logits(states, head.voxels([m[None] for m in maps])[0])
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, targets.float())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    head.eval().requires_grad_(False)
