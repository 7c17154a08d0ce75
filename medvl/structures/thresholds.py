"""Every threshold of the way from a name to a mask, and the scans that it was chosen on.

A value marked *one scan* has no second scan that supports it, one marked *phantom* no scan at all: look at these first
where a mask is wrong. Scans of ``cases.json`` are named as there; a scan that a value was chosen on does not validate
it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


def _by_name(**values: float) -> Mapping[str, float]:
    return field(default_factory=lambda: MappingProxyType(values))


@dataclass(frozen=True)
class Thresholds:
    """Read once by every module of the package as ``THRESHOLDS``."""

    # ---- which pieces of a coarse map are a structure (``finder``). Chosen on the training torsos (``ts_abdomen``,
    # ``lidc_0001``, ``lidc_0314``, ``crlm_1004``, ``acrin_flt_1``, ``acrin_flt_2``, ``platipy_chest``).
    min_peak: float = 0.7  # probability that the surest voxel of a piece must reach
    least_ml: float = 1.0  # of a mask; what is smaller is absent
    least_ml_of: Mapping[str, float] = _by_name(
        liver=20.0, heart=20.0, right_lung=20.0, left_lung=20.0, spleen=5.0, stomach=5.0, urinary_bladder=5.0,
        vertebral_column=5.0, other_bone=5.0, right_kidney=3.0, left_kidney=3.0,
    )  # fmt: skip
    sharpen_iou: float = 0.6  # of SAM 2's mask with the slice that it may sharpen (``edge="sam2"``)

    # Mean probability of a structure's coarse voxels, below which its mask is told as doubtful. On the labelled scans
    # of val (70 masks) below it 4 of 4 had a Dice of .54 or less, .82 to .90 a mean of .56, from .94 on .93.
    sure: float = 0.82

    # ---- which regions of the body are in view (``regions``). Chosen on the training scans of ``region_head``.
    region_mm: float = 12.0  # along the body that must show a region
    elsewhere: float = 0.15  # mean probability of a piece's region over it, below which it lies in another

    # ---- small persons are looked at larger (``magnification``). The training torsos measure 235 to 316 mm;
    # of the labelled scans only ``oppo_plain`` of val is smaller (194 mm). One scan: mean Dice of its 17 structures .44
    # as it is, .51 at 1.15 and at 1.3; on ``crlm_1006``, of usual size, .869, .864 and .839.
    usual_section_mm: float = 235.0  # diameter of a circle as large as the median section of the trunk
    most_magnified: float = 1.35
    least_magnified: float = 1.05  # less changes nothing that is worth a second look
    whole_section: float = 0.02  # share of a section's own edge in the scan's edge; beyond, the section is cut

    # ---- where the edge runs (``delineation``). Chosen on the same training torsos; of the head and neck on the
    # training cases of OpenKBP.
    hu_weight: float = 0.6  # how much the HU of a voxel may move the edge against the localiser's word
    hu_weights: Mapping[str, float] = _by_name(other_bone=0.8, brainstem=0.3, larynx=0.1)
    # Logit from which on a voxel is inside. Above 0 because every structure's cross-entropy counts alike in training,
    # which makes small structures likelier than they are: at 0 masks have two to ten voxels too many for one too few.
    # The head and neck's few patches make it larger there.
    edge_logit: float = 0.7
    edge_logits: Mapping[str, float] = _by_name(
        trachea=0.4, inferior_vena_cava=1.0, duodenum=1.0, esophagus=1.2, larynx=1.4, spinal_cord=1.6, brainstem=2.0,
        right_parotid=2.0, left_parotid=2.0,
    )  # fmt: skip
    inside_probability: float = 0.85  # from there on a voxel tells the HU inside ...
    outside_probability: tuple[float, float] = (0.005, 0.15)  # ... and between these the HU just outside
    told_voxels: int = 30  # of each, to tell anything
    evidence_limit: float = 3.0  # of the HU's logit
    refine_margin_mm: float = 15.0  # of the crop round what the localiser found (``refine``); not varied
    # A piece of bone is kept only if the localiser is this sure of its surest twentieth ...
    bone_piece_probability: float = 0.8
    # ... and if its HU spread as cortex and marrow do; blood or bowel with contrast medium is even inside. On the nine
    # labelled torso scans (``crlm_1006`` and ``cmb_crc_chest`` of val among them) bones have an SD of 64 HU and more,
    # such pieces mostly 46 or less.
    bone_piece_sd_hu: float = 50.0
    cortex_hu: float = 600.0  # even cortex is denser than such pieces; the same scans
    marrow_mm2: float = 600.0  # the largest hole of a bone in an axial slice that is filled as marrow; the same scans
    speck_ml: float = 0.3

    # ---- tails of compact organs at the end of a scan (``tails``). Necks of two tails: the bladder of ``ts_abdomen``
    # (0.79 of the tail, 0.14 of the organ) and the pancreas of ``crlm_1006`` of val (0.60, 0.26). Of the 26 ends in the
    # labels of the torso cases where such an organ really is cut, the section of none falls below 0.9.
    neck_of_tail: float = 0.85  # a neck is at most this share of the tail's widest section
    neck_of_largest: float = 0.3  # ... and of the organ's largest section
    tail_share: float = 0.2  # of the organ at most; more would be half an organ

    # ---- pieces unlike their organ (``unlike_pieces``). Chosen on ``ts_chest_cta`` and ``crlm_1006``, both of val; of
    # the training torsos they change a right kidney by +.014 and a liver by -.001.
    brighter_sd: float = 3.0  # robust SD that a piece must be brighter by ...
    brighter_hu: float = 50.0  # ... and HU
    unlike_least_ml: float = 3.0  # less is a vessel
    enclosed: float = 0.9  # share of a piece's shell; what is enclosed (a haemangioma) is part of the organ
    core_voxels: int = 100  # of an organ, to say what it is like
    # The greater part of an organ is what the organ is like, be it ever so much brighter than the other of the pair
    # (whose artery may be narrow); and a much smaller one of the pair may itself be something else.
    most_of_organ: float = 0.5
    comparable: float = 0.3
    tip_probability: float = 0.95  # that a kidney's tip at the end of the scan gets; one scan (``ts_chest_cta``)
    unlike_reach: int = 2  # coarse voxels round a piece that are its own rim, unless nearer to the organ's inside

    # ---- further structures (``details``): labels of ``ts_abdomen`` and ``lidc_0001``, eyes on five more torsos.
    detail_min_peak: float = 0.8  # of the head: what it is less sure of everywhere is not there
    detail_reach: float = 1.0  # SD in coarse voxels by which its word on a bone reaches beyond where it gave it
    detail_piece_share: float = 0.05  # of the largest piece of a scattered structure or a lobe
    # What anatomy says of heights, since nothing else limits a class along the body: arms and skull were taken for
    # ribs and pelvis on two scans. The limits themselves were tried on phantoms.
    above_lungs_mm: float = 40.0  # ribs and sternum reach no farther above the lungs; phantom
    psoas_beside_lungs_mm: float = 100.0  # it begins beside the lowest thoracic vertebra, the lungs end near; phantom
    detail_least_ml: Mapping[str, float] = _by_name(
        sacrum=5.0, hip_bone=5.0, femur=5.0, ribs=3.0, scapula=3.0, sternum=3.0, clavicle=2.0, humerus=3.0,
        costal_cartilages=5.0, back_muscles=10.0, iliopsoas=5.0, gluteal_muscles=10.0, colon=10.0, small_bowel=10.0,
        adrenal_gland=0.8, thyroid_gland=2.0, portal_vein=3.0, iliac_artery=2.0, iliac_vein=2.0,
        superior_vena_cava=3.0, upper_lobe=20.0, middle_lobe=10.0, lower_lobe=20.0,
    )  # fmt: skip

    # ---- the spine (``spine``, ``vertebrae``, ``vertebra_levels``). Chosen on ``ts_abdomen`` and ``lidc_0001``, which
    # alone have labels of single vertebrae; looked at on nine more scans.
    min_radius_mm: float = 5.0  # a section whose largest circle is smaller holds no body
    smooth_mm: float = 10.0  # SD that smooths the centreline: below it are steps of the mask, above it curves
    shortest_mm: float = 60.0  # of the centreline; in less no row of discs is found
    tilt_penalty_hu: float = 0.6  # per degree
    # A body with its disc is near this many radii of the body high, and grows downward; each with the SD of its log.
    height_in_radii: float = 1.9
    height_sd: float = 0.22
    growth: float = 0.04
    growth_sd: float = 0.10
    pedicle_weight: float = 0.6
    per_disc: float = 0.6
    open_end: float = 0.35  # share of a vertebra that must be seen where the scan ends in it
    plausible: tuple[float, float] = (0.6, 1.5)  # height of a vertebra against what is expected of its width
    least_lumbar_mm: float = 20.0  # height of T12 and the lumbar vertebrae with their discs, of adults
    endplate_mm: float = 2.0  # of an endplate on the disc's side of its brightest line
    arch_behind: float = 1.2  # radii of the body behind the centreline: from there on bone belongs to the arches
    # Way through an arch: short where bone is dense, long through a joint between two arches.
    arch_hu: float = 250.0
    arch_per_hu: float = 80.0
    upward: float = 2.0  # times as long is a way headward: the processes of an arch point down
    # The wings of the sacrum: beside its body, where a lumbar vertebra has muscle, there is bone on both sides.
    wing_mm: tuple[float, float] = (28.0, 44.0)  # one scan has a sacrum and labels: ``ts_abdomen``
    wing_share: float = 0.45  # of that place where they begin; transverse processes of L5 fill less; one scan
    wing_on_share: float = 0.25  # on average from there on downward; a first rib does not go on; one scan
    wing_on_mm: int = 36
    sacrum_seen_mm: int = 15  # of it that must be in view
    disc_by_wings_mm: tuple[int, int] = (-4, 14)  # where the lowest disc lies above the top of the wings; one scan
    # Ribs: bone that reaches this far beside the centreline. Transverse processes beside the last rib reach at most as
    # far as the other value; of what lies between the two it is not told which it is.
    rib_mm: float = 48.0
    process_mm: float = 42.0
    begins_mm: float = 24.0  # beside the centreline: from there on ribs are looked for ...
    within_mm: float = 52.0  # ... up to there
    root_mm: float = 38.0  # where a rib's root lies at most
    behind_mm: tuple[float, float] = (-48.0, -12.0)  # how far in front of the centreline its root lies
    high_up_mm: float = 24.0  # at vertebrae less high than that, those of the upper chest, ...; one scan, lidc_0001
    forward_mm: float = 20.0  # ... up to that far in front; one scan
    thick_mm: float = 13.5  # thinner than a kidney with contrast medium, ...
    over_hu: float = 70.0  # ... and that much brighter than round it
    rib_hu: tuple[float, ...] = (110.0, 180.0, 260.0)  # the higher ones part ribs that touch
    rib_voxels: int = 25
    rib_levels: tuple[float, float] = (0.3, 1.3)  # share of a vertebra's height at which its ribs begin
    seen_levels: tuple[float, float] = (0.3, 0.85)  # which of them must be in view to say that there is no rib ...
    fall_mm: float = 25.0  # ... and this far below them, since ribs fall outward
    least_ribs: int = 2  # vertebrae in a row that bear ribs; fewer are no chest
    apex: tuple[float, float] = (0.4, 1.5)  # share of the height of T1 at which the lungs end; one scan, lidc_0001


THRESHOLDS = Thresholds()
