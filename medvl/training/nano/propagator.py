"""Trains ``medvl.networks.propagator.SlicePropagator`` on labelled CTs of a ``cases.json``.

    python -m medvl.training.nano.propagator --cases CASES.json --output FOLDER [--minutes 40 | --steps N]

One sample is a window of a few consecutive slices round one labelled object, in any of the three planes. The network
starts from a damaged reference mask and rolls forward on its own predictions, so that it learns to correct drift and
to end where the object ends; on some steps a click is put into the largest error and the same slice is asked again.
Only which object is wanted comes from the label: no class name enters, so any flip or rotation is allowed.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

from ...ct.geometry import spacing_mm, to_canonical
from ...errors import TrainingError
from ...networks.propagator import SlicePropagator, click_map, make_inputs
from .step import descend, write_weights

logger = logging.getLogger(__name__)
STEPS = 4  # slices predicted in one rollout
REGION_WEIGHT = {"sarcoma": 0.10, "openkbp": 0.15}


class Objects:
    """All labelled objects of the training cases, drawn at random as slice windows."""

    def __init__(self, cases_file: Path, split: str, hold_out: set[str], seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.items: list[tuple[list[np.ndarray], list[np.ndarray], tuple, list]] = []
        weights = []
        cases = [c for c in json.loads(cases_file.read_text()) if c["split"] == split and c["id"] not in hold_out]
        torso = sum(c["id"].split("_")[0] not in REGION_WEIGHT for c in cases)
        for case in cases:
            family = case["id"].split("_")[0]
            share = REGION_WEIGHT.get(family, 1 - sum(REGION_WEIGHT.values()))
            count = torso if family not in REGION_WEIGHT else sum(c["id"].startswith(family) for c in cases)
            image = nib.load(cases_file.parent / case["ct"])
            hu, affine = to_canonical(np.asarray(image.dataobj).astype(np.int16), image.affine)
            files = [case[key] for key in ("labels", "labels_total") if case.get(key)]
            for name in files:
                label = nib.load(cases_file.parent / name)
                labels, _ = to_canonical(np.asarray(label.dataobj).astype(np.uint8), label.affine)
                objects = [
                    (value, box)
                    for value, box in enumerate(ndimage.find_objects(labels), start=1)
                    if box is not None and (labels[box] == value).sum() > 60
                ]
                if objects:
                    # one copy with each axis first: drawing a slice is then a read of one run of memory
                    by_axis = [np.ascontiguousarray(np.moveaxis(hu, a, 0)) for a in range(3)]
                    labels_by_axis = [np.ascontiguousarray(np.moveaxis(labels, a, 0)) for a in range(3)]
                    self.items.append((by_axis, labels_by_axis, spacing_mm(affine), objects))
                    weights.append(share / count / len(files))
        if not self.items:
            raise TrainingError(f"The {split} split of {cases_file.name} has no labelled object. Give another file.")
        self.weights = np.array(weights) / np.sum(weights)
        logger.info("%d label maps, %d objects", len(self.items), sum(len(item[3]) for item in self.items))

    def draw(self, canvas: int) -> dict[str, Tensor] | None:
        """One window: HU ``[STEPS + 2, canvas, canvas]``, mask likewise, gap and pixel in mm; None if nothing fits."""
        rng = self.rng
        hu, labels, spacing, objects = self.items[rng.choice(len(self.items), p=self.weights)]
        value, box = objects[rng.integers(len(objects))]
        axis = int(rng.choice(3, p=(0.15, 0.15, 0.7)))
        low, high = box[axis].start, box[axis].stop
        stride = int(rng.choice((1, 2), p=(0.85, 0.15))) if spacing[axis] < 3 else 1
        step = stride * (1 if rng.random() < 0.5 else -1)
        # starts are drawn towards the ends, where stopping and thinning have to be learned
        if rng.random() < 0.45:
            edge = high - 1 if step > 0 else low
            start = edge - int(np.sign(step)) * int(rng.integers(0, 4 * stride))
        else:
            start = int(rng.integers(low, high))
        start = int(np.clip(start, low, high - 1))
        index = start + step * np.arange(STEPS + 2)
        index = index[(index >= 0) & (index < len(hu[axis]))]
        if len(index) < 2:
            return None
        index = np.concatenate((index, np.repeat(index[-1], STEPS + 2 - len(index))))
        stack = hu[axis][index].astype(np.float32)
        mask = (labels[axis][index] == value).astype(np.float32)
        if mask[0].sum() < 4:
            return None
        rows, cols = np.nonzero(mask[0])
        plane = [s for a, s in enumerate(spacing) if a != axis]
        side = max((np.ptp(rows) + 1) * plane[0], (np.ptp(cols) + 1) * plane[1])
        side = side * rng.uniform(1.2, 1.9) + 2 * rng.uniform(6, 14)
        pixel = side / canvas
        # affine grid in normalised coordinates: window -> slice, with rotation, flip and shift
        angle = np.deg2rad(rng.uniform(-20, 20)) + rng.integers(4) * np.pi / 2
        rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        if rng.random() < 0.5:
            rotation[:, 0] *= -1
        centre = np.array([(rows.min() + rows.max()) / 2 * plane[0], (cols.min() + cols.max()) / 2 * plane[1]])
        centre += rng.uniform(-0.08, 0.08, 2) * side
        height, width = stack.shape[1:]
        scale = 2 / np.array([(height - 1) * plane[0], (width - 1) * plane[1]])
        matrix = scale[:, None] * rotation * side / 2  # (row, col) order
        shift = centre * scale - 1
        theta = torch.tensor(np.column_stack((matrix[::-1, ::-1], shift[::-1])), dtype=torch.float32)[None]
        grid = F.affine_grid(theta, (1, 1, canvas, canvas), align_corners=True)
        volume = torch.from_numpy(np.stack((stack + 1024, mask), axis=1).reshape(1, -1, height, width))
        window = F.grid_sample(volume, grid, align_corners=True)[0].reshape(STEPS + 2, 2, canvas, canvas)
        values = window[:, 0] - 1024
        values = (values - values.mean()) * rng.uniform(0.85, 1.15) + values.mean() + rng.normal(0, 15)
        values = values + torch.randn_like(values) * abs(rng.normal(0, 12))
        gap = spacing[axis] * stride
        return {
            "hu": values,
            "mask": (window[:, 1] > 0.5).float(),
            "gap": torch.tensor(gap),
            "pixel": torch.tensor(pixel),
        }


def damage(mask: Tensor, rng: np.random.Generator) -> Tensor:
    """A reference mask as a segmenter would draw it: shifted, swollen or shrunk, with bites and bumps. ``[H, W]``."""
    array = mask.numpy() > 0.5
    if rng.random() < 0.15:
        return mask
    distance = ndimage.distance_transform_edt(array) - ndimage.distance_transform_edt(~array)
    coarse = rng.normal(0, 1, (6, 6))
    noise = ndimage.zoom(coarse, np.array(array.shape) / 6, order=3)
    size = max(np.sqrt(array.sum()), 1)
    damaged = distance + noise * min(abs(rng.normal(0, 0.05)) * size, 5) + rng.normal(0, 0.02) * size > 0
    return torch.from_numpy((damaged if damaged.any() else array).astype(np.float32))


def largest_error(probability: Tensor, target: Tensor) -> tuple[tuple[int, int], bool] | None:
    """Centre (row, column) of the largest wrong region and whether it is missing (True) or too much."""
    predicted, wanted = probability.numpy() > 0.5, target.numpy() > 0.5
    best = None
    for wrong, positive in ((wanted & ~predicted, True), (predicted & ~wanted, False)):
        labels, count = ndimage.label(wrong)
        if count:
            sizes = np.bincount(labels.ravel())[1:]
            if best is None or sizes.max() > best[0]:
                depth = ndimage.distance_transform_edt(np.pad(labels == sizes.argmax() + 1, 1))[1:-1, 1:-1]
                best = (sizes.max(), np.unravel_index(depth.argmax(), depth.shape), positive)
    return (best[1], best[2]) if best and best[0] > 5 else None


def loss_of(logits: Tensor, target: Tensor) -> Tensor:
    """Binary cross-entropy plus soft Dice; an empty target counts through cross-entropy and a smoothed Dice."""
    bce = F.binary_cross_entropy_with_logits(logits, target)
    p = logits.sigmoid()
    overlap = 2 * (p * target).sum((1, 2)) + 10
    dice = 1 - overlap / (p.sum((1, 2)) + target.sum((1, 2)) + 10)
    return 2 * bce + dice.mean()


def rollout(model: SlicePropagator, batch: dict[str, Tensor], rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Roll over a window; returns the loss and the mean Dice of non-empty slices."""
    hu, mask = batch["hu"], batch["mask"]  # [B, STEPS + 2, H, W]
    count = hu.shape[0]
    previous = torch.stack([damage(m, rng) for m in mask[:, 0]])
    inside = previous > 0.5
    weights = inside.float()
    mean = (hu[:, 0] * weights).sum((1, 2)) / weights.sum((1, 2)).clamp(min=1)
    sd = (((hu[:, 0] - mean[:, None, None]) ** 2 * weights).sum((1, 2)) / weights.sum((1, 2)).clamp(min=1)).sqrt()
    statistics = torch.stack((mean, sd * 0.9), 1)
    losses, dices = [], []
    for step in range(1, STEPS + 1):
        source = step - 1
        maps = make_inputs(
            previous, hu[:, source], hu[:, step], hu[:, step + 1], statistics, batch["gap"], batch["pixel"]
        )
        logits = model(maps.contiguous(memory_format=torch.channels_last))
        target = mask[:, step]
        losses.append(loss_of(logits, target))
        if rng.random() < 0.2:
            with torch.no_grad():
                probability = logits.sigmoid()
            positive, negative = torch.zeros_like(target), torch.zeros_like(target)
            for b in range(count):
                error = largest_error(probability[b], target[b])
                if error:
                    heat = click_map([error[0]], target.shape[1:])
                    (positive if error[1] else negative)[b] = heat
            again = make_inputs(
                probability, hu[:, step], hu[:, step], hu[:, step + 1], statistics,
                torch.zeros_like(batch["gap"]), batch["pixel"], positive, negative,
            )  # fmt: skip
            logits = model(again.contiguous(memory_format=torch.channels_last))
            losses.append(loss_of(logits, target))
        with torch.no_grad():
            hard = (logits > 0).float()
            size = hard.sum((1, 2)) + target.sum((1, 2))
            dices.append((2 * (hard * target).sum((1, 2)) / size.clamp(min=1))[target.sum((1, 2)) > 0])
        previous = logits.sigmoid().detach()
        alive = (previous > 0.5).sum((1, 2)) > 3  # a finished object starts again from the reference
        previous = torch.where(alive[:, None, None], previous, target)
    return torch.stack(losses).mean(), torch.cat(dices).mean()


def train(
    cases: Path, output: Path, minutes: float, hold_out: set[str], batch_size: int = 16, steps: int | None = None
) -> list[float]:
    """Train with a cosine schedule after a warm-up, keep an average of the weights, save safetensors.

    Args:
        cases: ``cases.json``; its ``train`` split is used.
        output: folder of ``propagator.safetensors``.
        minutes: wall-clock budget.
        hold_out: ids of cases that are never trained on.
        batch_size: windows a step.
        steps: how many instead of ``minutes``; they then give the same weights every time.

    Returns:
        The loss of every step.

    Raises:
        TrainingError: no case holds a labelled object.
    """
    torch.manual_seed(0)
    data = Objects(cases, "train", hold_out)
    model = SlicePropagator().to(memory_format=torch.channels_last)
    average = torch.optim.swa_utils.AveragedModel(model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.995))
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-2)
    begin, step, shown = time.monotonic(), 0, []
    output.mkdir(parents=True, exist_ok=True)
    while (share := step / steps if steps else (time.monotonic() - begin) / (60 * minutes)) < 1:
        canvas = int(data.rng.choice((96, 128), p=(0.8, 0.2)))
        samples: list[dict[str, Tensor]] = []
        while len(samples) < batch_size:
            if sample := data.draw(canvas):
                samples.append(sample)
        batch = {key: torch.stack([s[key] for s in samples]).float() for key in samples[0]}
        for group in optimiser.param_groups:
            group["lr"] = 2e-3 * min(step / 100, 1) * 0.5 * (1 + np.cos(np.pi * share))
        loss, dice = rollout(model, batch, data.rng)
        descend(loss, model, optimiser, 1.0, average)
        step += 1
        shown.append((loss.item(), dice.item()))
        if step % 25 == 0:
            mean_loss, mean_dice = np.nanmean(shown[-25:], axis=0)
            logger.info("step %d (%.0f%%) loss %.3f dice %.3f", step, 100 * share, mean_loss, mean_dice)
        if step % 200 == 0:
            write_weights(average.module, output / "propagator.safetensors")
    write_weights(average.module, output / "propagator.safetensors")
    return [loss for loss, _ in shown]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=Path, required=True, help="cases.json; only its train split is used")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=40)
    parser.add_argument("--steps", type=int, help="instead of minutes: gives the same weights every time")
    parser.add_argument("--hold-out", nargs="*", default=["ts_abdomen"], help="case ids never trained on")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    train(options.cases, options.output, options.minutes, set(options.hold_out), steps=options.steps)


if __name__ == "__main__":
    main()
