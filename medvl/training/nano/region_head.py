"""Trains ``medvl.networks.region_head.RegionHead`` on the coarse maps of the bundled localiser.

    python -m medvl.training.nano.region_head --cases CASES.json --output FOLDER [--model assets/nano] [--maps FOLDER]

Where the regions of a torso or a limb begin and end was read off coronal pictures (``SPANS``); in the head and neck it
follows from the labels. Near a border nothing is asked. Every scan is seen whole, in parts that the localiser was run
on, and in parts cut out of its map; made phantoms show no region. ``--maps`` keeps the maps, which take the time.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage

from ...ct.geometry import SourceGeometry, to_canonical
from ...ct.volume import CTVolume
from ...model import load
from ...networks.localiser import CoarseMap, locate
from ...networks.networks import Networks
from ...networks.region_head import REGIONS, RegionConfig, RegionHead, descriptors
from ...readers import read_ct
from ...structures.unlike_pieces import settle
from .step import write_weights

logger = logging.getLogger(__name__)

Spans = dict[str, tuple[float, float] | None]
SPANS: dict[str, Spans] = {
    "ts_abdomen": {"pelvis": (0, 0.53), "abdomen": (0.40, 1), "chest": (0.86, 1), "limb": None},
    "lidc_0001": {"abdomen": (0, 0.48), "chest": (0.17, 0.94), "neck": (0.92, 1)},
    "lidc_0314": {"abdomen": (0, 0.32), "chest": (0.06, 0.91), "neck": (0.88, 1)},
    "crlm_1004": {"abdomen": (0, 0.85), "chest": (0.56, 1)},
    "acrin_flt_1": {"chest": (0, 0.24), "neck": (0.22, 0.43), "head": (0.40, 0.88), "limb": None},
    "acrin_flt_2": {"pelvis": (0, 0.37), "abdomen": (0.28, 0.97), "chest": (0.86, 1), "limb": None},
    "platipy_chest": {"abdomen": (0, 0.42), "chest": (0.18, 0.83), "neck": (0.80, 1)},
    "cptac_c3l_00189": {"abdomen": (0, 0.80), "chest": (0.50, 1)},
    "acrin13": {"abdomen": (0, 0.70), "chest": (0.30, 1)},
    "tcga_bc_a10x": {"pelvis": (0, 0.12), "abdomen": (0, 0.95), "chest": (0.65, 1)},
    "sarcoma_001": {"limb": (0, 0.70), "pelvis": (0.72, 1)},
    "sarcoma_002": {"pelvis": (0, 1), "limb": None},
    "sarcoma_003": {"pelvis": (0.45, 1), "limb": None},
    "sarcoma_004": {"limb": (0, 1)},
    "sarcoma_005": {"limb": (0, 1), "chest": None},
}
"""Of the scans of the train split: from where to where each region is in view, as shares of the scan's height from
below; None where it is not asked. A region that is not named is not in view."""

MARGIN_MM = 14.0  # on each side of a border, where nothing is asked
LUNG_CM2 = 15.0  # air that the localiser calls lung, from which on a slice of a neck scan shows the chest
HEAD_NECK = {"head": ("brainstem", "right_parotid", "left_parotid", "mandible"), "neck": ("larynx",)}
HEAD_NECK_STEP = 3  # of the head-and-neck scans every third is used: they are many and alike
CUTS, CROPS, PHANTOMS = 5, 2, 18
EPOCHS, RATE, DECAY = 400, 3e-3, 3e-2


@dataclass(eq=False)
class Scan:
    """A map with what its slices show.

    Attributes:
        name: of the case or phantom.
        coarse: with HU.
        shown: of each region and slice 1, 0, or -1 where it is not asked; int8 ``[regions, K]``.
    """

    name: str
    coarse: CoarseMap
    shown: np.ndarray


def by_spans(spans: Spans, count: int, spacing_mm: float) -> np.ndarray:
    """What slices show by ``SPANS``: ``[regions, K]``."""
    shown = np.zeros((len(REGIONS), count), np.int8)
    margin = MARGIN_MM / spacing_mm
    k = np.arange(count) + 0.5
    for n, region in enumerate(REGIONS):
        if region not in spans:
            continue
        if spans[region] is None:
            shown[n] = -1
            continue
        low, high = (share * count for share in spans[region])
        shown[n, (k > low) & (k < high)] = 1
        for border in (low, high):
            if 0 < border < count:
                shown[n, np.abs(k - border) < margin] = -1
    return shown


def by_labels(coarse: CoarseMap, labels: np.ndarray, names: dict[int, str]) -> np.ndarray:
    """What the slices of a head-and-neck scan show: ``[regions, K]``.

    The head goes from the lowest of its labelled organs up, the neck from where the lungs end to where they begin.
    """
    count = coarse.body.shape[2]
    k, margin = np.arange(count), MARGIN_MM / coarse.spacing_mm[2]
    shown = np.zeros((len(REGIONS), count), np.int8)
    area = coarse.spacing_mm[0] * coarse.spacing_mm[1] / 100
    lung = (coarse.of("right_lung") + coarse.of("left_lung") > 0.5) & (coarse.hu < -500) & coarse.body
    chest = np.flatnonzero(lung.sum((0, 1)) * area > LUNG_CM2)
    head = np.flatnonzero(np.isin(labels, [v for v, s in names.items() if s in HEAD_NECK["head"]]).any((0, 1)))
    tissue = coarse.hu > -500
    seen = np.flatnonzero((tissue & coarse.body).sum((0, 1)) * area > 20)
    if not head.size or not seen.size:
        return np.full_like(shown, -1)
    # The lungs of a neck scan are tops of lungs: what the localiser calls lung above the mandible is a sinus.
    chest = chest[chest < head[0]]
    top = chest[-1] if chest.size else seen[0] - margin
    rows = {name: shown[n] for n, name in enumerate(REGIONS)}
    rows["head"][(k >= head[0])] = 1
    rows["neck"][(k > top) & (k < head[0] + margin)] = 1
    rows["chest"][k <= top] = int(chest.size > 0)
    for name, border in (("head", head[0]), ("neck", top), ("neck", head[0]), ("chest", top)):
        rows[name][np.abs(k - border) < margin] = -1
    shown[:, (k < seen[0]) | (k > seen[-1])] = -1
    return shown


def phantom(number: int) -> CTVolume:
    """Nothing of a body: cylinders, inserts, boxes, balls, clouds and rods of many densities, with noise."""
    rng = np.random.default_rng(number)
    shape = (64, 64, 48)
    i, j, k = (np.indices(shape) - np.array(shape)[:, None, None, None] / 2) * 5.0
    radius, size = np.hypot(i, j), rng.uniform(60, 140)
    hu = np.full(shape, -1000.0)
    match number % 6:
        case 0:
            hu[radius < size] = rng.uniform(-20, 60)
        case 1:
            hu[radius < size] = 0
            for turn in np.arange(8) * np.pi / 4:
                away = np.hypot(i - size * 0.6 * np.cos(turn), j - size * 0.6 * np.sin(turn))
                hu[away < rng.uniform(6, 18)] = rng.choice([-900, -100, 120, 340, 900])
        case 2:
            hu[(np.abs(i) < size) & (np.abs(j) < size * 0.7)] = rng.uniform(-100, 60)
        case 3:
            hu[np.sqrt(i**2 + j**2 + k**2) < min(size, 110)] = rng.uniform(-100, 100)
        case 4:
            hu = np.where(ndimage.gaussian_filter(rng.normal(size=shape), 3) > 0, rng.uniform(20, 100), -100.0)
            hu[radius > size] = -1000
        case _:
            hu[:] = -100
            hu[radius < rng.uniform(12, 40)] = rng.uniform(30, 90)
    hu = np.clip(hu + rng.normal(0, rng.uniform(2, 20), shape), -1024, 3000)
    affine = np.diag([5.0, 5.0, 5.0, 1.0])
    return CTVolume(hu.astype(np.int16), affine, SourceGeometry(shape, affine))


def part_of(shape: tuple[int, ...], spacing_mm: tuple[float, ...], rng: np.random.Generator) -> tuple[slice, ...]:
    """A part of 100 to 220 mm each way."""
    cut = []
    for count, mm in zip(shape, spacing_mm, strict=True):
        size = int(min(count, max(4, rng.uniform(100, 220) / mm)))
        start = int(rng.integers(0, count - size + 1))
        cut.append(slice(start, start + size))
    return tuple(cut)


def coarse_of(name: str, networks: Networks, make: Callable[[], CTVolume], maps: Path | None) -> CoarseMap:
    """The settled map of a CT, from ``maps`` where it is kept there."""
    file = maps / f"{name}.npz" if maps else None
    if file and file.exists():
        kept = np.load(file)
        structures = networks.localiser.config.structures
        return CoarseMap(structures, kept["p"], kept["body"], tuple(map(float, kept["spacing"])), kept["hu"])
    ct = make()
    coarse = settle(locate(networks.localiser, ct, networks.device), ct)
    if file:
        maps.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(
            file, p=coarse.probability, body=coarse.body, hu=coarse.hu, spacing=np.array(coarse.spacing_mm)
        )
    return coarse


def scans(cases: Path, networks: Networks, maps: Path | None, head_necks: int) -> Iterator[Scan]:
    """The scans of the train split, parts of them, and phantoms."""
    folder, done = cases.parent, 0
    for entry in json.loads(cases.read_text()):
        name = entry["id"]
        if entry["split"] != "train" or (name not in SPANS and not name.startswith("openkbp")):
            continue
        if name not in SPANS:
            done += 1
            if done % HEAD_NECK_STEP != 1 or done > HEAD_NECK_STEP * head_necks:
                continue
        ct = read_ct(folder / entry["ct"])
        coarse = coarse_of(name, networks, lambda ct=ct: ct, maps)
        if name in SPANS:
            shown = by_spans(SPANS[name], coarse.body.shape[2], coarse.spacing_mm[2])
        else:
            image = nib.load(folder / entry["labels"])
            labels, _ = to_canonical(np.asarray(image.dataobj).astype(np.uint8), image.affine)
            places = [
                np.minimum(((np.arange(n) + 0.5) * s / n).astype(int), s - 1)
                for n, s in zip(coarse.body.shape, labels.shape, strict=True)
            ]
            names = {int(v): s for v, s in entry["label_names"].items()}
            shown = by_labels(coarse, labels[np.ix_(*places)], names)
        yield Scan(name, coarse, shown)
        for n in range(CROPS if name in SPANS and not name.startswith("sarcoma") else 0):
            cut = part_of(ct.shape, ct.spacing_mm, np.random.default_rng(n))
            part = replace(ct, hu=np.ascontiguousarray(ct.hu[cut]))
            own = coarse_of(f"{name}_part{n}", networks, lambda part=part: part, maps)
            k = cut[2].start + (np.arange(own.body.shape[2]) + 0.5) * part.shape[2] / own.body.shape[2]
            index = np.minimum((k * shown.shape[1] / ct.shape[2]).astype(int), shown.shape[1] - 1)
            yield Scan(f"{name} part {n}", own, shown[:, index])
    for n in range(PHANTOMS):
        coarse = coarse_of(f"phantom_{n}", networks, lambda n=n: phantom(n), maps)
        yield Scan(f"phantom {n}", coarse, np.zeros((len(REGIONS), coarse.body.shape[2]), np.int8))


def rows_of(scan: Scan, structures: tuple[str, ...], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Descriptors ``[N, inputs]`` and targets ``[N, regions]`` of a scan and of parts cut out of its map."""
    rows, targets = [descriptors(scan.coarse, structures)], [scan.shown.T]
    for n in range(CUTS):
        cut = part_of(scan.coarse.body.shape, scan.coarse.spacing_mm, rng)
        if n % 2:  # the whole width, a part of the length
            cut = (slice(None), slice(None), cut[2])
        coarse = scan.coarse
        body = coarse.body[cut]
        if body.sum() < 200:
            continue
        shift = int(rng.normal(0, 15))
        hu = (coarse.hu[cut].astype(np.int32) + np.where(coarse.hu[cut] > -300, shift, 0)).astype(np.int16)
        part = CoarseMap(coarse.structures, coarse.probability[(slice(None), *cut)], body, coarse.spacing_mm, hu)
        rows.append(descriptors(part, structures))
        targets.append(scan.shown[:, cut[2]].T)
    return np.concatenate(rows), np.concatenate(targets)


def train(rows: list[np.ndarray], targets: list[np.ndarray], config: RegionConfig, seed: int = 0) -> RegionHead:
    """A head from the rows of all scans; every scan counts alike."""
    torch.manual_seed(seed)
    weight = torch.from_numpy(np.concatenate([np.full(len(r), 1 / len(r), np.float32) for r in rows]))
    x, y = (torch.from_numpy(np.concatenate(part).astype(np.float32)) for part in (rows, targets))
    head = RegionHead(config)
    head.mean.copy_(x.mean(0))
    head.scale.copy_(x.std(0).clamp(min=0.05))
    optimiser = torch.optim.AdamW(head.parameters(), RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, EPOCHS)
    asked = (y >= 0).float() * weight[:, None]
    for _ in range(EPOCHS):
        noisy = x + 0.1 * head.scale * torch.randn_like(x)
        loss = F.binary_cross_entropy_with_logits(head(noisy), y.clamp(min=0), asked, reduction="sum") / asked.sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    logger.info("loss %.4f on %d slices", float(loss.detach()), len(x))
    return head.eval()


def main() -> None:
    """Train and write ``region_head.safetensors``."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--cases", type=Path, required=True)
    options.add_argument("--output", type=Path, required=True)
    options.add_argument("--model", default="nano", help="model whose localiser is read")
    options.add_argument("--maps", type=Path, help="folder in which the localiser's maps are kept")
    options.add_argument("--head-necks", type=int, default=8, help="how many head-and-neck scans are used")
    options.add_argument("--without", nargs="*", default=[], help="cases left out, to try the head on them")
    given = options.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    networks = load(given.model).networks
    config = RegionConfig(networks.localiser.config.structures)
    rng = np.random.default_rng(0)
    rows, targets = [], []
    for scan in scans(given.cases, networks, given.maps, given.head_necks):
        if scan.name.split(" ")[0] in given.without:
            continue
        x, y = rows_of(scan, config.structures, rng)
        rows.append(x)
        targets.append(y)
        logger.info("%s: %d slices", scan.name, len(x))
    write_weights(train(rows, targets, config), given.output / "region_head.safetensors")
    (given.output / "region_head.json").write_text(json.dumps(asdict(config), indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
