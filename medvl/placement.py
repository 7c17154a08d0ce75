"""Where the parts of the language model live: on one device, over several GPUs, in main memory, or in their files.

accelerate lays the layers out (``infer_auto_device_map``) and moves what flows between them (``dispatch_model``).
Weights are put on their final device as they are read; nothing is moved afterwards. What has no room on the GPUs stays
in main memory, then in the checkpoint's own files, and is copied to the first GPU each time it is used. bitsandbytes
quantises only what stays on the device that computes, so offloaded layers keep the precision of the arithmetic.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from .errors import WeightsError
from .quantization import (
    BYTES,
    HEADROOM,
    Mode,
    Precision,
    choose,
    footprint,
    free_memory,
    fused_weights,
    gigabytes,
    mode_label,
    quantizable,
)
from .safetensor_files import names

Place = int | Literal["cpu", "disk"]
DeviceMap = Mapping[str, Place]
PRECISE_FIRST: tuple[Mode, ...] = ("none", "8bit", "4bit")


@dataclass(frozen=True)
class Placement:
    """How and where the language model is held.

    Attributes:
        precision: of its weights, with the reason in words.
        device_map: place of each module by the beginning of its name: a GPU's number, ``"cpu"`` or ``"disk"``; ``""``
            stands for the whole model.
        main: device that holds the embeddings and computes what is offloaded; the vision parts are put there too.
    """

    precision: Precision
    device_map: DeviceMap
    main: torch.device

    def place(self, name: str) -> Place:
        """Place of a tensor or module.

        Raises:
            WeightsError: the map says nothing of it.
        """
        while name not in self.device_map:
            if not name:
                raise WeightsError("The device map does not cover the whole language model. Add '' for the rest.")
            name = name.rpartition(".")[0]
        return self.device_map[name]

    def device(self, name: str) -> torch.device | None:
        """Where a tensor is to be put as it is read; None if it stays in its file."""
        place = self.place(name)
        if place == "disk":
            return None
        if isinstance(place, int):
            return torch.device("cuda", place)
        return torch.device("cpu") if self.main.type == "cuda" else self.main

    def offloaded(self, name: str) -> bool:
        """True for what is copied to ``main`` each time it is used."""
        place = self.place(name)
        return place == "disk" or (place == "cpu" and self.main.type == "cuda")

    @property
    def divided(self) -> bool:
        """True if the model is in more than one place, or not in memory as a whole."""
        places = set(self.device_map.values())
        return len(places) > 1 or "disk" in places


def undivided(precision: Precision, device: torch.device) -> Placement:
    """Everything on one device; of another kind than a GPU there is one, and ``"cpu"`` means it."""
    place: Place = (device.index or 0) if device.type == "cuda" else "cpu"
    return Placement(precision, {"": place}, device)


def free_memories(device: torch.device) -> dict[Place, int]:
    """Free bytes of the devices that may hold layers, by place, main memory last.

    All GPUs count where ``device`` is ``"cuda"`` without a number, unless this is one of several processes: each of
    them has a GPU of its own.
    """
    memory: dict[Place, int] = {}
    if device.type == "cuda":
        shared = int(os.environ.get("WORLD_SIZE", "1")) > 1 or "LOCAL_RANK" in os.environ
        if device.index is not None or shared:
            numbers = [torch.cuda.current_device() if device.index is None else device.index]
        else:
            numbers = list(range(torch.cuda.device_count()))
        memory = {n: free_memory(torch.device("cuda", n)) for n in numbers}
    memory["cpu"] = free_memory(torch.device("cpu"))
    return memory


def plan(
    model: nn.Module,
    wanted: str,
    device: torch.device,
    device_map: str | DeviceMap = "auto",
    max_memory: Mapping[Place, int] | None = None,
    free: Mapping[Place, int] | None = None,
) -> Placement:
    """Settle precision and places of a language model.

    Args:
        model: on the meta device, not yet quantised.
        wanted: ``"4bit"``, ``"8bit"``, ``"none"``, or ``"auto"``: the most precise one that fits into the GPUs.
        device: ``"cpu"``, ``"cuda"`` (any GPU), or one GPU.
        device_map: ``"auto"``: as few GPUs as hold the model, then main memory beside them; ``"single"``: one device,
            whatever its size; or the place of each module by name.
        max_memory: most bytes of weights by place, instead of what is free. What has no room there stays in its files.
        free: free bytes by place; None asks the devices.

    Raises:
        WeightsError: ``wanted`` or ``device_map`` is none of these, or the map names no or unknown places.
    """
    found = _plan(model, wanted, device, device_map, max_memory, free)
    precision = found.precision
    if precision.mode != "none" and (experts := fused_weights(model)):
        size = gigabytes(experts * precision.dtype.itemsize)
        name = mode_label("none", str(precision.dtype).removeprefix("torch."))
        said = f"; its experts, {size}, are fused tensors that bitsandbytes does not quantise: they stay in {name}"
        found = replace(found, precision=replace(precision, reason=precision.reason + said))
    return found


def _plan(
    model: nn.Module,
    wanted: str,
    device: torch.device,
    device_map: str | DeviceMap,
    max_memory: Mapping[Place, int] | None,
    free: Mapping[Place, int] | None,
) -> Placement:
    """As ``plan``, whose reason does not yet speak of what is never quantised."""
    if isinstance(device_map, str) and device_map not in ("auto", "single"):
        raise WeightsError(
            f"No device map {device_map!r}. Choose 'auto' or 'single', or give the place of each module by name."
        )
    linear = sum(m.weight.numel() for m in quantizable(model).values())
    other = sum(p.numel() for p in model.parameters()) - linear
    free = dict(free_memories(device) if free is None else free)
    gpus = [p for p in free if isinstance(p, int)]
    if max_memory is not None and not (max_memory and set(max_memory) <= set(free)):
        raise WeightsError(f"max_memory takes bytes for {', '.join(map(str, free))}, not {dict(max_memory)}.")
    gpus = [p for p in gpus if max_memory is None or p in max_memory]
    first: Place = gpus[0] if gpus else "cpu"
    if gpus and device.index is None:
        device = torch.device("cuda", first)
    single = choose(wanted, device, linear, other, free[first])
    if device_map == "single":
        return undivided(single, device)
    room = {p: round(HEADROOM * n) for p, n in free.items()} if max_memory is None else dict(max_memory)
    modes = PRECISE_FIRST if wanted == "auto" else (single.mode,)
    if isinstance(device_map, str):
        sizes = {m: footprint(m, single.dtype, linear, other) for m in modes}
        if max_memory is None and (not gpus or (len(gpus) == 1 and sizes[single.mode] <= room[first])):
            return undivided(single, device)
        found = _automatic(model, modes, single.dtype, room, device)
    else:
        found = _given(model, modes, single.dtype, room, device, device_map)
    reason = _reason(model, found, room, wanted)
    return replace(found, precision=replace(found.precision, reason=reason))


def _automatic(
    model: nn.Module, modes: tuple[Mode, ...], dtype: torch.dtype, room: Mapping[Place, int], device: torch.device
) -> Placement:
    """The most precise mode that fits, on as few GPUs as hold it; else the last mode with the rest offloaded."""
    gpus = [p for p in room if isinstance(p, int)]
    fast: list[Place] = gpus or ["cpu"]
    for mode in modes:
        precision = Precision(mode, dtype, "")
        for place in fast:
            whole = undivided(precision, torch.device("cuda", place) if gpus else device)
            if shares(model, whole)[place] <= room[place]:
                return whole
        for count in range(2, len(fast) + 1):
            found = _lay_out(model, mode, dtype, {p: room[p] for p in fast[:count]})
            if "disk" not in found.values():
                return Placement(precision, found, device)
    some = {p: room[p] for p in fast}
    # Room to bring an offloaded layer back into. accelerate leaves it, but counts the layer as quantised.
    extra = _largest_layer(model, "none", dtype) - _largest_layer(model, mode, dtype)
    some[fast[0]] = max(0, some[fast[0]] - extra)
    found = Placement(precision, _lay_out(model, mode, dtype, some if not gpus else {**some, "cpu": 1 << 60}), device)
    left, places = room.get("cpu", 0) if gpus else 1 << 60, dict(found.device_map)
    for name, place in places.items():
        if place == "cpu":
            size = sum(p.numel() for p in model.get_submodule(name).parameters()) * dtype.itemsize
            if size > left:
                places[name] = "disk"
            else:
                left -= size
    return replace(found, device_map=places)


def _given(
    model: nn.Module,
    modes: tuple[Mode, ...],
    dtype: torch.dtype,
    room: Mapping[Place, int],
    device: torch.device,
    device_map: DeviceMap,
) -> Placement:
    """A map that somebody wrote, in the most precise mode whose shares fit; the last mode if none does."""
    unknown = {str(p) for p in device_map.values() if p not in ("cpu", "disk") and p not in room}
    if not device_map or unknown:
        raise WeightsError(
            f"The device map names {', '.join(sorted(unknown)) or 'nothing'}. Places are "
            f"{', '.join(map(str, room))} and 'disk'."
        )
    for mode in modes:
        found = Placement(Precision(mode, dtype, ""), dict(device_map), device)
        if all(size <= room.get(p, size) for p, size in shares(model, found).items()):
            break
    return found


def _lay_out(model: nn.Module, mode: Mode, dtype: torch.dtype, room: Mapping[Place, int]) -> DeviceMap:
    """The map of accelerate; what does not fit is on ``"disk"``."""
    from accelerate import infer_auto_device_map
    from accelerate.utils import CustomDtype

    packed = {"4bit": CustomDtype.INT4, "8bit": torch.int8}
    # It does not count the statistics of quantised weights.
    bare = {"4bit": 0.5, "8bit": 1.0}.get(mode, 1.0) / BYTES.get(mode, 1.0)
    special = {f"{n}.weight": packed[mode] for n in quantizable(model)} if mode in packed else None
    return dict(
        infer_auto_device_map(
            model,
            {place: int(size * bare) for place, size in room.items()},
            no_split_module_classes=_unsplit(model),
            dtype=dtype,
            special_dtypes=special,
        )
    )


def _unsplit(model: nn.Module) -> list[str]:
    """Classes of the decoder's layers: a residual connection must not cross devices."""
    return sorted(getattr(model, "_no_split_modules", None) or ())


def _largest_layer(model: nn.Module, mode: Mode, dtype: torch.dtype) -> int:
    """Bytes of the largest part that is brought back as a whole: a layer, the embeddings or the head."""
    kinds, placed = set(_unsplit(model)), undivided(Precision(mode, dtype, ""), torch.device("cpu"))
    ends = (model.get_input_embeddings(), model.get_output_embeddings())
    parts = [m for m in model.modules() if type(m).__name__ in kinds or m in ends]
    return max((sum(shares(part, placed).values()) for part in parts), default=0)


def shares(model: nn.Module, placement: Placement) -> dict[Place, int]:
    """Bytes of weights in each place."""
    packed = {f"{n}.weight" for n in quantizable(model) if n} if placement.precision.mode != "none" else set()
    plain = placement.precision.dtype.itemsize
    sizes: dict[Place, float] = {}
    for name, parameter in model.named_parameters():
        place = placement.place(name)
        each = BYTES[placement.precision.mode] if name in packed and not placement.offloaded(name) else plain
        sizes[place] = sizes.get(place, 0) + parameter.numel() * each
    return {place: round(size) for place, size in sizes.items()}


def _reason(model: nn.Module, placement: Placement, room: Mapping[Place, int], wanted: str) -> str:
    held, mode = shares(model, placement), placement.precision.mode
    name = str(placement.precision.dtype).removeprefix("torch.")
    said = f"{mode_label(mode, name)}{'' if wanted == 'auto' else ' as asked'}: "
    parts = []
    for place in sorted(held, key=lambda p: (isinstance(p, str), str(p))):
        size = gigabytes(held[place])
        if place == "disk":
            parts.append(f"{size} left in the checkpoint's files")
        elif place == "cpu" and placement.main.type == "cuda":
            parts.append(f"{size} in main memory")
        else:
            at = f"cuda:{place}" if isinstance(place, int) else "cpu"
            parts.append(f"{size} of {gigabytes(room[place])} that may be used on {at}" if place in room else size)
    said += ", ".join(parts)
    if any(placement.offloaded(n) for n, _ in model.named_parameters()):
        said += "; what is not on the device that computes is copied to it each time, which is slow, and not quantised"
    return said


def offload_index(
    placement: Placement, files: list[Path], stored: Mapping[str, str | None]
) -> dict[str, dict[str, str]]:
    """Where accelerate finds the tensors that stay on disk.

    Args:
        placement: of the model.
        files: safetensors.
        stored: name in the files of each tensor of the model; None where it is put together from several.

    Raises:
        WeightsError: such a tensor is stored in NF4, or in parts, and cannot be read in place.
    """
    if "disk" not in placement.device_map.values():
        return {}
    at = names(files)
    dtype = str(placement.precision.dtype).removeprefix("torch.")
    index = {}
    for name, there in stored.items():
        if placement.place(name) != "disk":
            continue
        if there is None:
            raise WeightsError(f"{name} is stored in parts, one an expert, and cannot stay on disk. Give it a device.")
        if f"{there}.absmax" in at:
            raise WeightsError(f"{name} is stored in 4 bit and cannot stay on disk. Give it a device.")
        if there in at:
            index[name] = {"safetensors_file": str(at[there]), "weight_name": there, "dtype": dtype}
    return index


def dispatch(model: nn.Module, placement: Placement, index: dict[str, dict[str, str]]) -> None:
    """Let accelerate move what flows between the places. The weights are where they belong already.

    Args:
        model: filled, with meta tensors where ``index`` says what they are.
        placement: of its modules.
        index: from ``offload_index``.
    """
    if not placement.divided:
        return
    import logging

    from accelerate import dispatch_model

    # It says that offloaded parameters are on the meta device, which is as it should be.
    logging.getLogger("accelerate.big_modeling").setLevel(logging.ERROR)
    main = placement.main
    dispatch_model(
        model,
        dict(placement.device_map),
        main_device="cpu" if main.type == "cpu" else main.index or 0,
        offload_index=index or None,
        skip_keys=getattr(model, "_skip_keys_device_placement", None),
    )
