"""Every threshold of the way from clicks and boxes to a mask, and the scans that it was chosen on.

Where nothing else is said, a value was set by hand while watching ``ts_abdomen``, the bundled scan, and so rests on
*one scan*. Figures on ``ts_abdomen`` do not validate it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Thresholds:
    """How prompts, SAM 2, the propagation network and the localiser are weighed; read as ``THRESHOLDS``."""

    coarse_ratio: float = 2.5  # of slice spacing over pixel, from which on objects are carried across the slices only
    min_area_mm2: float = 12.0  # below this an object counts as ended on a slice
    scribble_points: int = 3  # positive clicks on one slice from which its first mask is shown to SAM 2 again
    large_area_mm2: float = 40_000.0  # hardly an organ has a larger slice; a click does not mean the whole body

    # ---- two experts on one slice (``slice_segmenter``)
    agreed_score: float = 0.05
    """By how much a mask of a box may score less than the best and still have a say. Chosen on boxed slices of seven
    ``sarcoma_*``, ``lidc_0314`` and ``lits_117_crop``; the held ``ibsi_lung_*`` went from .817 to .831 there."""
    box_weight: float = 1.0
    """Of how well a mask fills its box, beside predicted IoU. Chosen on boxed slices of ``sarcoma_001`` to ``_005``,
    ``lidc_0314`` and 14 made tumours in lungs of training scans: .919 with a half, .923 with 1, .924 with 1.5.
    Scores of ``ibsi_lung_*`` had been seen: they do not validate it."""
    sam_weight: float = 0.5  # of SAM 2's logits where it agrees with the propagated mask
    min_agreement: float = 0.5  # IoU with the propagated mask below which SAM 2 is not listened to
    logit_limit: float = 6.0
    candidate_weights: tuple[float, ...] = (2.0, 1.8, 0.3, 0.1, 1.0, 0.75)
    """Of what is known of a candidate for a corrected slice (``SliceSegmenter._candidates``). Fitted on 27 corrections
    of ``crlm_1004``; one scan."""
    leak_weight: float = 1.5  # against a candidate that adds much tissue of other HU; ``crlm_1006`` (val), one scan

    # ---- the localiser as a third expert (``structure_prior``); ``ts_abdomen``, and looked at on ``crlm_1004``
    prior_weight: float = 0.5  # of its logits, where the object is one of its structures
    corrected_prior_weight: float = 0.25  # the same once a person has corrected the object
    prior_limit: float = 4.0  # of its logits
    match_iou: float = 0.65  # of the slice with a structure's, from which on it counts as that structure
    match_box_iou: float = 0.65  # of the drawn box with the box round a structure on that slice
    cortex_hu: float = 150.0  # that a twentieth of a bone's section exceeds: cortex has more, soft tissue less
    air_hu: float = -200.0  # that a quarter of a lung's or airway's section is below
    # A mask of one click is a structure's part if the localiser is this sure at the click (logit), ... These five were
    # chosen on 126 clicks on two training scans (``ts_abdomen``, ``crlm_1004``).
    part_logit: float = 1.5
    part_inside: float = 0.85  # ... the mask lies in the structure to this share, ...
    part_least: float = 0.03  # ... is at least this share of its section (less is something in it), ...
    part_apart: float = 0.5  # ... and the medians of mask and rest differ by less than this share of the larger
    part_spread_hu: float = 15.0  # interquartile range, which counts as this at least
    rest_pixels: int = 30  # of the rest, to tell its median

    # ---- a box round two parts (``two_parts``). Set on the aorta of ``crlm_1006`` (val): one scan.
    unsure_iou: float = 0.82  # predicted IoU of the best single mask, below which two parts are looked for
    sure_iou: float = 0.85  # least predicted IoU of a part
    surer: float = 0.08  # by which both parts must be surer than the single mask
    filled: float = 0.88  # least IoU of the box round both with the drawn box
    alike_hu: float = 40.0  # most that their median HU may differ
    part_in_box: float = 0.9  # of a part that lies in the box
    part_of_box: float = 0.02  # of the box, of a part

    # ---- what a click means (``clicks``); ``ts_abdomen`` and ``crlm_1004``
    whole_region_depth: float = 0.5  # a negative click this deep in a region (1 is its middle) means all of it
    vouched_iou: float = 0.5  # of a region with the localiser's, from which on it speaks for the region
    support_mm: float = 10.0  # a slice this near to a box or positive point is not taken away whole
    part_share: float = 0.6  # of a mask that one negative click may take where nothing says how much is wrong
    least_removed_mm: float = 5.0  # round a negative click that goes in any case
    disc_share: float = 0.7  # of the distance to the edge that goes where the click is deep in no part
    rim_mm: float = 4.0  # the edge of what the localiser sees is not surer than this
    left_share: float = 0.35  # of a slice, below which the rest goes too where nothing speaks for it
    added_mm: float = 4.0  # round a positive click where SAM 2 sees nothing

    # ---- how far a correction speaks (``corrections``, ``segmenter``); ``ts_abdomen`` and ``crlm_1004``
    correction_reach_mm: float = 40.0  # of a corrected slice towards the next anchor
    negative_reach_mm: float = 8.0  # along the axis, of a click that only takes away
    negative_far_mm: float = 20.0  # beyond it such a click changes nothing, but for the slice beside its own
    removed_logit: float = -1.0  # at most, of what a correction took away
    followed_mm2: float = 60.0  # below this what was taken away is not followed as a thing of its own
    spread_mm: float = 3.0  # how much farther than on the slice before a correction may reach within a slice

    # ---- evidence that an object ends (``end_evidence``). The lump was chosen on ``sarcoma_001``, ``_003``, ``_004``,
    # ``_005``, ``_006``, ``_008`` and ``lidc_0314``: a mean of .61 without and .79 with it after one box, flat between
    # lengths of 1.1 and 1.4.
    lump_weight: float = 0.5  # of what a lump as long as wide would look like, beside the other logits
    lump_length: float = 1.1  # its half length over its radius
    lump_steepness: float = 8.0  # of its logits, over its radius
    reach: float = 1.3  # distance from the prompted slice over the extent there
    # Guards against what the lump and the spread leave: none of the scans above reaches these four.
    growth: float = 2.0  # area over that on the prompted slice
    overlap: float = 0.3  # of the mask, with that on the slice before
    drift_sd: float = 2.5  # of the HU on the prompted slice ...
    drift_hu: float = 60.0  # ... and at least so many HU, from there to the median
    spread_per_gap: float = 1.0  # how far the outline may move in the plane from one slice to the next, over their gap,
    spread_least_mm: float = 4.0  # and added to that

    # ---- tails that are cut off afterwards (``object_ends``)
    tail_share: float = 0.12  # of the largest slice's area, below which slices at an end are a tail
    tail_mm: float = 15.0  # a tail longer than this is something else that goes on (ureter, vessel, muscle)
    tail_kept_mm: float = 6.0

    # ---- [SEG] (``pointing``)
    pointed_iou: float = 0.1  # with the coarse map, whose voxels are large, below which SAM 2 sees another thing


THRESHOLDS = Thresholds()
