"""Trains ``medvl.details.DetailHead`` on the features of a frozen localiser.

    python -m medvl.training.details --cases CASES.json --output FOLDER [--minutes 20] [--without CASE]

Only the cases with ``labels_total`` name the classes. On the others of the train split every voxel still rules some out:
liver is no colon, a bone is one of the bones, a right lung one of its lobes. So a voxel's target is a *set* of classes
and the loss the cross-entropy of the set's summed probability, plus soft Dice where the classes themselves are labelled.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from dataclasses import asdict
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from .. import hub
from ..config import ModelConfig
from ..detail_masks import BONES, LOBES
from ..details import DetailConfig, DetailHead
from ..geometry import to_canonical
from ..localiser import Localiser, resample
from .localiser import STRUCTURES, Patches, TrainingCase, load_case

logger = logging.getLogger(__name__)

CLASSES: dict[str, tuple[str, ...]] = {
    "sacrum": ("sacrum", "vertebrae_S1"), "hip_bone": ("hip_*",), "femur": ("femur_*",), "ribs": ("rib_*",),
    "sternum": ("sternum",), "scapula": ("scapula_*",), "clavicle": ("clavicula_*",), "humerus": ("humerus_*",),
    "costal_cartilages": ("costal_cartilages",), "back_muscles": ("autochthon_*",), "iliopsoas": ("iliopsoas_*",),
    "gluteal_muscles": ("gluteus_*",), "colon": ("colon",), "small_bowel": ("small_bowel",),
    "adrenal_gland": ("adrenal_gland_*",), "thyroid_gland": ("thyroid_gland",),
    "portal_vein": ("portal_vein_and_splenic_vein",), "iliac_artery": ("iliac_artery_*",),
    "iliac_vein": ("iliac_vena_*",), "superior_vena_cava": ("superior_vena_cava",),
    "upper_lobe": ("lung_upper_lobe_*",), "middle_lobe": ("lung_middle_lobe_*",), "lower_lobe": ("lung_lower_lobe_*",),
}  # fmt: skip
"""Classes of TotalSegmentator's "total" task that make up each class; a star stands for the rest of the name."""

NAMED_SHARE = 0.75  # of the patches; from the cases whose labels name the classes
CROP = 40  # voxels of a patch, each way, that the head is trained on: the features have seen all 64


def members(name: str, totals: dict[int, str]) -> list[int]:
    """Label values of a class among ``value -> class of TotalSegmentator``."""
    return [v for v, t in totals.items() for p in CLASSES[name] if t == p or (p[-1] == "*" and t.startswith(p[:-1]))]


def add_details(case: TrainingCase, folder: Path, entry: dict) -> None:
    """Write the classes over the labels of a case, after the localiser's structures; ``present`` becomes theirs."""
    totals = {int(v): n for v, n in json.loads((folder / "labels/total_classes.json").read_text()).items()}
    label = nib.load(folder / entry["labels_total"])
    array, _ = to_canonical(np.asarray(label.dataobj).astype(np.uint8), label.affine)
    best = torch.zeros(case.labels.shape)
    for n, name in enumerate(CLASSES, start=1 + len(STRUCTURES)):
        own = np.isin(array, members(name, totals)).astype(np.float32)
        share = resample(torch.from_numpy(own), tuple(case.labels.shape))
        wins = (share > best) & (share >= 0.4)
        case.labels[wins] = n
        best[wins] = share[wins]
    case.present = [int(v) for v in case.labels.unique() if v > len(STRUCTURES)]


def allowed_of(entry: dict) -> Tensor:
    """What a voxel of each label may be: bool ``[1 + structures + classes, 1 + classes]``, background first."""
    names = list(CLASSES)
    table = torch.zeros(1 + len(STRUCTURES) + len(names), 1 + len(names), dtype=torch.bool)
    for n in range(len(names)):
        table[1 + len(STRUCTURES) + n, 1 + n] = True
    table[: 1 + len(STRUCTURES), 0] = True
    if entry.get("labels_total"):
        return table
    complete = set(entry["complete"])

    def allow(structure: str, classes: tuple[str, ...], background: bool) -> None:
        row = 1 + STRUCTURES.index(structure) if structure else 0
        table[row, [1 + names.index(c) for c in classes]] = True
        table[row, 0] = background

    out = set(BONES) if {"other_bone", "vertebral_column"} <= complete else set()
    out |= set(LOBES) if {"right_lung", "left_lung"} <= complete else set()
    allow("", tuple(c for c in names if c not in out), True)
    # A head has other bones, too: there a bone need not be one of these.
    allow("other_bone", BONES, "head" in entry["region"])
    allow("vertebral_column", ("sacrum",), True)
    allow("right_lung", LOBES, False)
    allow("left_lung", ("upper_lobe", "lower_lobe"), False)
    return table


def loss_of(logits: Tensor, labels: Tensor, allowed: Tensor, named: Tensor) -> Tensor:
    """Cross-entropy of sets, by voxel and by class, and soft Dice where classes are named.

    Args:
        logits: ``[B, K, ...]``.
        labels: ``[B, ...]``, rows of ``allowed``; 255: no target.
        allowed: bool ``[B, rows, K]``.
        named: bool ``[B]``: whether the patch's classes are labelled.
    """
    logits = logits.float()
    count, rows = logits.shape[1], allowed.shape[1]
    valid = labels < 255
    target = labels.clamp(max=rows - 1)
    sets = torch.stack([table[t] for table, t in zip(allowed, target, strict=True)]).movedim(-1, 1)
    log_p = logits.log_softmax(1)
    entropy = -log_p.masked_fill(~sets, -1e4).logsumexp(1) * valid
    by_row = torch.zeros(rows).scatter_add(0, target.flatten(), entropy.flatten())
    voxels = torch.zeros(rows).scatter_add(0, target.flatten(), valid.flatten().float())
    loss = entropy.sum() / valid.sum().clamp(min=1) + 0.3 * (by_row / voxels.clamp(min=1))[voxels > 5].mean()
    first = rows - count + 1
    own = torch.where(valid & (target >= first), target - first + 1, 0)
    hot = torch.nn.functional.one_hot(own, count).movedim(-1, 1).float()
    p = log_p.exp() * valid[:, None]
    axes = tuple(range(2, logits.dim()))
    size = hot.sum(axes)
    dice = (2 * (p * hot).sum(axes) + 5) / (p.sum(axes) + size + 5)
    counts = named[:, None] & (size > 0)
    counts[:, 0] = False
    return loss + (1 - dice)[counts].mean() if counts.any() else loss


def train(
    cases_file: Path,
    model_folder: Path,
    output: Path,
    minutes: float,
    without: tuple[str, ...] = (),
    seed: int = 0,
    rate: float = 3e-3,
) -> None:
    """Train for a wall-clock budget (cosine over time), with an average of the weights."""
    torch.manual_seed(seed)
    base = ModelConfig.load(model_folder).localiser
    net = Localiser(base)
    hub.load_strict(net, hub.read_weights(model_folder, "localiser"), "the localiser")
    net.float().to(memory_format=torch.channels_last_3d).eval().requires_grad_(False)
    entries = [
        e for e in json.loads(cases_file.read_text())
        if e["split"] == "train" and "labels" in e and not e["id"].startswith(("sarcoma", "openkbp"))
        and e["id"] not in without
    ]  # fmt: skip
    cases = [load_case(cases_file.parent, e, base.spacing_mm) for e in entries]
    is_named = np.array([bool(e.get("labels_total")) for e in entries])
    for case, entry in zip(cases, entries, strict=True):
        if entry.get("labels_total"):
            add_details(case, cases_file.parent, entry)
    tables = torch.stack([allowed_of(e) for e in entries])
    patches = Patches(cases, base.patch, seed, 0.0)
    shares = np.where(is_named, NAMED_SHARE / is_named.sum(), (1 - NAMED_SHARE) / max((~is_named).sum(), 1))
    head = DetailHead(DetailConfig(tuple(CLASSES), (base.embedding, *base.widths[1:])))
    head.to(memory_format=torch.channels_last_3d)
    logger.info("%d cases, %.0f k parameters", len(cases), sum(p.numel() for p in head.parameters()) / 1e3)
    ema = torch.optim.swa_utils.AveragedModel(head, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.99))
    optimiser = torch.optim.AdamW(head.parameters(), lr=rate, weight_decay=1e-2)
    begin, step, losses = time.monotonic(), 0, []
    while (share := (time.monotonic() - begin) / (60 * minutes)) < 1:
        n = int(patches.rng.choice(len(cases), p=shares / shares.sum()))
        patches.weights = np.eye(len(cases))[n]
        sample = patches.draw()
        for group in optimiser.param_groups:
            group["lr"] = rate * min((step + 1) / 50, 1) * (0.02 + 0.98 * 0.5 * (1 + np.cos(np.pi * share)))
        maps = sample["maps"][None].contiguous(memory_format=torch.channels_last_3d)
        start = [8 * int(patches.rng.integers(0, (base.patch - CROP) // 8 + 1)) for _ in range(3)]
        with torch.autocast("cpu", torch.bfloat16):
            with torch.no_grad():
                levels = net.pyramid(maps)
            logits = head(_crop(levels, start))
        labels = sample["labels"][(None, *(slice(s, s + CROP) for s in start))]
        loss = loss_of(logits, labels, tables[n : n + 1], torch.tensor([is_named[n]]))
        loss.backward()
        step += 1
        losses.append(loss.item())
        if step % 2 == 0:
            torch.nn.utils.clip_grad_norm_(head.parameters(), 5.0)
            optimiser.step()
            optimiser.zero_grad()
            ema.update_parameters(head)
        if step % 50 == 0:
            pace = (time.monotonic() - begin) / step
            logger.info("step %d (%.0f%%, %.2f s) loss %.3f", step, 100 * share, pace, np.mean(losses[-50:]))
    save(ema.module, output)


def _crop(levels: tuple[Tensor, ...], start: list[int]) -> tuple[Tensor, ...]:
    """A cube of ``CROP`` voxels from features of all levels; ``start`` is a multiple of 8."""
    return tuple(
        level[(slice(None), slice(None), *(slice(s >> n, (s + CROP) >> n) for s in start))].contiguous()
        for n, level in enumerate(levels)
    )


def save(head: DetailHead, output: Path) -> None:
    """Write ``detail_head.safetensors`` (float16) and its configuration."""
    output.mkdir(parents=True, exist_ok=True)
    weights = {k: v.detach().contiguous().half() for k, v in head.state_dict().items()}
    save_file(weights, output / "detail_head.safetensors")
    (output / "detail_head.json").write_text(json.dumps(asdict(head.config), indent=2) + "\n")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=Path, required=True, help="cases.json; only its train split is used")
    parser.add_argument("--model", type=Path, default=hub.BUNDLED / "nano", help="folder of the localiser")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--without", nargs="*", default=(), help="cases left out, to be tested on")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    train(options.cases, options.model, options.output, options.minutes, tuple(options.without), options.seed)


if __name__ == "__main__":
    main()
