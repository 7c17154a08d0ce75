"""Named structures to 3-D masks: the localiser says where, the voxels' own HU (or SAM 2) say where exactly.

``TextSegmenter`` is the product's ``Finder``: it keeps the coarse map of a CT and the masks it made, so that a
structure is looked for once. A mask that a person corrected by clicks is the one that is measured from then on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
from scipy import ndimage

from ..ct.mask_list import MaskList
from ..ct.masks import Mask
from ..ct.prompts import Box
from ..ct.volume import CTVolume
from ..ct.windows import BODY_HU, window_for
from ..errors import Cancelled
from ..networks.detail_head import locate_details
from ..networks.localiser import CoarseMap, locate
from ..networks.networks import Networks
from ..prompting.plane_masks import SlicePrompts, box_round, deepest, iou_of
from ..prompting.slice_encoder import SliceEncoder
from ..prompting.slice_segmenter import SliceSegmenter
from ..vocabulary.spoken import name, sentence
from ..vocabulary.vertebra_names import LEVEL_OF
from .delineation import SCATTERED, clean, delineate, upsampled
from .details import DETAILS, detail_probability, largest, lung_tips_mm, part_of
from .found import Found
from .magnification import enlarged, magnification
from .refine import refined
from .regions import View, within_view
from .tails import COMPACT, without_tails
from .thresholds import THRESHOLDS
from .unlike_pieces import settle
from .vertebrae import Vertebrae, divide

BODY = "body"
DOUBT = "the model is unsure of its outline"
PAIRS = {"right_kidney": "left_kidney", "right_parotid": "left_parotid"}
SKELETON = ("vertebral_column", "other_bone")  # single vertebrae are told from the bones of both
BY_HU = ("other_bone", "right_lung", "left_lung", "trachea")  # the edge in HU is plain there, SAM 2 adds nothing


class TextSegmenter:
    """Finds structures of one CT by name. See ``found.Finder``."""

    def __init__(self, ct: CTVolume, networks: Networks, masks: MaskList, encoder: SliceEncoder) -> None:
        """Prepare a CT.

        Args:
            ct: the CT.
            networks: a localiser among them, else no name is known.
            masks: where masks that are found are put.
            encoder: of the same CT, for ``edge="sam2"``.
        """
        self.ct = ct
        self._networks = networks
        self._masks = masks
        self._encoder = encoder
        self._coarse: CoarseMap | None = None
        self._view: View | None = None
        self._details: CoarseMap | None = None
        self._carriers: dict[str, tuple[Box, np.ndarray]] = {}
        self._vertebrae: Vertebrae | None = None
        self._found: dict[str, Found] = {}

    @property
    def known(self) -> frozenset[str]:
        """Ids that ``find`` can look for; none where the model has no localiser."""
        net = self._networks.localiser
        if net is None:
            return frozenset()
        head = self._networks.detail_head
        offered = frozenset(head.config.offered) & DETAILS.keys() if head else frozenset()
        whole = frozenset((*net.config.structures, BODY)) - frozenset(net.config.withheld)
        return whole | offered | (frozenset(LEVEL_OF) if whole.issuperset(SKELETON) else frozenset())

    @property
    def nbytes(self) -> int:
        """Memory of the coarse maps and of the masks that details are cut from."""
        kept = [m for m in (self._coarse, self._details, self._vertebrae) if m is not None]
        return sum(m.nbytes for m in kept) + sum(array.nbytes for _, array in tuple(self._carriers.values()))

    @property
    def found(self) -> tuple[Found, ...]:
        """What looking gave so far, in order."""
        return tuple(self._found.values())

    def recall(self, found: Iterable[Found]) -> None:
        """Take over what looking gave before, of a saved case: it is not looked for again."""
        self._found |= {one.structure: one for one in found if one.structure in self.known}

    def coarse(
        self, cancel: threading.Event | None = None, progress: Callable[[float], None] | None = None
    ) -> CoarseMap:
        """The localiser's map of this CT without pieces unlike their organ or out of its region, computed once."""
        if self._coarse is None:
            coarse, self._view = self._look(1.0, cancel, progress)
            times = 1.0 if self._view is None else magnification(coarse, self._view)
            if times > 1:
                coarse, self._view = self._look(times, cancel, progress)
            self._coarse = coarse if self._view is None else within_view(coarse, self._view)
        return self._coarse

    def _look(
        self,
        times: float,
        cancel: threading.Event | None,
        progress: Callable[[float], None] | None,
    ) -> tuple[CoarseMap, View | None]:
        """What the localiser says of the body looked at that many times larger, and what it shows."""
        model, ct = self._networks, enlarged(self.ct, times)
        coarse = replace(settle(locate(model.localiser, ct, model.device, cancel, progress), ct), magnified=times)
        return coarse, None if model.region_head is None else View.of(model.region_head, coarse)

    def view(
        self, cancel: threading.Event | None = None, progress: Callable[[float], None] | None = None
    ) -> View | None:
        """Which regions of the body the scan shows; None where the model cannot tell."""
        self.coarse(cancel, progress)
        return self._view

    def find(
        self,
        structure: str,
        cancel: threading.Event | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> Found:
        """Look for one structure; see ``Finder.find``."""
        if structure not in self.known:
            return Found(structure, None, "unknown")
        begin = time.perf_counter()
        known = self._found.get(structure)
        if known is None:
            view = self.view(cancel, progress)
            outside = view is not None and not view.shows(structure)
            mask = None if outside else self._segment(structure, cancel, progress)
            note = self._note(structure)
            if outside:
                known = Found(structure, None, "absent", reason=view.looks_like)
            elif mask is None:
                known = Found(structure, None, "absent", note=note)
            else:
                sure = self._sure(structure)
                if sure is not None and sure < THRESHOLDS.sure:
                    mask = replace(mask, doubt=DOUBT)
                known = Found(structure, self._masks.put(mask), "found", note=note, sure=sure)
            self._found[structure] = known
        elif known.mask is not None:
            # The list of masks is the person's: a corrected mask counts as corrected, a deleted one comes back.
            mask = self._masks.get(known.mask.id) or self._masks.put(replace(known.mask, id=""))
            known = replace(known, mask=mask)
            self._found[structure] = known
        return replace(known, seconds=time.perf_counter() - begin)

    def _segment(
        self, structure: str, cancel: threading.Event | None, progress: Callable[[float], None] | None
    ) -> Mask | None:
        coarse = self.coarse(cancel, progress)
        if structure == BODY:
            array = _body(self.ct, coarse.body)
            return Mask.from_array(array, id="", name="Body", color=self._masks.next_color())
        if structure in LEVEL_OF:
            part = self._vertebra(structure)
        else:
            look = self._detail if structure in DETAILS else self._whole
            part = look(structure, cancel, progress)
        if part is None:
            return None
        box, array = part
        whole = structure not in DETAILS and structure not in LEVEL_OF
        if self._networks.edge == "sam2" and whole and structure not in BY_HU:
            array = clean(self._sharpen(box, array, cancel, progress), structure, self.ct)
        title = sentence(name(structure))
        return Mask.from_block(self.ct.shape, box, array, id="", name=title, color=self._masks.next_color())

    def _whole(
        self,
        structure: str,
        cancel: threading.Event | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> tuple[Box, np.ndarray] | None:
        """One of the localiser's structures, drawn by the refiner or its edge in the HU; None where it is not there."""
        model, coarse = self._networks, self.coarse()
        probability = coarse_probability(coarse, structure)
        if probability is None:
            return None
        least = THRESHOLDS.least_ml_of.get(structure, THRESHOLDS.least_ml) / self.ct.voxel_volume_ml
        if model.refiner is not None and model.edge == "hu" and structure in model.refiner.config.offered:
            part = refined(probability, structure, coarse, self.ct, model.refiner, model.device, cancel, progress)
            if part is not None and part[1].sum() >= least:
                return part
        box, array = delineate(probability, structure, self.ct, self._networks.edge != "none")
        if array.sum() < least:
            # Of a tip at the end of the scan too little is found, not too much: no margin is taken off.
            box, array = delineate(probability, structure, self.ct, self._networks.edge != "none", edge_logit=0.0)
        if structure in COMPACT:
            array = without_tails(array, box, self.ct.shape)
        return (box, array) if array.sum() >= least else None

    def _detail(
        self, structure: str, cancel: threading.Event | None, progress: Callable[[float], None] | None
    ) -> tuple[Box, np.ndarray] | None:
        """One of the detail head's structures; None where it is not there."""
        model, detail, coarse = self._networks, DETAILS[structure], self.coarse()
        if self._details is None:
            self._details = locate_details(
                model.localiser,
                model.detail_head,
                enlarged(self.ct, coarse.magnified),
                coarse,
                model.device,
                cancel,
                progress,
            )
        probability = detail_probability(self._details, coarse, detail)
        if probability is None:
            return None
        if not detail.carrier:
            box, array = delineate(probability, structure, self.ct, self._networks.edge != "none")
            array = largest(array, detail.kind)
        else:
            carrier = self._carrier(detail.carrier)
            if carrier is None:
                return None
            box, array = part_of(carrier[1], carrier[0], self.ct.shape, self._details, coarse, detail)
        return (box, array) if array.sum() * self.ct.voxel_volume_ml >= detail.least_ml else None

    def _vertebra(self, structure: str) -> tuple[Box, np.ndarray] | None:
        """A single vertebra; None where it is not in view, or where it cannot be told which it is."""
        if self._vertebrae is None:
            column, bones = (self._carrier((one,)) for one in SKELETON)
            if column is None:
                return None
            bone = np.zeros(self.ct.shape, bool)
            for box, array in filter(None, (column, bones)):
                bone[box.slices] |= array
            self._vertebrae = divide(column[1], column[0], bone, self.ct, lung_tips_mm(self.coarse()))
        array = self._vertebrae.of(LEVEL_OF[structure])
        return None if array is None or not array.any() else (self._vertebrae.box, array)

    def _sure(self, structure: str) -> float | None:
        """How sure the localiser is of one of its structures: the mean over the voxels that it counts to it."""
        if structure not in self._networks.localiser.config.structures:
            return None
        probability = coarse_probability(self.coarse(), structure)
        return None if probability is None else float(probability[probability > 0.5].mean())

    def _note(self, structure: str) -> str:
        """How a single vertebra was counted, or why none can be told apart; "" of anything else."""
        if structure not in LEVEL_OF or self._vertebrae is None:
            return ""
        if self._vertebrae.refusal:
            return self._vertebrae.refusal
        if LEVEL_OF[structure] not in self._vertebrae.levels:
            return ""
        doubt = f" ({self._vertebrae.doubt}, perhaps for a transitional vertebra)" if self._vertebrae.doubt else ""
        return f"divided from the vertebral column, and counted from the {self._vertebrae.anchor}{doubt}"

    def _carrier(self, structures: tuple[str, ...]) -> tuple[Box, np.ndarray] | None:
        """The union of structures that details are parts of, kept; None where there is none of them."""
        for one in structures:
            if one not in self._carriers:
                found = self._whole(one)
                self._carriers[one] = found or (Box((0, 0, 0), (1, 1, 1)), np.zeros((1, 1, 1), bool))
        parts = [self._carriers[one] for one in structures if self._carriers[one][1].any()]
        if len(parts) < 2:
            return parts[0] if parts else None
        lo = tuple(map(min, zip(*(box.lo for box, _ in parts), strict=True)))
        hi = tuple(map(max, zip(*(box.hi for box, _ in parts), strict=True)))
        union = np.zeros(tuple(b - a for a, b in zip(lo, hi, strict=True)), bool)
        for box, array in parts:
            union[tuple(slice(a - o, b - o) for a, b, o in zip(box.lo, box.hi, lo, strict=True))] |= array
        return Box(lo, hi), union

    def _sharpen(
        self,
        box: Box,
        array: np.ndarray,
        cancel: threading.Event | None,
        progress: Callable[[float], None] | None,
    ) -> np.ndarray:
        """SAM 2 on every axial slice of a mask, mixed with it where both speak of the same thing."""
        slices = SliceSegmenter(self._encoder, self._networks.propagator)
        frame = slices.frames[2]
        full = np.zeros(self.ct.shape[:2], bool)
        out = array.copy()
        window = window_for(self.ct.hu[box.slices][array])
        for k in range(array.shape[2]):
            if cancel is not None and cancel.is_set():
                raise Cancelled("Stopped while delineating.")
            if not array[:, :, k].any():
                continue
            full[:] = False
            full[box.slices[:2]] = array[:, :, k]
            plane = full[::-1, ::-1].T
            inside = ndimage.distance_transform_edt(plane) - ndimage.distance_transform_edt(~plane)
            logits = np.clip(inside, -8, 8).astype(np.float32)
            prompts = [SlicePrompts(((*deepest(plane), True),), box_round(plane, (), frame.shape))]
            found, iou = slices.predict(2, box.lo[2] + k, window, prompts, [logits])
            near = np.array([iou_of(m > 0, plane) for m in found[0]])
            best = int((near + 0.3 * iou[0]).argmax())
            if near[best] > THRESHOLDS.sharpen_iou:
                mixed = np.clip(found[0][best], -4, 4) + np.clip(inside, -4, 4)
                out[:, :, k] = frame.to_volume_slice(mixed > 0)[box.slices[:2]]
            if progress:
                progress((k + 1) / array.shape[2])
        return out


def coarse_probability(coarse: CoarseMap, structure: str) -> np.ndarray | None:
    """Probability of a structure on the coarse grid, its false pieces removed; None where it is not there.

    Of a pair, every piece goes to the side of the body that it lies on, whatever the network called it: sides are
    geometry, and the patient's right is where i is larger.
    """
    sided = next(((r, l) for r, l in PAIRS.items() if structure in (r, l)), None)
    if sided:
        both = coarse.of(sided[0]) + coarse.of(sided[1])
        labels, count = ndimage.label(both > 0.5)
        middle = _midline(coarse)
        keep = np.zeros(count + 1, bool)
        for n, centre in enumerate(ndimage.center_of_mass(both, labels, range(1, count + 1)), start=1):
            keep[n] = (centre[0] > middle) == (structure == sided[0])
        side = (
            ndimage.distance_transform_edt(labels == 0, return_distances=False, return_indices=True) if count else None
        )
        if side is None:
            return None
        probability = np.where(keep[labels[tuple(side)]], both, 0.0)
    else:
        probability = coarse.of(structure)
    on = probability > 0.5
    labels, count = ndimage.label(on, structure=np.ones((3, 3, 3)))
    if count == 0:
        return None
    index = range(1, count + 1)
    weight = ndimage.sum_labels(probability, labels, index)
    peak = ndimage.maximum(probability, labels, index)
    good = np.flatnonzero(np.asarray(peak) >= THRESHOLDS.min_peak)
    if good.size == 0:
        return None
    if structure not in SCATTERED:
        good = good[[int(np.asarray(weight)[good].argmax())]]
    # The soft rim of a kept piece belongs to it, as far as no other piece is nearer.
    nearest = ndimage.distance_transform_edt(~on, return_distances=False, return_indices=True)
    mine = np.isin(labels[tuple(nearest)], good + 1)
    return np.where(mine, probability, 0.0).astype(np.float32)


def _midline(coarse: CoarseMap) -> float:
    """Coarse index i of the body's middle: of the vertebral column where it is seen, else of the body."""
    for mask in (coarse.of("vertebral_column") > 0.5 if "vertebral_column" in coarse.structures else None, coarse.body):
        if mask is not None and mask.sum() > 20:
            return float(np.median(np.nonzero(mask)[0]))
    return coarse.body.shape[0] / 2


def _body(ct: CTVolume, coarse: np.ndarray) -> np.ndarray:
    """Body outline at full resolution: HU decide near the coarse outline, the coarse body elsewhere."""
    box = Box((0, 0, 0), ct.shape)
    depth = ndimage.distance_transform_edt(coarse) - ndimage.distance_transform_edt(~coarse)
    fine = upsampled(depth.astype(np.float32), ct.shape, box)
    return (fine > 2) | ((fine > -2) & (ct.hu > BODY_HU))
