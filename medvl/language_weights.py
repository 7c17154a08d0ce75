"""Weights into a causal language model of transformers, one tensor at a time, each straight to its place."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from .errors import WeightsError
from .placement import Placement, dispatch, offload_index
from .quantization import PackedWeights, prepare
from .safetensor_files import check_keys, names, tensors
from .stored_layout import StoredLayout


def empty_model(config: object) -> nn.Module:
    """A causal language model of a transformers config on the meta device: no memory is taken."""
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(config)


def fill(model: nn.Module, files: list[Path], placement: Placement, what: str, prefix: str = "") -> None:
    """Give a meta model its weights, one tensor at a time.

    Args:
        model: from ``empty_model``; its linear layers are replaced if it is to be quantised.
        files: safetensors.
        placement: see ``placement.plan``.
        what: named in errors.
        prefix: names in the files begin with it; others are passed over.

    Raises:
        WeightsError: names do not match.
    """
    prepare(model, placement.precision, placement.offloaded)
    expected = set(model.state_dict())
    optional = {"lm_head.weight"} if getattr(model.config, "tie_word_embeddings", False) else set()
    layout = StoredLayout(model, {n.removeprefix(prefix) for n in names(files) if n.startswith(prefix)})
    weights = PackedWeights(layout.names)
    check_keys(expected, weights.names, what, optional)
    places = {n: None if (there := layout.stored.get(n, n)) is None else prefix + there for n in expected}
    index = offload_index(placement, files, places)
    for name, value in tensors(files):
        if not name.startswith(prefix):
            continue
        for inner, tensor in layout.add(name.removeprefix(prefix), value):
            if inner not in index:
                weights.put(model, inner, tensor, placement.device(inner), placement.precision.dtype)
    finish(model, placement, index)


def finish(model: nn.Module, placement: Placement, index: dict[str, dict[str, str]]) -> None:
    """Tie the head if it is tied, compute the buffers that no file holds (rotary frequencies), freeze, dispatch.

    Args:
        model: filled.
        placement: of its parts.
        index: of what stays in the files, see ``placement.offload_index``.

    Raises:
        WeightsError: a tensor was not filled.
    """
    model.tie_weights()
    for name, buffer in list(model.named_buffers()):
        if buffer.is_meta:
            _rebuild_rotary(model, name, placement.device(name) or placement.main)
    left = [n for n, t in (*model.named_parameters(), *model.named_buffers()) if t.is_meta and n not in index]
    if left:
        raise WeightsError(f"The checkpoint left {len(left)} tensors of the language model empty: {left[:4]}.")
    model.eval().requires_grad_(False)
    dispatch(model, placement, index)


def _rebuild_rotary(model: nn.Module, name: str, device: torch.device) -> None:
    """Rotary embeddings compute their frequencies in the constructor: construct again, off the meta device."""
    path, _, leaf = name.rpartition(".")
    module = model.get_submodule(path)
    if leaf == "embed_scale" and hasattr(module, "scalar_embed_scale"):  # Gemma's: a number beside the weights
        module._buffers["embed_scale"] = torch.tensor(module.scalar_embed_scale, device=device)
        return
    buffer = module._buffers.get(leaf)
    if buffer is None or not buffer.is_meta:  # made together with another
        return
    config = getattr(module, "config", None)
    if config is not None and not any(True for _ in module.parameters()):  # what has weights has got them already
        parent, _, own = path.rpartition(".")
        setattr(model.get_submodule(parent), own, type(module)(config=config).to(device))
    elif not list(module.parameters(recurse=False)) and hasattr(model, "_init_weights"):
        # GPT-J's sines: transformers 5 fills such buffers where it would initialise weights
        module._buffers[leaf] = torch.empty_like(buffer, device=device)
        model._init_weights(module)
