"""Trains ``medvl.networks.detail_head.DetailHead`` on the features of a frozen localiser.

    python -m medvl.training.nano.detail_head --cases CASES.json --output FOLDER [--steps 2000] [--without CASE]

Only the cases with ``labels_total`` name the classes. On the others of the train split every voxel still rules some
out: liver is no colon, a bone is one of the bones, a right lung one of its lobes. So a voxel's target is a *set* of
classes and the loss the cross-entropy of the set's summed probability. The features of augmented copies are computed
once; the head, which looks at every voxel by itself, is then trained on voxels in a minute.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...ct.geometry import to_canonical
from ...networks.config import ModelConfig
from ...networks.detail_head import DetailConfig, DetailHead, surroundings
from ...networks.localiser import CoarseMap, Localiser, LocaliserConfig, body_of, make_maps, place_of, resample
from ...networks.sliding import over_patches
from ...structures.details import BONES, LOBES
from ...weights import hub
from .localiser import STRUCTURES, Patches, TrainingCase, load_case
from .step import write_network

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

COPIES = {True: 12, False: 3}  # augmented copies of a case whose labels name the classes, and of another one
KEPT = 0.4  # share of those voxels that is trained on: patches overlap, and many are drawn twice
BATCH, NOISE = 2048, 0.2
PER_CLASS, PER_OTHER = 500, 6000  # voxels that are drawn of each class, and of all that is none, from a copy


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


@dataclass(eq=False)
class Voxels:
    """Voxels drawn from augmented copies of the cases.

    Attributes:
        features: float16 ``[N, channels]``: of all levels at the voxel, then its surroundings.
        rows: int64 ``[N]``: labels, rows of ``allowed_of``.
        case: int64 ``[N]``: index of the case.
    """

    features: Tensor
    rows: Tensor
    case: Tensor


def copy_of(case: TrainingCase, patches: Patches, rng: np.random.Generator, plain: bool) -> tuple[Tensor, Tensor]:
    """HU and labels ``[D, H, W]`` of a case, turned, scaled, with other intensities and a part of its length."""
    shape = np.array(case.hu.shape)
    if plain:
        return case.hu.float(), case.labels.long()
    scale = rng.uniform(0.85, 1.15) * rng.uniform(0.95, 1.05, 3)
    lo, hi = 0.0, 1.0
    if rng.random() < 0.7:
        length = rng.uniform(0.5, 1.0)
        lo = rng.uniform(0, 1 - length)
        hi = lo + length
    size = np.maximum(np.round(shape * scale * (1, 1, hi - lo)), 16).astype(int)
    turn = _rotation(np.deg2rad(rng.normal(0, 6, 3)))
    out = np.stack(np.meshgrid(*(np.arange(n) for n in size), indexing="ij"), -1) - (size - 1) / 2
    middle = np.array([0.5, 0.5, (lo + hi) / 2]) * (shape - 1)
    where = (out / scale) @ turn.T + middle
    grid = torch.from_numpy((2 * where / (shape - 1) - 1)[..., ::-1].astype(np.float32).copy())[None]
    hu = F.grid_sample(case.hu.float()[None, None] + 1024, grid, align_corners=True)[0, 0] - 1024
    labels = F.grid_sample(case.labels.float()[None, None], grid, mode="nearest", align_corners=True)[0, 0].long()
    labels = torch.where((grid.abs() > 1).any(-1)[0], torch.full_like(labels, 255), labels)
    return patches._intensity(hu, labels), labels


def _rotation(angles: np.ndarray) -> np.ndarray:
    (ca, cb, cc), (sa, sb, sc) = np.cos(angles), np.sin(angles)
    about_i = np.array([[1, 0, 0], [0, ca, -sa], [0, sa, ca]])
    about_j = np.array([[cb, 0, sb], [0, 1, 0], [-sb, 0, cb]])
    about_k = np.array([[cc, -sc, 0], [sc, cc, 0], [0, 0, 1]])
    return about_i @ about_j @ about_k


@torch.inference_mode()
def draw(net: Localiser, hu: Tensor, labels: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Features and labels of voxels of one scan, as inference would have them.

    Args:
        net: the frozen localiser.
        hu: ``[D, H, W]`` on its grid.
        labels: rows; 255 is never drawn.
        rng: draws.

    Returns:
        float16 ``[N, channels]`` and int64 ``[N]``.
    """
    config = net.config
    body = body_of(hu.numpy())
    maps = make_maps(hu[None], torch.from_numpy(place_of(body, config.spacing_mm))[None])
    kept: list[tuple[Tensor, ...]] = []

    def first(patch: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            levels = net.pyramid(patch.contiguous(memory_format=torch.channels_last_3d))
            kept.append(levels)
            return net.ask(levels[0]).float()

    def over(maps: Tensor, predict: Callable[[Tensor], Tensor]) -> Tensor:
        return over_patches(predict, maps, config.patch, config.overlap, torch.device("cpu"))

    probability = over(maps, first)[0].softmax(0).half().numpy()
    coarse = CoarseMap(config.structures, probability, body, (config.spacing_mm,) * 3)
    around = torch.from_numpy(surroundings(coarse))
    wanted = _choose(labels, rng)
    features, rows, order = [], [], iter(kept)

    def second(patch: Tensor) -> Tensor:  # the same patches again, in the same order
        levels, at = next(order), torch.nonzero(patch[0, -1])
        # A voxel near the rim of a patch counts little at inference, and another patch has it in its middle.
        at = at[((at >= 6) & (at < config.patch - 6)).all(1)]
        where = (2 * (at.float() + 0.5) / config.patch - 1).flip(-1)[None, :, None, None]
        parts = [
            F.grid_sample(x.float(), where, align_corners=False, padding_mode="border")[0, :, :, 0, 0] for x in levels
        ]
        inside = patch[0, :-2][:, at[:, 0], at[:, 1], at[:, 2]]
        features.append(torch.cat((*parts, inside)).T.half())
        rows.append(patch[0, -2][tuple(at.T)].long())
        return patch[:, :1]

    stack = torch.cat((around, labels[None].float(), wanted[None].float()))[None]
    over(stack, second)
    return torch.cat(features), torch.cat(rows)


def _choose(labels: Tensor, rng: np.random.Generator) -> Tensor:
    """Bool ``[D, H, W]``: at most ``PER_CLASS`` voxels of every class and ``PER_OTHER`` of everything else."""
    flat, wanted = labels.flatten().numpy(), np.zeros(labels.numel(), bool)
    for row in np.unique(flat[(flat > len(STRUCTURES)) & (flat < 255)]):
        at = np.flatnonzero(flat == row)
        wanted[rng.choice(at, min(PER_CLASS, at.size), replace=False)] = True
    at = np.flatnonzero(flat <= len(STRUCTURES))
    named = at[flat[at] > 0]  # organs are as good a reason for what a voxel is not as the rest is
    for some in (at[flat[at] == 0], named):
        wanted[rng.choice(some, min(PER_OTHER // 2, some.size), replace=False)] = True
    return torch.from_numpy(wanted.reshape(labels.shape))


def loss_of(logits: Tensor, allowed: Tensor) -> Tensor:
    """Mean cross-entropy of sets: ``-log`` of the summed probability of what a voxel may be; both ``[N, K]``."""
    return -logits.log_softmax(1).masked_fill(~allowed, -1e4).logsumexp(1).mean()


def collect(cases_file: Path, model_folder: Path, seed: int = 0) -> tuple[Voxels, list[dict], LocaliserConfig]:
    """Draw voxels from augmented copies of the train split's torso cases."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    base = ModelConfig.load(model_folder).localiser
    net = Localiser(base)
    hub.load_strict(net, hub.read_weights(model_folder, "localiser"), "the localiser")
    net.float().to(memory_format=torch.channels_last_3d).eval().requires_grad_(False)
    entries = [
        e for e in json.loads(cases_file.read_text())
        if e["split"] == "train" and "labels" in e and not e["id"].startswith(("sarcoma", "openkbp"))
    ]  # fmt: skip
    features, rows, origin = [], [], []
    for n, entry in enumerate(entries):
        case = load_case(cases_file.parent, entry, base.spacing_mm)
        if entry.get("labels_total"):
            add_details(case, cases_file.parent, entry)
        patches = Patches([case], base.patch, seed, 0.0)
        for copy in range(COPIES[bool(entry.get("labels_total"))]):
            hu, labels = copy_of(case, patches, rng, plain=copy == 0)
            some, own = draw(net, hu, labels, rng)
            features.append(some)
            rows.append(own)
            origin.append(torch.full_like(own, n))
        logger.info("%s: %d voxels so far", entry["id"], sum(map(len, rows)))
    return Voxels(torch.cat(features), torch.cat(rows), torch.cat(origin)), entries, base


def fit(
    voxels: Voxels, entries: list[dict], base: LocaliserConfig, steps: int, without: tuple[str, ...] = (), seed: int = 0
) -> DetailHead:
    """Train the head on voxels, every class drawn alike; cosine schedule."""
    torch.manual_seed(seed)
    tables = torch.stack([allowed_of(e) for e in entries])
    use = torch.tensor([e["id"] not in without for e in entries])[voxels.case]
    use &= torch.rand(len(use)) < KEPT
    features, rows, case = voxels.features[use], voxels.rows[use], voxels.case[use]
    # Classes alike, and among what is none of them the localiser's structures alike.
    first = 1 + len(STRUCTURES)
    count = torch.bincount(rows, minlength=tables.shape[1]).float().clamp(min=1)
    weight = 1 / count[rows]
    weight = torch.where(rows >= first, weight, weight * torch.where(rows == 0, 8.0, 1.0))
    mean, std = features.float().mean(0), features.float().std(0).clamp(min=1e-3)
    channels = (base.embedding, *base.widths[1:])
    config = DetailConfig(tuple(CLASSES), channels, features.shape[1] - sum(channels))
    net = nn.Sequential(
        nn.Linear(features.shape[1], config.widths[0]), nn.LeakyReLU(0.01), nn.Dropout(0.2),
        nn.Linear(config.widths[0], config.widths[1]), nn.LeakyReLU(0.01), nn.Dropout(0.2),
        nn.Linear(config.widths[1], 1 + len(CLASSES)),
    )  # fmt: skip
    optimiser = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=5e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, steps)
    for step in range(steps):
        if step % 100 == 0:
            drawn = torch.multinomial(weight, BATCH * 100, replacement=True).view(100, BATCH)
        at = drawn[step % 100]
        x = ((features[at].float() - mean) / std).clamp(-5, 5)
        x = x + NOISE * torch.randn_like(x)
        loss = loss_of(net(x), tables[case[at], rows[at]])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if (step + 1) % 500 == 0:
            logger.info("step %d loss %.3f", step + 1, loss.item())
    return _as_head(net, config, mean, std)


def _as_head(net: nn.Sequential, config: DetailConfig, mean: Tensor, std: Tensor) -> DetailHead:
    """The trained layers as convolutions, the standardisation of the features inside the first one."""
    head = DetailHead(config)
    lines = [m for m in net if isinstance(m, nn.Linear)]
    with torch.no_grad():
        weight = lines[0].weight / std
        bias = lines[0].bias - weight @ mean
        at = 0
        for conv, n in zip((*head.gather, head.around), (*config.inputs, config.around), strict=True):
            conv.weight.copy_(weight[:, at : at + n, None, None, None])
            at += n
        head.around.bias.copy_(bias)
        for conv, line in zip((head.hidden, head.logits), lines[1:], strict=True):
            conv.weight.copy_(line.weight[:, :, None, None, None])
            conv.bias.copy_(line.bias)
    return head


def save(head: DetailHead, output: Path) -> None:
    """Write ``detail_head.safetensors`` (float32) and its configuration."""
    write_network(head, output, "detail_head")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=Path, required=True, help="cases.json; only its train split is used")
    parser.add_argument("--model", type=Path, default=hub.BUNDLED / "nano", help="folder of the localiser")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--without", nargs="*", default=(), help="cases left out, to be tested on")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    voxels, entries, base = collect(options.cases, options.model, options.seed)
    save(fit(voxels, entries, base, options.steps, tuple(options.without), options.seed), options.output)


if __name__ == "__main__":
    main()
