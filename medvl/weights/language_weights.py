"""Weights into a causal language model: transformers' own loader, with the precision and the places that were planned.

It reads tensor by tensor, quantises on the way, leaves on disk what is to stay there, and knows how each family stores
its weights (fused experts, renamed heads).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError
from torch import nn

from ..errors import WeightsError
from .placement import Placement
from .quantization import bitsandbytes_config, stored_mode
from .tensor_files import checkpoint_files, names


def empty_model(config: object, auto: type | None = None) -> nn.Module:
    """A model of a transformers config on the meta device: no memory is taken.

    Args:
        config: of transformers.
        auto: its ``Auto...`` class; None for causal language models.
    """
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        return (auto or AutoModelForCausalLM).from_config(config)


def read_language_model(
    folder: Path,
    model: nn.Module,
    placement: Placement,
    what: str,
    foreign: Callable[[str], bool] = lambda name: False,
    auto: type | None = None,
    kept: Callable[[str], bool] = lambda name: False,
) -> nn.Module:
    """A causal language model with its weights, each in its place and precision.

    Args:
        folder: with safetensors.
        model: from ``empty_model``; it says what is expected and is not filled.
        placement: see ``placement.plan``.
        what: named in errors.
        foreign: true of names in the files that belong to other networks.
        auto: see ``empty_model``.
        kept: true of names of layers that are not quantised.

    Raises:
        WeightsError: files are missing, names or shapes do not match, or there is nothing to quantise.
    """
    from transformers import AutoModelForCausalLM

    if any(n.endswith(".absmax") and placement.place(n) == "disk" for n in names(checkpoint_files(folder))):
        raise WeightsError(f"Weights of {what} are stored in 4 bit and cannot stay on disk. Give them a device.")
    stored = stored_mode(model.config) is not None  # quantised already: its own settings count
    quantised = None if stored else bitsandbytes_config(model, placement.precision, placement.offloaded, kept)
    try:
        with _quiet():
            filled, told = (auto or AutoModelForCausalLM).from_pretrained(
                folder,
                config=model.config,
                dtype=placement.precision.dtype,
                device_map=placement.for_transformers(),
                quantization_config=quantised,
                output_loading_info=True,
                local_files_only=True,
                use_safetensors=True,
            )
    except (RuntimeError, ValueError, KeyError, ImportError, SafetensorError) as error:
        raise WeightsError(f"The weights do not fit {what}: {error}") from error
    strange = sorted(n for n in told["unexpected_keys"] if not foreign(n))
    missing = sorted(told["missing_keys"])
    if missing or strange:
        raise WeightsError(
            f"The weights do not fit {what}: {len(missing)} missing {missing[:4]}, {len(strange)} unexpected "
            f"{strange[:4]}. Use the config and the weights of one release together."
        )
    return filled.eval().requires_grad_(False)


@contextmanager
def _quiet() -> Iterator[None]:
    """What does not fit becomes an error of ours, and that offloaded weights are on the meta device is meant."""
    from transformers.utils import logging as progress

    loggers = [logging.getLogger(n) for n in ("transformers", "accelerate.big_modeling", "transformers.modeling_utils")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    bars = progress.is_progress_bar_enabled()
    progress.disable_progress_bar()
    try:
        yield
    finally:
        if bars:
            progress.enable_progress_bar()
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
