"""Trains ``medvl.networks.refiner.Refiner`` on crops of the train split.

    python -m medvl.training.nano.refiner --cases CASES.json --output FOLDER [--minutes 60] [--maps FOLDER]

The localiser's map of every scan is made once (``--maps`` keeps it). It has seen these scans, so its map is better
there than it will be on a new one: each patch gets it shifted, bent, surer or less sure, with pieces and ends missing.
Labels are partial: a kind counts on the cases only whose labels of it are complete.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...ct.geometry import spacing_mm, to_canonical
from ...ct.volume import CTVolume
from ...ct.windows import BODY_HU
from ...errors import TrainingError
from ...networks.localiser import grid_size, locate, resample
from ...networks.networks import Networks, read_networks
from ...networks.refiner import OUTSIDE_HU, Refiner, RefinerConfig, coarse_of_kinds, crop_maps
from ...readers import read_ct
from ...structures.unlike_pieces import settle
from .localiser import _deformation
from .step import descend, write_network

logger = logging.getLogger(__name__)

# How often a patch is drawn round each kind. The head and neck has 50 cases with manual labels, the torso six of
# rougher ones.
KINDS: dict[str, float] = {
    "brainstem": 1.0, "spinal_cord": 1.5, "parotid": 1.2, "larynx": 1.0, "mandible": 0.9, "esophagus": 1.0,
    "stomach": 0.6, "gallbladder": 0.6, "pancreas": 0.6, "duodenum": 0.3,
}  # fmt: skip
TOTAL_CORD, CORD = 79, 255  # values of the spinal cord in ``labels_total``, and put into the labels beside it
RATE, BATCH, AVERAGE = 2e-3, 1, 0.997


@dataclass(eq=False)
class TrainingScan:
    """One scan.

    Attributes:
        id: case id.
        hu: float16 ``[D, H, W]`` on the refiner's grid.
        labels: uint8 ``[D, H, W]``: 1 + index of the kind, 0 elsewhere.
        coarse: uint8 ``[kinds, d, h, w]`` on the localiser's grid over the same extent; 255 stands for 1.
        known: bool ``[kinds]``: labelled everywhere, or truly absent.
        voxels: by index of the kind, of those that are there: int16 ``[N, 3]`` voxels.
    """

    id: str
    hu: Tensor
    labels: Tensor
    coarse: Tensor
    known: Tensor
    voxels: dict[int, Tensor]


def load_scan(folder: Path, entry: dict, config: RefinerConfig, coarse: np.ndarray) -> TrainingScan:
    """Read a case of ``cases.json``.

    Args:
        folder: that its paths start from.
        entry: of the case.
        config: grid and kinds.
        coarse: uint8 ``[kinds, d, h, w]``.
    """
    image = nib.load(folder / entry["ct"])
    hu, affine = to_canonical(np.asarray(image.dataobj).astype(np.float32), image.affine)
    size = grid_size(hu.shape, spacing_mm(affine), config.spacing_mm)

    def read(file: str) -> np.ndarray:
        label = nib.load(folder / file)
        return to_canonical(np.asarray(label.dataobj).astype(np.uint8), label.affine)[0]

    array, complete = read(entry["labels"]), set(entry["complete"])
    labels, best = torch.zeros(size, dtype=torch.uint8), torch.full(size, 0.5)
    known = torch.zeros(len(config.kinds), dtype=torch.bool)
    names = {name: int(value) for value, name in entry["label_names"].items()}
    if entry.get("labels_total"):
        array = np.where(read(entry["labels_total"]) == TOTAL_CORD, CORD, array)
        names["spinal_cord"] = CORD
        complete.add("spinal_cord")
    for n, kind in enumerate(config.kinds):
        own = [s for s in (kind, f"right_{kind}", f"left_{kind}") if s in names or s in complete]
        known[n] = bool(own) and complete.issuperset(own)
        values = [names[s] for s in own if s in names]
        if known[n] and values:
            share = resample(torch.from_numpy(np.isin(array, values).astype(np.float32)), size)
            wins = share > best
            labels[wins] = n + 1
            best[wins] = share[wins]
    voxels = {n: torch.nonzero(labels == n + 1).short() for n in range(len(config.kinds))}
    hu = resample(torch.from_numpy(np.ascontiguousarray(hu)), size).half()
    return TrainingScan(
        entry["id"], hu, labels, torch.from_numpy(coarse), known, {n: v for n, v in voxels.items() if len(v) > 20}
    )


def coarse_of(
    name: str, networks: Networks, make: Callable[[], CTVolume], kinds: tuple[str, ...], maps: Path | None
) -> np.ndarray:
    """The localiser's probabilities of the kinds on a scan, uint8, from ``maps`` where they are kept there."""
    file = maps / f"{name}.npz" if maps else None
    if file and file.exists():
        return np.load(file)["coarse"]
    ct = make()
    coarse = settle(locate(networks.localiser, ct, networks.device), ct)
    array = np.rint(coarse_of_kinds(coarse, kinds) * 255).astype(np.uint8)
    if file:
        maps.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(file, coarse=array)
    return array


class Crops:
    """Random, deformed crops of the scans, with a first stage that errs."""

    def __init__(self, scans: list[TrainingScan], config: RefinerConfig, seed: int) -> None:
        self.scans, self.config = scans, config
        self.rng = np.random.default_rng(seed)
        self.with_kind = {n: [s for s in scans if n in s.voxels] for n in range(len(config.kinds))}
        weights = np.array([KINDS.get(k, 1.0) * bool(self.with_kind[n]) for n, k in enumerate(config.kinds)])
        if not weights.any():
            raise TrainingError(
                "No case of the train split has a complete label of one of the kinds. Give another file."
            )
        self.weights = weights / weights.sum()

    def draw(self) -> dict[str, Tensor]:
        """``maps`` ``[3 + kinds, P, P, P]``, ``labels`` ``[P, P, P]`` (255: unknown), ``known`` ``[kinds]``."""
        rng, size = self.rng, self.config.patch
        kind = int(rng.choice(len(self.weights), p=self.weights))
        scan = self.with_kind[kind][int(rng.integers(len(self.with_kind[kind])))]
        shape = np.array(scan.hu.shape)
        spots = scan.voxels[kind]
        centre = spots[int(rng.integers(len(spots)))].numpy() + rng.uniform(-0.35, 0.35, 3) * size
        scale = rng.uniform(0.8, 1.25) * rng.uniform(0.92, 1.09, 3)
        theta = _deformation(rng, centre, shape, size, scale)
        if rng.random() < 0.5:  # the patient's right and left; no kind has a side
            theta[:, :, 2] = -theta[:, :, 2]  # of the crop's first axis, which PyTorch counts last
        grid = F.affine_grid(theta, (1, 1, size, size, size), align_corners=True)
        if rng.random() < 0.5:
            grid = grid + self._bend(0.03 * size, shape)
        part, inner = _round(grid, shape)
        hu = F.grid_sample(scan.hu[part].float()[None, None] - OUTSIDE_HU, inner, align_corners=True)[0, 0] + OUTSIDE_HU
        labels = F.grid_sample(scan.labels[part].float()[None, None], inner, mode="nearest", align_corners=True)
        labels = labels[0, 0].long()
        coarse = self._err(scan.coarse, grid, shape)
        hu = self._intensity(hu, labels)
        outside = (grid.abs() > 1).any(-1)[0]
        if rng.random() < 0.15:  # the end of a field of view
            axis, at = int(rng.integers(3)), int(rng.integers(2, size // 3))
            cut = [slice(None)] * 3
            cut[axis] = slice(0, at) if rng.random() < 0.5 else slice(size - at, size)
            outside[tuple(cut)] = True
            hu[tuple(cut)] = OUTSIDE_HU
            coarse[(slice(None), *cut)] = 0
        labels = torch.where(outside, torch.full_like(labels, 255), labels)
        return {"maps": crop_maps(hu[None], coarse[None])[0], "labels": labels, "known": scan.known}

    def _bend(self, voxels: float, shape: np.ndarray) -> Tensor:
        """A smooth displacement ``[1, P, P, P, 3]`` in grid units, of so many voxels SD at its knots."""
        knots = torch.from_numpy(self.rng.normal(0, voxels, (1, 3, 5, 5, 5)).astype(np.float32))
        knots = knots / torch.tensor(shape[::-1].copy(), dtype=torch.float32).view(1, 3, 1, 1, 1)
        size = (self.config.patch,) * 3
        return F.interpolate(knots, size, mode="trilinear", align_corners=True).permute(0, 2, 3, 4, 1)

    def _err(self, coarse: Tensor, grid: Tensor, shape: np.ndarray) -> Tensor:
        """The localiser's probabilities ``[kinds, P, P, P]`` as they might be on a scan that it has not seen."""
        rng, size, count = self.rng, self.config.patch, len(coarse)
        # Both grids cover one extent, by their voxels' outer edges; ``grid`` counts from centre to centre.
        edges = torch.from_numpy(((shape - 1) / shape)[::-1].astype(np.float32).copy())
        shift = rng.normal(0, 1.0, 3) * 2 / shape
        where = (
            grid + self._bend(0.025 * size, shape) + torch.from_numpy(shift[::-1].astype(np.float32).copy())
        ) * edges
        own = np.array(coarse.shape[1:])
        last = torch.from_numpy((own / (own - 1))[::-1].astype(np.float32).copy())  # from centre to centre again
        part, inner = _round(where * last, own)
        p = F.grid_sample(
            coarse[(slice(None), *part)].float()[None] / 255, inner, align_corners=True, padding_mode="border"
        )[0]
        p = p * (grid.abs() <= 1).all(-1)[0]
        knots = torch.from_numpy(rng.normal(0, 1.5, (1, count, 5, 5, 5)).astype(np.float32))
        noise = F.interpolate(knots, (size,) * 3, mode="trilinear", align_corners=True)[0]
        gain, offset = rng.uniform(0.5, 1.3, count), rng.normal(-0.3, 1.3, count)
        gain, offset = (torch.from_numpy(v.astype(np.float32))[:, None, None, None] for v in (gain, offset))
        # What it is certain not to see it is left with, else every voxel of the crop would be a little of everything.
        p = torch.sigmoid(torch.logit(p, 2e-3) * gain + offset + noise) * (p > 0.01)
        for n in range(count):
            chance = rng.random()
            if chance < 0.08:
                p[n] = 0
            elif chance < 0.25:  # an end is missed
                at = int(rng.integers(size // 4, 3 * size // 4))
                p[n, :, :, slice(at, None) if rng.random() < 0.5 else slice(0, at)] *= float(rng.random() < 0.3)
        return p

    def _intensity(self, hu: Tensor, labels: Tensor) -> Tensor:
        """Other scanners, doses, slice thicknesses and contrast phases."""
        rng = self.rng
        if rng.random() < 0.3:  # contrast medium in an organ or in the blood
            kind = int(rng.integers(len(self.config.kinds)))
            part = F.avg_pool3d((labels == kind + 1).float()[None, None], 3, 1, 1)[0, 0]
            hu = hu + rng.uniform(-30, 60) * part * (hu > -100)
        soft = hu > BODY_HU
        hu = torch.where(soft, (hu - 40) * rng.uniform(0.85, 1.2) + 40 + rng.normal(0, 10), hu)
        kind = rng.random()
        if kind < 0.25:  # thick slices
            pooled = F.avg_pool3d(hu[None, None], (1, 1, 2), (1, 1, 2))
            hu = F.interpolate(pooled, hu.shape, mode="trilinear", align_corners=False)[0, 0]
        elif kind < 0.35:
            hu = F.avg_pool3d(hu[None, None], 3, 1, 1, count_include_pad=False)[0, 0]
        if rng.random() < 0.5:
            hu = hu + torch.randn_like(hu) * abs(rng.normal(0, 25))
        return hu


def _round(grid: Tensor, shape: np.ndarray) -> tuple[tuple[slice, ...], Tensor]:
    """The part of a volume that a grid samples, and the grid in units of that part (corners aligned)."""
    points = grid[0].reshape(-1, 3).flip(-1)
    ends = [((v.numpy() + 1) / 2 * (shape - 1)) for v in (points.amin(0), points.amax(0))]
    lo = np.clip(np.floor(ends[0]), 0, shape - 2).astype(int)
    hi = np.clip(np.ceil(ends[1]) + 1, lo + 2, shape).astype(int)
    scale = (shape - 1) / (hi - lo - 1)
    # index = (g + 1) / 2 * (n - 1), and that less lo is (g' + 1) / 2 * (m - 1)
    offset = scale - 2 * lo / (hi - lo - 1) - 1
    scale, offset = (torch.from_numpy(v[::-1].astype(np.float32).copy()) for v in (scale, offset))
    return tuple(slice(a, b) for a, b in zip(lo, hi, strict=True)), grid * scale + offset


def loss_of(logits: Tensor, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Cross-entropy by a kind's own size, and soft Dice, of the kinds that are known.

    Args:
        logits: ``[B, kinds, ...]``.
        batch: ``labels`` ``[B, ...]``, ``known`` ``[B, kinds]``.

    Returns:
        The loss, and soft Dice by kind ``[B, kinds]`` (NaN where it does not count).
    """
    logits, labels, known = logits.float(), batch["labels"], batch["known"]
    kinds = torch.arange(1, logits.shape[1] + 1).view(1, -1, 1, 1, 1)
    target = (labels[:, None] == kinds).float()
    valid = (labels < 255).float()[:, None]
    axes = (2, 3, 4)
    size = target.sum(axes)
    entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none") * valid
    entropy = entropy.sum(axes) / (2 * size + 1000)
    p = logits.sigmoid() * valid
    dice = (2 * (p * target).sum(axes) + 10) / (p.sum(axes) + size + 10)
    counts = known & (size > 30)
    loss = entropy[known].mean() + ((1 - dice)[counts].mean() if counts.any() else 0.0)
    return loss, torch.where(counts, dice.detach(), torch.nan)


def train(
    cases_file: Path, output: Path, minutes: float, model: Path, maps: Path | None = None, resume: Path | None = None,
    seed: int = 0, steps: int | None = None, config: RefinerConfig | None = None, rate: float = RATE,
) -> list[float]:  # fmt: skip
    """Train with a cosine schedule and an average of the weights, which is saved every few minutes.

    Args:
        cases_file: ``cases.json``; its labelled ``train`` split without the sarcomas is used.
        output: folder of ``refiner.safetensors`` and ``refiner.json``.
        minutes: wall-clock budget.
        model: folder of the localiser.
        maps: folder in which its maps are kept.
        resume: weights to start from.
        seed: of weights and crops.
        steps: how many instead of ``minutes``.
        config: of the network; None for the bundled one's.
        rate: learning rate after the first 100 steps.

    Returns:
        The loss of every step.

    Raises:
        TrainingError: no case can be trained on.
    """
    torch.manual_seed(seed)
    config = config or RefinerConfig(tuple(KINDS))
    entries = [
        e for e in json.loads(cases_file.read_text())
        if e["split"] == "train" and "labels" in e and not e["id"].startswith("sarcoma")
    ]  # fmt: skip
    if not entries:
        raise TrainingError(f"The train split of {cases_file.name} has no labelled case. Give another file.")
    networks = read_networks(model, torch.device("cpu"))
    scans = []
    for entry in entries:
        coarse = coarse_of(
            entry["id"], networks, lambda e=entry: read_ct(cases_file.parent / e["ct"]), config.kinds, maps
        )
        scans.append(load_scan(cases_file.parent, entry, config, coarse))
    crops = Crops(scans, config, seed)
    net = Refiner(config).to(memory_format=torch.channels_last_3d)
    logger.info("%d scans, %.2f M parameters", len(scans), sum(p.numel() for p in net.parameters()) / 1e6)
    if resume:
        from safetensors.torch import load_file

        net.load_state_dict(load_file(resume))
    ema = torch.optim.swa_utils.AveragedModel(net, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(AVERAGE))
    optimiser = torch.optim.AdamW(net.parameters(), lr=rate, weight_decay=1e-2)
    begin, saved, step, losses, dices = time.monotonic(), time.monotonic(), 0, [], []
    while (share := step / steps if steps else (time.monotonic() - begin) / (60 * minutes)) < 1:
        samples = [crops.draw() for _ in range(BATCH)]
        batch = {key: torch.stack([s[key] for s in samples]) for key in samples[0]}
        for group in optimiser.param_groups:
            group["lr"] = rate * min((step + 1) / 100, 1) * (0.01 + 0.99 * 0.5 * (1 + np.cos(np.pi * share)))
        # Of maps that a kernel reaches across, oneDNN's bfloat16 gradients are wrong, see ``training.arithmetic``.
        with torch.autocast("cpu", torch.bfloat16, enabled=config.patch // 8 > 2):
            logits = net(batch["maps"].contiguous(memory_format=torch.channels_last_3d))
        loss, dice = loss_of(logits, batch)
        descend(loss, net, optimiser, 5.0, ema)
        step += 1
        losses.append(loss.item())
        dices.append(dice.numpy())
        if step % 100 == 0:
            recent = np.concatenate(dices[-200:])
            words = " ".join(
                f"{k}:{v[np.isfinite(v)].mean():.2f}"
                for k, v in zip(config.kinds, recent.T, strict=True)
                if np.isfinite(v).any()
            )
            pace = (time.monotonic() - begin) / step
            logger.info(
                "step %d (%.0f%%, %.2f s) loss %.3f | %s", step, 100 * share, pace, np.mean(losses[-100:]), words
            )
        if time.monotonic() - saved > 200:
            save(ema.module, output)
            saved = time.monotonic()
    save(ema.module, output)
    return losses


def save(net: Refiner, output: Path) -> None:
    """Write ``refiner.safetensors`` (float32) and its configuration."""
    write_network(net, output, "refiner")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=Path, required=True, help="cases.json; only its train split is used")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--steps", type=int, help="instead of minutes: the same seed gives the same weights")
    parser.add_argument("--model", type=Path, default=Path("assets/nano"), help="folder of the localiser")
    parser.add_argument("--maps", type=Path, help="folder in which the localiser's maps are kept")
    parser.add_argument("--resume", type=Path, help="weights to start from")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rate", type=float, default=RATE, help="learning rate after the first 100 steps")
    o = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    train(o.cases, o.output, o.minutes, o.model, o.maps, o.resume, o.seed, o.steps, rate=o.rate)


if __name__ == "__main__":
    main()
