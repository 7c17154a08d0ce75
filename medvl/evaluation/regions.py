"""False masks in the wrong body: scans, whole and in parts, asked for every structure of a region they do not show.

    python -m medvl.evaluation.regions --cases CASES.json [--split val] [--case ID ...] [--parts 2]

What a scan shows is told by its ``region`` in ``cases.json``; what lies next to that may be in view, too, and is not
asked. Parts of 100 to 220 mm each way are cut out of it; they may show less than the scan, never more.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..ct.volume import CTVolume
from ..model import MedVLSAM2, load
from ..readers import read_ct
from ..structures.regions import regions_for
from ..training.nano.region_head import part_of

NEXT_TO = {
    "head": ("head", "neck"), "neck": ("head", "neck", "chest"), "chest": ("neck", "chest", "abdomen"),
    "thorax": ("neck", "chest", "abdomen"), "abdomen": ("chest", "abdomen", "pelvis"),
    "pelvis": ("abdomen", "pelvis", "limb"),
}  # fmt: skip
EXTREMITY = {"sarcoma_004": (), "sarcoma_006": (), "sarcoma_005": ("chest",), "sarcoma_008": ("chest",)}
"""What beside a limb is seen on crops of an extremity, by eye: a part of the chest's wall, nothing; else a pelvis."""


@dataclass(frozen=True)
class Asked:
    """What one scan, or a part of it, gave.

    Attributes:
        name: of the case and the part.
        requests: structures that were asked for.
        false: ids that a mask was made of.
        looks_like: what the scan was taken for.
    """

    name: str
    requests: int
    false: tuple[str, ...]
    looks_like: str


def shown_by(entry: dict) -> frozenset[str]:
    """Regions that a case may show; all where its ``region`` names none."""
    if "extremity" in entry["region"]:
        return frozenset(("limb", *EXTREMITY.get(entry["id"], ("pelvis",))))
    if entry["id"].startswith("openkbp"):
        return frozenset(("head", "neck", "chest"))
    words = [word for word in NEXT_TO if word in entry["region"]]
    return frozenset(region for word in words or NEXT_TO for region in NEXT_TO[word])


def ask(model: MedVLSAM2, ct: CTVolume, name: str, shown: frozenset[str]) -> Asked:
    """Ask a scan for every known structure of other regions than ``shown``."""
    case = model.open(ct)
    try:
        wrong = [id for id in sorted(case.finder.known) if not shown & set(regions_for(id))]
        false = tuple(id for id in wrong if case.finder.find(id).mask is not None)
        view = case.finder.view()
        return Asked(name, len(wrong), false, view.looks_like if view else "")
    finally:
        case.close()


def main() -> None:
    """Ask and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--cases", type=Path, required=True)
    options.add_argument("--split")
    options.add_argument("--case", nargs="*")
    options.add_argument("--parts", type=int, default=0, help="parts cut out of each scan")
    given = options.parse_args()
    model, told = load("nano"), []
    for entry in json.loads(given.cases.read_text()):
        if (given.split and entry["split"] != given.split) or (given.case and entry["id"] not in given.case):
            continue
        ct = read_ct(given.cases.parent / entry["ct"])
        scans = [(entry["id"], ct)]
        for n in range(given.parts):
            cut = part_of(ct.shape, ct.spacing_mm, np.random.default_rng(100 + n))
            scans.append((f"{entry['id']} part {n}", replace(ct, hu=np.ascontiguousarray(ct.hu[cut]))))
        for name, scan in scans:
            told.append(ask(model, scan, name, shown_by(entry)))
            one = told[-1]
            found = ", ".join(one.false) or "none"
            print(f"{one.name:24} {one.requests:3} asked, false: {found:30} {one.looks_like}", flush=True)
    false, requests = sum(len(one.false) for one in told), sum(one.requests for one in told)
    print(f"{false} false masks of {requests} requests, {len(told)} scans and parts")


if __name__ == "__main__":
    main()
