"""Where the parts of the language model live: on one device, over several GPUs, in main memory, or in their files.

accelerate lays the layers out (``infer_auto_device_map``) and moves what flows between them; ``plan`` decides how
precise they are and tells it. What has no room on the GPUs stays in main memory, then in the checkpoint's own files,
and is copied to the first GPU each time it is used. transformers quantises only what stays on a GPU, so offloaded
layers keep the precision of the arithmetic, and without a GPU nothing is quantised once a part is left in the files.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import nn

from ..errors import WeightsError
from .devices import language_precision
from .quantization import (
    BYTES,
    HEADROOM,
    Mode,
    Precision,
    choose,
    footprint,
    free_memory,
    gigabytes,
    mode_label,
    modes_of,
    quantizable,
)

Place = int | Literal["cpu", "disk"]
DeviceMap = Mapping[str, Place]


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

    def offloaded(self, name: str) -> bool:
        """True for what is copied to ``main`` each time it is used."""
        place = self.place(name)
        return place == "disk" or (place == "cpu" and self.main.type == "cuda")

    def for_transformers(self) -> dict[str, Place | str]:
        """The map, in which ``"cpu"`` is Apple's GPU where that one computes."""
        here = str(self.main) if self.main.type == "mps" else "cpu"
        return {name: here if place == "cpu" else place for name, place in self.device_map.items()}


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
    modes = modes_of(device, wanted)
    if isinstance(device_map, str):
        sizes = {m: footprint(m, single.dtype, linear, other) for m in modes}
        if max_memory is None and (not gpus or (len(gpus) == 1 and sizes[single.mode] <= room[first])):
            return undivided(single, device)
        found = _automatic(model, modes, single.dtype, room, device)
    else:
        found = _given(model, modes, single.dtype, room, device, device_map)
    reason = _reason(model, found, room, wanted) + (f"; {why}" if (why := language_precision(device)[1]) else "")
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
    if not gpus:
        mode = "none"  # see the module's words
        precision = Precision(mode, dtype, "")
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
    if device.type != "cuda" and "disk" in device_map.values():
        modes = ("none",)
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
    said = f"{mode_label(mode, name)}{' as asked' if wanted == mode else ''}: "
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
