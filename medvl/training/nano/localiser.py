"""Trains ``medvl.networks.localiser.Localiser`` on partially labelled CTs of a ``cases.json``.

    python -m medvl.training.nano.localiser --cases CASES.json --output FOLDER [--minutes 90 | --steps N]

Labels are partial: a structure that a case does not label may be anywhere in its background. So a voxel's target is a
*set* of classes, and the loss is the cross-entropy of that set's summed probability (marginal loss, Shi et al., Medical
Image Analysis 2021), plus soft Dice over the structures that are complete in the case.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from scipy import ndimage
from torch import Tensor

from ...ct.geometry import spacing_mm, to_canonical
from ...ct.windows import BODY_HU
from ...errors import TrainingError
from ...networks.localiser import Localiser, LocaliserConfig, body_of, grid_size, make_maps, place_of, resample
from .bodies import infiltrated, leaner, plain
from .step import descend, write_network

logger = logging.getLogger(__name__)

TORSO = (
    "liver", "spleen", "right_kidney", "left_kidney", "stomach", "gallbladder", "pancreas", "aorta", "heart",
    "right_lung", "left_lung", "trachea", "esophagus", "urinary_bladder", "vertebral_column", "other_bone",
    "inferior_vena_cava", "duodenum",
)  # fmt: skip
HEAD_NECK = ("brainstem", "spinal_cord", "right_parotid", "left_parotid", "larynx", "mandible")
STRUCTURES = TORSO + HEAD_NECK
# Blood and organs that change with the contrast phase: HU added together, so that one scan stands for several phases.
PHASES = (
    (("aorta",), 0.6), (("heart",), 0.4), (("inferior_vena_cava",), 0.3), (("right_kidney", "left_kidney"), 0.5),
    (("liver",), 0.25), (("spleen",), 0.3), (("pancreas",), 0.2), (("urinary_bladder",), 0.2), (("gallbladder",), 0.1),
    (("stomach",), 0.2), (("duodenum",), 0.15),
)  # fmt: skip
HEAD_NECK_SHARE = 0.25  # of the patches; the head and neck has 50 cases, the torso 7
BONES = ("vertebral_column", "other_bone", "mandible")
UNKNOWN = 255  # in a label map: nothing is known of this voxel
LEAN = (0.3, 0.6)  # shares of fat that are left in the leaner bodies made of each torso
STRUCTURE_WEIGHT = 0.3  # of the mean cross-entropy by structure


@dataclass(eq=False)
class TrainingCase:
    """One case on the localiser's grid.

    Attributes:
        id: case id.
        hu: float16 ``[D, H, W]``.
        labels: uint8 class index, 0 where nothing is labelled, ``UNKNOWN`` where it may be anything.
        place: ``place_of`` the body, float16.
        allowed: bool ``[classes]``: what an unlabelled voxel may be: background, or a structure not complete here.
        complete: bool ``[classes]``: labelled everywhere, or truly absent.
        present: class indices that have voxels.
    """

    id: str
    hu: Tensor
    labels: Tensor
    place: Tensor
    allowed: Tensor
    complete: Tensor
    present: list[int]


def load_case(folder: Path, entry: dict, target_mm: float) -> TrainingCase:
    """Read a case of ``cases.json`` and bring it to the localiser's grid."""
    image = nib.load(folder / entry["ct"])
    hu, affine = to_canonical(np.asarray(image.dataobj).astype(np.float32), image.affine)
    spacing = spacing_mm(affine)
    size = grid_size(hu.shape, spacing, target_mm)
    coarse = resample(torch.from_numpy(np.ascontiguousarray(hu)), size)
    best = torch.zeros(size)
    labels = torch.zeros(size, dtype=torch.uint8)

    def add(file: str, names: dict[int, str]) -> None:
        label = nib.load(folder / file)
        array, _ = to_canonical(np.asarray(label.dataobj).astype(np.uint8), label.affine)
        for value, name in names.items():
            if name in STRUCTURES:
                share = resample(torch.from_numpy((array == value).astype(np.float32)), size)
                wins = (share > best) & (share >= 0.4)
                labels[wins] = 1 + STRUCTURES.index(name)
                best[wins] = share[wins]

        unknown = resample(torch.from_numpy((array == UNKNOWN).astype(np.float32)), size) > 0.3
        labels[unknown & (best < 0.6)] = UNKNOWN

    names = {int(v): n for v, n in entry["label_names"].items()}
    add(entry["labels"], names)
    complete = set(entry["complete"])
    if entry.get("labels_total"):
        add(entry["labels_total"], {79: "spinal_cord"})
        complete |= {"spinal_cord"}
    is_complete = torch.tensor([True, *(s in complete for s in STRUCTURES)])
    allowed = ~is_complete
    allowed[0] = True
    body = body_of(coarse.numpy())
    present = [int(v) for v in labels.unique() if 0 < v < UNKNOWN]
    place = torch.from_numpy(place_of(body, target_mm)).half()
    return TrainingCase(entry["id"], coarse.half(), labels, place, allowed, is_complete, present)


def leaner_case(case: TrainingCase, left: float, target_mm: float) -> TrainingCase:
    """The same body with that share of its fat."""
    hu = case.hu.float().numpy()
    source = leaner(hu, body_of(hu), left)
    moved = ndimage.map_coordinates(hu, source, order=1, mode="nearest")
    labels = ndimage.map_coordinates(case.labels.numpy(), source, order=0, mode="nearest")
    place = torch.from_numpy(place_of(body_of(moved), target_mm)).half()
    present = [int(v) for v in np.unique(labels) if 0 < v < UNKNOWN]
    return replace(
        case, hu=torch.from_numpy(moved).half(), labels=torch.from_numpy(labels), place=place, present=present
    )


class Patches:
    """Random, deformed patches of the training cases."""

    def __init__(self, cases: list[TrainingCase], patch: int, seed: int, head_neck_share: float) -> None:
        self.cases = cases
        self.patch = patch
        self.rng = np.random.default_rng(seed)
        neck = np.array([c.id.startswith("openkbp") for c in cases])
        weights = np.where(neck, head_neck_share / max(neck.sum(), 1), (1 - head_neck_share) / max((~neck).sum(), 1))
        self.weights = weights / weights.sum()
        self.voxels = [{v: torch.nonzero(c.labels == v).short() for v in c.present} for c in cases]

    def draw(self) -> dict[str, Tensor]:
        """One patch: maps ``[5, P, P, P]``, labels ``[P, P, P]``, the case's ``allowed`` and ``complete``."""
        rng, size = self.rng, self.patch
        n = int(rng.choice(len(self.cases), p=self.weights))
        case = self.cases[n]
        shape = np.array(case.hu.shape)
        if rng.random() < 0.8:
            spots = self.voxels[n][int(rng.choice(case.present))]
            centre = spots[int(rng.integers(len(spots)))].numpy() + rng.uniform(-0.35, 0.35, 3) * size
        else:
            centre = rng.uniform(0, 1, 3) * shape
        # A patch stays mostly inside the scan, as it will at inference; ``scale``: how much smaller a body is shown.
        scale = np.exp(rng.uniform(np.log(0.8), np.log(1.6))) * rng.uniform(0.92, 1.09, 3)
        low = np.minimum(0.42 * size * scale, shape / 2)
        centre = np.clip(centre, low, np.maximum(shape - low, low))
        theta = _deformation(rng, centre, shape, size, scale)
        grid = F.affine_grid(theta, (1, 1, size, size, size), align_corners=True)
        if rng.random() < 0.5:
            bend = torch.from_numpy(rng.normal(0, 0.035 * size, (1, 3, 5, 5, 5)).astype(np.float32))
            bend = bend / torch.tensor(shape[::-1].copy(), dtype=torch.float32).view(1, 3, 1, 1, 1)
            grid = grid + F.interpolate(bend, (size,) * 3, mode="trilinear", align_corners=True).permute(0, 2, 3, 4, 1)
        # At inference a scan that is shorter than a patch goes on as it ends.
        beyond = "border" if rng.random() < 0.5 else "zeros"
        hu = (
            F.grid_sample(case.hu.float()[None, None] + 1024, grid, align_corners=True, padding_mode=beyond)[0, 0]
            - 1024
        )
        labels = F.grid_sample(case.labels.float()[None, None], grid, mode="nearest", align_corners=True)[0, 0].long()
        place = F.grid_sample(case.place.float()[None], grid, align_corners=True, padding_mode="border")[0]
        # Places are millimetres of the body as it is shown, which is larger or smaller than it was.
        place = place / torch.tensor(scale[:2], dtype=torch.float32).view(2, 1, 1, 1)
        place = place + torch.from_numpy(rng.normal(0, 0.08, (2, 1, 1, 1)).astype(np.float32))
        hu = self._intensity(hu, labels)
        # Beyond the scan nothing is known.
        outside = (grid.abs() > 1).any(-1)[0]
        labels = torch.where(outside, torch.full_like(labels, UNKNOWN), labels)
        if rng.random() < 0.3:
            self._cut(hu, labels, beyond)
        maps = make_maps(hu[None], place[None])[0]
        return {"maps": maps, "labels": labels, "allowed": case.allowed, "complete": case.complete}

    def _cut(self, hu: Tensor, labels: Tensor, beyond: str) -> None:
        """End the scan within the patch, above or below, in place."""
        at = int(self.rng.integers(self.patch // 8, self.patch // 2))
        upper = self.rng.random() < 0.5
        gone = slice(self.patch - at, None) if upper else slice(None, at)
        last = self.patch - at - 1 if upper else at
        hu[..., gone] = hu[..., last : last + 1] if beyond == "border" else -1024.0
        labels[..., gone] = UNKNOWN

    def _intensity(self, hu: Tensor, labels: Tensor) -> Tensor:
        """Other scanners, doses, kernels, slice thicknesses and contrast phases."""
        rng = self.rng
        if rng.random() < 0.3:
            hu = plain(hu, labels, STRUCTURES, BONES, rng.uniform(0.05, 0.4))
        elif rng.random() < 0.5:
            blood = rng.uniform(-60, 300)
            for names, share in PHASES:
                strength = blood * share / 0.6 if rng.random() < 0.7 else rng.uniform(-30, 120)
                strength *= rng.uniform(0.5, 1.3)
                part = torch.zeros_like(hu)
                for name in names:
                    part += labels == 1 + STRUCTURES.index(name)
                if part.any() and rng.random() < 0.7:
                    soft = F.avg_pool3d(part[None, None], 3, 1, 1)[0, 0]
                    hu = hu + strength * soft * (hu > -100)  # not into gas
        if rng.random() < 0.3:
            amount = torch.from_numpy(rng.uniform(0, rng.uniform(0.2, 1.0), (1, 1, 4, 4, 4)).astype(np.float32))
            hu = infiltrated(hu, F.interpolate(amount, hu.shape, mode="trilinear", align_corners=True)[0, 0])
        tissue = hu > BODY_HU
        hu = torch.where(
            tissue, (hu - 40) * rng.uniform(0.85, 1.2) + 40 + rng.normal(0, 10), hu * rng.uniform(0.96, 1.04)
        )
        kind = rng.random()
        if kind < 0.25:  # thick slices
            factor = int(rng.integers(2, 4))
            pooled = F.avg_pool3d(hu[None, None], (1, 1, factor), (1, 1, factor), ceil_mode=True)
            hu = F.interpolate(pooled, hu.shape, mode="trilinear", align_corners=False)[0, 0]
        elif kind < 0.4:
            hu = F.avg_pool3d(hu[None, None], 3, 1, 1, count_include_pad=False)[0, 0]
        if rng.random() < 0.5:
            hu = hu + torch.randn_like(hu) * abs(rng.normal(0, 25))
        return hu


def _deformation(
    rng: np.random.Generator, centre: np.ndarray, shape: np.ndarray, size: int, scale: np.ndarray
) -> Tensor:
    """Affine grid parameters ``[1, 3, 4]``: rotation, that scale by axis and shear round ``centre``, no flips."""
    angles = np.deg2rad(rng.normal(0, 8, 3))
    (ca, cb, cc), (sa, sb, sc) = np.cos(angles), np.sin(angles)
    rotation = (
        np.array([[1, 0, 0], [0, ca, -sa], [0, sa, ca]])
        @ np.array([[cb, 0, sb], [0, 1, 0], [-sb, 0, cb]])
        @ np.array([[cc, -sc, 0], [sc, cc, 0], [0, 0, 1]])
    )
    matrix = rotation * scale  # patch voxel -> case voxel, (i, j, k)
    half = (shape - 1) / 2
    matrix = matrix * ((size - 1) / 2) / half[:, None]
    shift = centre / half - 1
    full = np.column_stack((matrix[::-1, ::-1], shift[::-1]))  # PyTorch counts x (last axis) first
    return torch.tensor(full[None].copy(), dtype=torch.float32)


def loss_of(logits: Tensor, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Marginal cross-entropy plus soft Dice of the complete structures.

    Args:
        logits: ``[B, K, ...]``.
        batch: ``labels`` ``[B, ...]`` (``UNKNOWN``: no target), ``allowed`` ``[B, K]``, ``complete`` ``[B, K]``.

    Returns:
        The loss, and soft Dice by class ``[B, K]`` (NaN where it does not count).
    """
    labels, allowed, complete = batch["labels"], batch["allowed"], batch["complete"]
    logits = logits.float()
    count = logits.shape[1]
    valid = labels < UNKNOWN
    target = labels.clamp(max=count - 1)
    log_p = logits.log_softmax(1)
    dims = (..., *(None,) * (logits.dim() - 2))
    background = log_p.masked_fill(~allowed[dims], -1e4).logsumexp(1)
    named = log_p.gather(1, target[:, None])[:, 0]
    entropy = -torch.where(target == 0, background, named) * valid
    # Every structure's own mean, too: a gallbladder is a thousandth of the voxels, and Dice has no slope where p is 0.
    of_class = torch.zeros(count).scatter_add(0, target.flatten(), entropy.flatten())
    voxels = torch.zeros(count).scatter_add(0, target.flatten(), valid.flatten().float())
    by_structure = (of_class[1:] / voxels[1:].clamp(min=1))[voxels[1:] > 0]
    entropy = entropy.sum() / valid.sum().clamp(min=1)
    if by_structure.numel():
        entropy = entropy + STRUCTURE_WEIGHT * by_structure.mean()
    p = log_p.exp() * valid[:, None]
    axes = tuple(range(2, logits.dim()))
    one_hot = F.one_hot(target * valid, count).movedim(-1, 1).float()
    size = one_hot.sum(axes)
    dice = (2 * (p * one_hot).sum(axes) + 5) / (p.sum(axes) + size + 5)
    counts = complete & (size > 0)
    counts[:, 0] = False
    dice_loss = (1 - dice)[counts].mean() if counts.any() else entropy * 0
    return entropy + dice_loss, torch.where(counts & (size > 20), dice.detach(), torch.nan)


def train(
    cases_file: Path,
    output: Path,
    minutes: float,
    resume: Path | None,
    seed: int = 0,
    rate: float = 1.5e-3,
    head_neck_share: float = HEAD_NECK_SHARE,
    steps: int | None = None,
    config: LocaliserConfig | None = None,
) -> list[float]:
    """Train with a cosine schedule and an average of the weights, which is saved every few minutes.

    Args:
        cases_file: ``cases.json``; its labelled ``train`` split without the sarcomas is used.
        output: folder of ``localiser.safetensors`` and ``localiser.json``.
        minutes: wall-clock budget.
        resume: weights to start from.
        seed: of weights and patches.
        rate: learning rate after the first 200 steps.
        head_neck_share: share of head and neck patches.
        steps: how many instead of ``minutes``; the same seed then gives the same weights.
        config: of a network with ``STRUCTURES``; None for the bundled one's.

    Returns:
        The loss of every step.

    Raises:
        TrainingError: no case can be trained on.
    """
    torch.manual_seed(seed)
    config = config or LocaliserConfig(structures=STRUCTURES)
    entries = [
        e for e in json.loads(cases_file.read_text())
        if e["split"] == "train" and "labels" in e and not e["id"].startswith("sarcoma")
    ]  # fmt: skip
    with ThreadPoolExecutor(2) as pool:
        cases = list(pool.map(lambda e: load_case(cases_file.parent, e, config.spacing_mm), entries))
    if not cases:
        raise TrainingError(f"The train split of {cases_file.name} has no labelled case. Give another file.")
    torsos = [case for case in cases if not case.id.startswith("openkbp")]
    cases += [leaner_case(case, left, config.spacing_mm) for case in torsos for left in LEAN]
    logger.info("%d cases, %d leaner ones among them", len(cases), len(LEAN) * len(torsos))
    patches = Patches(cases, config.patch, seed, head_neck_share)
    net = Localiser(config).to(memory_format=torch.channels_last_3d)
    logger.info("%.2f M parameters", sum(p.numel() for p in net.parameters()) / 1e6)
    if resume:
        net.load_state_dict(load_file(resume))
    ema = torch.optim.swa_utils.AveragedModel(net, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.998))
    # Deep supervision: a second head at four times the spacing, not kept, teaches place early.
    head = torch.nn.Conv3d(config.widths[2], 1 + len(STRUCTURES), 1)
    optimiser = torch.optim.AdamW([*net.parameters(), *head.parameters()], lr=rate, weight_decay=1e-2)
    output.mkdir(parents=True, exist_ok=True)
    begin, saved, step, losses, dices = time.monotonic(), time.monotonic(), 0, [], []
    while (share := step / steps if steps else (time.monotonic() - begin) / (60 * minutes)) < 1:
        samples = [patches.draw() for _ in range(2)]
        batch = {key: torch.stack([s[key] for s in samples]) for key in samples[0]}
        for group in optimiser.param_groups:
            group["lr"] = rate * min((step + 1) / 200, 1) * (0.02 + 0.98 * 0.5 * (1 + np.cos(np.pi * share)))
        # The loss looks at every second voxel each way, another eighth at each step: with 25 classes it would cost more
        # than the network.
        a, b, c = patches.rng.integers(0, 2, 3)
        # Of maps that a kernel reaches across, oneDNN's bfloat16 gradients are wrong, see ``training.arithmetic``.
        with torch.autocast("cpu", torch.bfloat16, enabled=config.patch // 8 > 2):
            embeddings, coarse = net.embed(batch["maps"].contiguous(memory_format=torch.channels_last_3d))
            seen = embeddings[:, :, a::2, b::2, c::2]
            logits = net.ask(seen)
            small = head(coarse)
        loss, dice = loss_of(logits, batch | {"labels": batch["labels"][:, a::2, b::2, c::2]})
        coarse_batch = batch | {"labels": batch["labels"][:, 2::4, 2::4, 2::4]}
        loss = loss + 0.3 * loss_of(small, coarse_batch)[0]
        descend(loss, net, optimiser, 5.0, ema)
        step += 1
        losses.append(loss.item())
        dices.append(dice.numpy())
        if step % 50 == 0:
            pace = (time.monotonic() - begin) / step
            words = _by_structure(np.concatenate(dices[-200:]))
            logger.info(
                "step %d (%.0f%%, %.2f s) loss %.3f | %s", step, 100 * share, pace, np.mean(losses[-50:]), words
            )
        if time.monotonic() - saved > 240:
            save(ema.module, output)
            saved = time.monotonic()
    save(ema.module, output)
    return losses


def _by_structure(dice: np.ndarray) -> str:
    """Mean soft Dice of recent patches ``[N, classes]`` in words; NaN where a structure did not count."""
    known = [(name, values[np.isfinite(values)]) for name, values in zip(STRUCTURES, dice.T[1:], strict=True)]
    return " ".join(f"{name}:{values.mean():.2f}" for name, values in known if values.size)


def save(net: Localiser, output: Path) -> None:
    """Write ``localiser.safetensors`` (float32) and its configuration."""
    write_network(net, output, "localiser")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=Path, required=True, help="cases.json; only its train split is used")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=90)
    parser.add_argument("--steps", type=int, help="instead of minutes: the same seed gives the same weights")
    parser.add_argument("--resume", type=Path, help="weights to start from")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rate", type=float, default=1.5e-3, help="learning rate after the first 200 steps")
    parser.add_argument("--head-neck-share", type=float, default=HEAD_NECK_SHARE, help="share of head and neck patches")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    train(
        options.cases,
        options.output,
        options.minutes,
        options.resume,
        options.seed,
        options.rate,
        options.head_neck_share,
        options.steps,
    )


if __name__ == "__main__":
    main()
