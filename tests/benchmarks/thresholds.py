"""Which thresholds earn their place: each group left out, and what Dice becomes.

    python tests/benchmarks/thresholds.py --cases ../shared/data/cases.json [--split val] [--case ID ...] [--prompts]

From names to masks (``medvl.structures.thresholds``) the localiser looks at each scan once; from its map on, everything
is done again without one group, for the structures that the group can touch. With ``--prompts``, from a box and three
corrective clicks to a mask (``medvl.prompting.thresholds``): slices are encoded once, all else is done again for every
labelled structure, or those of ``--structure``. Prints one line a group: mean Dice with everything, mean without the
group, and the requests that changed most.
"""

from __future__ import annotations

import argparse
import copy
import sys
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import mean

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import medvl  # noqa: E402 - after the path
from medvl.evaluation.cases import labelled_cases  # noqa: E402 - after the path
from medvl.evaluation.interactive import PLAIN, Ours, run_case, structures_of  # noqa: E402 - after the path
from medvl.evaluation.segmentation_metrics import dice  # noqa: E402 - after the path
from medvl.networks.localiser import locate  # noqa: E402 - after the path
from medvl.prompting.thresholds import THRESHOLDS as THRESHOLDS_OF_PROMPTS  # noqa: E402 - after the path
from medvl.structures.finder import TextSegmenter  # noqa: E402 - after the path
from medvl.structures.thresholds import THRESHOLDS  # noqa: E402 - after the path
from medvl.structures.unlike_pieces import settle  # noqa: E402 - after the path

BONES = ("vertebral_column", "other_bone")
GROUPS: dict[str, tuple[Mapping[str, object], tuple[str, ...]]] = {
    "tails": ({"neck_of_tail": 0.0}, ()),
    "unlike pieces": ({"brighter_sd": 1e9}, ("liver", "spleen", "right_kidney", "left_kidney")),
    "tip of a kidney": ({"tip_probability": 0.0}, ("liver", "right_kidney", "left_kidney")),
    "HU at the edge": ({"hu_weight": 0.0, "hu_weights": {}}, ()),
    "HU weight of each structure": ({"hu_weights": {}}, ("other_bone", "brainstem", "larynx")),
    "edge logit": ({"edge_logit": 0.0}, ()),
    "edge logit of each structure": ({"edge_logits": {}}, tuple(THRESHOLDS.edge_logits)),
    "least mL of each structure": ({"least_ml_of": {}}, ()),
    "peak of a piece at 0.5": ({"min_peak": 0.5}, ()),
    "sureness of a piece of bone": ({"bone_piece_probability": 0.0}, BONES),
    "spread of a piece of bone": ({"bone_piece_sd_hu": 0.0}, BONES),
    "marrow": ({"marrow_mm2": 0.0}, BONES),
}
PROMPTS: dict[str, Mapping[str, object]] = {
    "several masks of a box": {"agreed_score": 1e-9},
    "how a mask fills its box": {"box_weight": 0.0},
    "two parts of a box": {"unsure_iou": 0.0},
    "SAM 2 beside the propagated mask": {"sam_weight": 0.0},
    "the localiser": {"prior_weight": 0.0, "corrected_prior_weight": 0.0},
    "the localiser less once corrected": {"corrected_prior_weight": THRESHOLDS_OF_PROMPTS.prior_weight},
    "leak of a corrected slice": {"leak_weight": 0.0},
    "a lump's length": {"lump_weight": 0.0},
    "spread between slices": {"spread_per_gap": 1e9},
    "guards of the end": {"growth": 1e9, "overlap": -1.0, "drift_sd": 1e9, "reach": 1e9},
    "tails of an object": {"tail_share": 0.0},
    "least area": {"min_area_mm2": 0.0},
    "whole regions by a negative click": {"whole_region_depth": 2.0},
    "the localiser's word for a region": {"vouched_iou": 2.0},
    "rim of the localiser": {"rim_mm": 0.0},
    "the rest of a slice goes too": {"left_share": 0.0},
    "slices near a prompt stay": {"support_mm": 0.0},
    "reach of a correction": {"correction_reach_mm": 1e9},
    "end of a negative click's reach": {"negative_far_mm": 1e9},
    "what was taken away is followed": {"followed_mm2": 1e9},
    "spread of a correction": {"spread_mm": 1e9},
}
CLICKS = 3


@contextmanager
def without(thresholds: object, changes: Mapping[str, object]):
    """A package's thresholds with other values."""
    before = {name: getattr(thresholds, name) for name in changes}
    for name, value in changes.items():
        object.__setattr__(thresholds, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            object.__setattr__(thresholds, name, value)


class Kept(Ours):
    """The model with one case a scan, whose slices stay encoded."""

    ct = None

    def open(self, ct) -> None:
        """Start again on a scan."""
        if ct is self.ct:
            self.case.masks.clear()
        else:
            super().open(ct)
            self.ct = ct


def by_name(model, cases) -> dict[str, dict[str, float]]:
    """Dice of each request, group by group; "" is with everything."""
    found: dict[str, dict[str, float]] = {group: {} for group in ("", *GROUPS)}
    for case in cases:
        opened = model.open(case.ct)
        known = [n for n in dict.fromkeys(case.names.values()) if n in opened.finder.known and case.mask(n).any()]
        raw = locate(model.networks.localiser, case.ct, model.networks.device) if known else None
        for group, (changes, touched) in {"": ({}, ()), **GROUPS}.items():
            asked = [name for name in known if not touched or name in touched]
            with without(THRESHOLDS, changes):
                finder = TextSegmenter(case.ct, model.networks, opened.masks, opened.encoder)
                if asked:
                    finder._coarse = settle(copy.deepcopy(raw), case.ct)
                for name in asked:
                    mask = finder.find(name).mask
                    found[group][f"{case.id} {name}"] = dice(mask.array, case.mask(name)) if mask else 0.0
                    if mask:
                        opened.remove(mask.id)
        opened.close()
        print(case.id, len(known), "structures", file=sys.stderr, flush=True)
    return found


def by_prompts(model, cases, structures) -> dict[str, dict[str, float]]:
    """Dice after the box and after the last click of each object, group by group; "" is with everything."""
    found: dict[str, dict[str, float]] = {group: {} for group in ("", *PROMPTS)}
    rules = replace(PLAIN, nsd_above=2.0)  # no surface distances
    for case in cases:
        method = Kept(model)
        for group, changes in {"": {}, **PROMPTS}.items():
            with without(THRESHOLDS_OF_PROMPTS, changes):
                for result in run_case(method, case, structures or structures_of(case), CLICKS, rules=rules):
                    for after, at in (("box", 0), (f"{CLICKS} clicks", -1)):
                        found[group][f"{case.id} {result.structure}, {after}"] = result.dice[at]
            print(case.id, group, [round(v, 3) for v in found[group].values()][-2:], file=sys.stderr, flush=True)
        method.case.close()
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=Path, required=True)
    parser.add_argument("--split", default="val")
    parser.add_argument("--case", nargs="*")
    parser.add_argument("--prompts", action="store_true")
    parser.add_argument("--structure", nargs="*")
    options = parser.parse_args()
    model = medvl.load("nano", device="cpu")
    cases = labelled_cases(options.cases, None if options.case else options.split, options.case)
    found = by_prompts(model, cases, options.structure) if options.prompts else by_name(model, cases)
    whole = found.pop("")
    print("| left out | requests | Dice with all | without | changed most |\n|---|---|---|---|---|")
    for group, values in found.items():
        if values:
            moved = sorted(((values[k] - whole[k], k) for k in values), key=lambda item: -abs(item[0]))[:3]
            most = ", ".join(f"{name} {change:+.3f}" for change, name in moved if abs(change) >= 0.002)
            with_all, left_out = (mean(v[k] for k in values) for v in (whole, values))
            print(f"| {group} | {len(values)} | {with_all:.4f} | {left_out:.4f} | {most or 'none'} |")


if __name__ == "__main__":
    main()
