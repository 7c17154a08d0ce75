"""Which thresholds of the way from a name to a mask earn their place: each group left out, and what Dice becomes.

    python tests/benchmarks/thresholds.py --cases ../shared/data/cases.json [--split val] [--case ID ...]

The localiser looks at each scan once; from its map on, everything is done again without one group of
``medvl.structures.thresholds``, for the structures that the group can touch. Prints one line a group: mean Dice with
everything, mean without the group, and the requests that changed most.
"""

from __future__ import annotations

import argparse
import copy
import sys
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import mean

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import medvl  # noqa: E402 - after the path
from medvl.evaluation.cases import labelled_cases  # noqa: E402 - after the path
from medvl.evaluation.segmentation_metrics import dice  # noqa: E402 - after the path
from medvl.networks.localiser import locate  # noqa: E402 - after the path
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


@contextmanager
def without(changes: Mapping[str, object]):
    """The package's thresholds with other values."""
    before = {name: getattr(THRESHOLDS, name) for name in changes}
    for name, value in changes.items():
        object.__setattr__(THRESHOLDS, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            object.__setattr__(THRESHOLDS, name, value)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=Path, required=True)
    parser.add_argument("--split", default="val")
    parser.add_argument("--case", nargs="*")
    options = parser.parse_args()
    model = medvl.load("nano", device="cpu")
    found: dict[str, dict[str, float]] = {group: {} for group in ("", *GROUPS)}
    for case in labelled_cases(options.cases, None if options.case else options.split, options.case):
        opened = model.open(case.ct)
        known = [n for n in dict.fromkeys(case.names.values()) if n in opened.finder.known and case.mask(n).any()]
        raw = locate(model.networks.localiser, case.ct, model.networks.device) if known else None
        for group, (changes, touched) in {"": ({}, ()), **GROUPS}.items():
            asked = [name for name in known if not touched or name in touched]
            with without(changes):
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
