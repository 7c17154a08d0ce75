"""Tiny random image-text-to-text checkpoints, made by transformers' own classes and saved in their published layout."""

from __future__ import annotations

from pathlib import Path

import torch

from .tiny_checkpoints import WORDS

TEXT = {
    "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 16, "max_position_embeddings": 8192, "initializer_range": 0.5,
    "bos_token_id": None, "eos_token_id": None, "pad_token_id": None, "tie_word_embeddings": False,
}  # fmt: skip
SPECIALS = {
    "gemma3": ["<start_of_turn>", "<end_of_turn>", "<start_of_image>", "<end_of_image>", "<image_soft_token>"],
    "qwen2_5_vl": ["<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>",
                   "<|video_pad|>"],
    "internvl": ["<|im_start|>", "<|im_end|>", "<img>", "</img>", "<IMG_CONTEXT>", "<video>"],
}  # fmt: skip
SPECIALS["qwen3_vl"] = SPECIALS["qwen2_5_vl"]
IMAGE = {
    "gemma3": "<start_of_image>",
    "qwen2_5_vl": "<|vision_start|><|image_pad|><|vision_end|>",
    "qwen3_vl": "<|vision_start|><|image_pad|><|vision_end|>",
    "internvl": "<IMG_CONTEXT>\n",
}
KINDS = tuple(IMAGE)


def tokenizer(kind: str):
    """A word-level tokenizer with the special tokens of a family and a chat template that takes pictures."""
    from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {w: i for i, w in enumerate(["<unk>", "<pad>", "<eos>", *SPECIALS[kind], "user", "assistant", *WORDS])}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split("\n", "isolated"), pre_tokenizers.Split(" ", "removed")]
    )
    named = {
        "gemma3": {"boi_token": "<start_of_image>", "eoi_token": "<end_of_image>", "image_token": "<image_soft_token>"},
        "internvl": {
            "start_image_token": "<img>", "end_image_token": "</img>", "context_image_token": "<IMG_CONTEXT>",
            "video_token": "<video>",
        },
    }.get(kind, {"image_token": "<|image_pad|>", "video_token": "<|video_pad|>",
                 "vision_start_token": "<|vision_start|>", "vision_end_token": "<|vision_end|>"})  # fmt: skip
    outer = PreTrainedTokenizerFast(
        tokenizer_object=inner,
        unk_token="<unk>",
        pad_token="<pad>",
        eos_token="<eos>",
        additional_special_tokens=[AddedToken(t, special=True, normalized=False) for t in SPECIALS[kind]],
        extra_special_tokens=named,
    )
    start, end = SPECIALS[kind][:2]
    outer.chat_template = (
        "{% for m in messages %}" + start + "{{ m.role }}\n{% for c in m.content %}"
        "{% if c.type == 'image' %}" + IMAGE[kind] + "{% else %}{{ c.text }}{% endif %}{% endfor %}" + end + "\n"
        "{% endfor %}{% if add_generation_prompt %}" + start + "assistant\n{% endif %}"
    )
    return outer


def write(folder: Path, kind: str):
    """A folder as it is published; returns the model."""
    torch.manual_seed(0)
    words = tokenizer(kind)
    model, processor = {"gemma3": _gemma3, "internvl": _internvl}.get(kind, _qwen)(words, kind)
    model = model.eval()
    model.generation_config.eos_token_id = words.eos_token_id
    model.save_pretrained(folder)
    processor.chat_template = words.chat_template
    processor.save_pretrained(folder)
    return model


def _gemma3(words, kind):
    from transformers import (
        Gemma3Config,
        Gemma3ForConditionalGeneration,
        Gemma3ImageProcessor,
        Gemma3Processor,
    )

    vision = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
              "image_size": 56, "patch_size": 14}  # fmt: skip
    config = Gemma3Config(
        text_config={**TEXT, "vocab_size": len(words), "sliding_window": 64},
        vision_config=vision,
        mm_tokens_per_image=4,
        boi_token_index=words.convert_tokens_to_ids("<start_of_image>"),
        eoi_token_index=words.convert_tokens_to_ids("<end_of_image>"),
        image_token_index=words.convert_tokens_to_ids("<image_soft_token>"),
    )
    pictures = Gemma3ImageProcessor(size={"height": 56, "width": 56})
    return Gemma3ForConditionalGeneration(config), Gemma3Processor(pictures, words, image_seq_length=4)


def _qwen(words, kind):
    import transformers

    new = kind == "qwen3_vl"
    rope = {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 10000.0}
    vision = {"depth": 2, "hidden_size": 64, "intermediate_size": 128, "num_heads": 4, "out_hidden_size": 64}
    vision |= (
        {"deepstack_visual_indexes": [0], "num_position_embeddings": 64} if new else {"fullatt_block_indexes": [1]}
    )
    name = "Qwen3VL" if new else "Qwen2_5_VL"
    tokens = {"image": "image_pad", "video": "video_pad", "vision_start": "vision_start", "vision_end": "vision_end"}
    ids = {f"{n}_token_id": words.convert_tokens_to_ids(f"<|{t}|>") for n, t in tokens.items()}
    config = getattr(transformers, f"{name}Config")(
        text_config={**TEXT, "vocab_size": len(words), "rope_parameters": rope}, vision_config=vision, **ids
    )
    patch = {"patch_size": 16 if new else 14}
    pixels = {"shortest_edge": 28 * 28, "longest_edge": 64 * 64}
    pictures = transformers.Qwen2VLImageProcessor(size=pixels, **patch)
    films = getattr(transformers, "Qwen3VLVideoProcessor" if new else "Qwen2VLVideoProcessor")()
    processor = getattr(transformers, f"{name}Processor")(pictures, words, films)
    return getattr(transformers, f"{name}ForConditionalGeneration")(config), processor


def _internvl(words, kind):
    from transformers import (
        GotOcr2ImageProcessor,
        InternVLConfig,
        InternVLForConditionalGeneration,
        InternVLProcessor,
        InternVLVideoProcessor,
    )

    vision = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
              "image_size": [28, 28], "patch_size": [7, 7]}  # fmt: skip
    config = InternVLConfig(
        text_config={"model_type": "qwen2", **TEXT, "vocab_size": len(words)},
        vision_config=vision,
        image_token_id=words.convert_tokens_to_ids("<IMG_CONTEXT>"),
        downsample_ratio=0.5,
    )
    pictures = GotOcr2ImageProcessor(size={"height": 28, "width": 28}, crop_to_patches=True)
    return (
        InternVLForConditionalGeneration(config),
        InternVLProcessor(pictures, words, InternVLVideoProcessor(), image_seq_length=4),
    )
