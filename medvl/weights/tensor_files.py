"""Reading a checkpoint tensor by tensor, so that loading needs little more memory than the model itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from ..errors import WeightsError

MAPPED_BYTES = 32 * 2**20


def checkpoint_files(folder: Path, stem: str = "model") -> list[Path]:
    """``stem.safetensors``, or the shards that its index names.

    Raises:
        WeightsError: there is neither, or a shard is missing.
    """
    index = folder / f"{stem}.safetensors.index.json"
    if index.is_file():
        files = [folder / n for n in sorted(set(json.loads(index.read_text())["weight_map"].values()))]
    else:
        files = [folder / f"{stem}.safetensors"]
    missing = [f.name for f in files if not f.is_file()]
    if missing:
        raise WeightsError(
            f"The model folder {folder.name!r} lacks {', '.join(missing)}. Download it again: what is there is kept."
        )
    return files


def _open(file: Path) -> safe_open:
    try:
        return safe_open(file, framework="pt")
    except (SafetensorError, OSError):
        raise WeightsError(
            f"The weights file {file.name} is damaged or cut short. Download or copy it again."
        ) from None


def names(files: list[Path]) -> dict[str, Path]:
    """The file of each tensor, by name."""
    found: dict[str, Path] = {}
    for file in files:
        with _open(file) as handle:
            found |= dict.fromkeys(handle.keys(), file)
    return found


def tensors(files: list[Path], prefixes: tuple[str, ...] = ("",)) -> Iterator[tuple[str, Tensor]]:
    """(name, tensor) of each tensor of the files whose name begins so, one at a time."""
    for file in files:
        with _open(file) as handle:
            left = [name for name in handle.keys() if name.startswith(prefixes)]  # noqa: SIM118
        while left:
            # Opened anew now and then: pages of the file that were read count as this process's memory until it closes.
            with _open(file) as handle:
                mapped = 0
                while left and mapped < MAPPED_BYTES:
                    value = handle.get_tensor(name := left.pop(0))
                    mapped += value.nbytes
                    yield name, value
                    del value


def put(model: nn.Module, name: str, value: Tensor, device: torch.device, dtype: torch.dtype) -> None:
    """Fill one parameter or buffer of a meta model on its final device.

    Args:
        model: on the meta device.
        name: dotted name.
        value: on the CPU; it is not kept.
        device: where the tensor is to live.
        dtype: for floating-point values.
    """
    path, _, leaf = name.rpartition(".")
    module = model.get_submodule(path)
    # copy: a tensor of a memory-mapped file would keep the whole file mapped
    tensor = value.to(device=device, dtype=dtype if value.is_floating_point() else value.dtype, copy=True)
    if leaf in module._parameters:
        old = module._parameters[leaf]
        module._parameters[leaf] = nn.Parameter(tensor, requires_grad=old.requires_grad)
    else:
        module._buffers[leaf] = tensor


def check_keys(expected: set[str], found: set[str], what: str, optional: set[str] = frozenset()) -> None:
    """Compare the names that a model needs with those of a checkpoint.

    Raises:
        WeightsError: some are missing (outside ``optional``) or unexpected; the message names the first of them.
    """
    missing, unexpected = sorted(expected - found - optional), sorted(found - expected)
    if missing or unexpected:
        raise WeightsError(
            f"The weights do not fit {what}: {len(missing)} missing {missing[:4]}, {len(unexpected)} unexpected "
            f"{unexpected[:4]}. Use the config and the weights of one release together."
        )


def read_pt(file: Path) -> dict[str, Tensor]:
    """Tensors of a ``.pt`` file of SAM 2, as published or as a training left it; no code in it is run.

    Meta's files are ``{"model": ...}``; what trainings write has an optimiser beside it, another word for it, or the
    tensors alone, and ``module.`` before the names where several GPUs trained.

    Raises:
        WeightsError: it is damaged, has another layout, or holds more than tensors and plain values.
    """
    try:
        try:
            state = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
        except RuntimeError:  # written in the format before torch 1.6, which cannot be mapped
            state = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, UnpicklingError) as error:
        raise WeightsError(
            f"The weights file {file.name} is damaged or cut short, or holds objects that would run code, which are "
            "not loaded. Download or copy it again; of a training save the model's state_dict alone."
        ) from error
    inner = [state[k] for k in ("model", "state_dict", "model_state_dict") if isinstance(state, dict) and k in state]
    state = inner[0] if inner else state
    if not isinstance(state, dict) or not state or not all(isinstance(v, Tensor) for v in state.values()):
        raise WeightsError(f"{file.name} is not laid out as a SAM 2 checkpoint (no 'model' of tensors in it).")
    return {name.removeprefix("module."): value for name, value in state.items()}


def pt_tensors(file: Path) -> Iterator[tuple[str, Tensor]]:
    """(name, tensor) of each tensor of ``read_pt``, one at a time; valid until the next is asked for."""
    left = list(read_pt(file))
    while left:
        # Opened anew now and then: pages of the file that were read count as this process's memory until it closes.
        state, mapped = read_pt(file), 0
        while left and mapped < MAPPED_BYTES:
            value = state.pop(name := left.pop(0))
            mapped += value.nbytes
            yield name, value
            del value
        del state
