"""The 3-D view: visible masks as Plotly surfaces in millimetres, in their own colours."""

from __future__ import annotations

import html
import itertools
import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import plotly.graph_objects as go

from medvl.ct.masks import Mask
from medvl.ct.volume import CTVolume
from medvl.writers.surfaces import surface

TRIANGLES = 24_000  # of one mask: 1 MB or so on the wire, and smooth to turn on a laptop
BACKGROUND = "#14171c"
INK = "#9aa4b2"
LETTER = "#ffd166"
HEIGHT = 540
HINT = "Drag to turn, wheel or pinch to zoom, right drag to move"
NO_BUTTONS = ("zoom3d", "pan3d", "orbitRotation", "tableRotation", "resetCameraLastSave3d")  # drag and wheel do that
NOTHING = "No mask to show yet.<br>Name a structure in the chat, or click one."
LETTER_ROOM = 0.06  # of the longest side, between surfaces and letters
# From the front, a little above: the patient's right is on the viewer's left, as in the planes.
TOWARDS_EYE = (0.16, 0.976, 0.146)
HALF_VIEW = math.tan(math.pi / 8)  # Plotly's camera sees 45 degrees from top to bottom
AROUND = 0.15  # opacity of what would hide all else
NARROW = 0.62  # width by height of the narrowest column that shows the view: a phone's
EMPTY_DISTANCE = 2.61  # distance of the eye where there is nothing to look at
EDGE = 1.04  # a little room round it
AXES = (("x", "L", "R"), ("y", "P", "A"), ("z", "I", "S"))  # growing to the patient's right, front and head


class _Key:
    """A mask and its grid as a cache key: by identity of the voxels, which never change in place."""

    def __init__(self, mask: Mask, affine: np.ndarray) -> None:
        self.mask, self.affine = mask, affine

    def __hash__(self) -> int:
        return hash((id(self.mask.block), self.mask.box))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self.mask.block is other.mask.block and self.mask.box == other.mask.box


@lru_cache(maxsize=32)
def _surface(key: _Key) -> tuple[np.ndarray, np.ndarray]:
    return surface(key.mask, key.affine, max_triangles=TRIANGLES)


def figure(masks: Sequence[Mask], ct: CTVolume) -> go.Figure:
    """Surfaces of masks in RAS mm.

    Args:
        masks: those to show; empty ones are left out. One that lies round all others (a body, a lung with its nodule)
            is drawn as glass.
        ct: the scan; gives the geometry.
    """
    plot = go.Figure()
    shown = [mask for mask in masks if not mask.empty]
    glass = {mask.id for mask in shown if _lies_round(mask, shown)}
    for mask in sorted(shown, key=lambda mask: mask.id in glass):  # glass last: Plotly mixes colours in this order
        vertices, faces = _surface(_Key(mask, ct.affine))
        if not len(faces):
            continue
        name = html.escape(mask.name)  # Plotly reads tags in names
        plot.add_trace(
            go.Mesh3d(
                **dict(zip("xyz", np.round(vertices, 1).T, strict=True)),
                **dict(zip("ijk", faces.T, strict=True)),
                color=mask.color,
                opacity=AROUND if mask.id in glass else 1.0,
                name=name,
                hovertemplate=f"{name}<extra></extra>",
                flatshading=False,
                lighting={"ambient": 0.45, "diffuse": 0.8, "specular": 0.15, "roughness": 0.7, "fresnel": 0.05},
                lightposition={"x": 2000, "y": 4000, "z": 3000},
            )
        )
    plot.update_layout(
        scene=_scene(plot),
        paper_bgcolor=BACKGROUND,
        font={"color": INK, "size": 12, "family": "system-ui, sans-serif"},
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        height=HEIGHT,
        showlegend=False,
        modebar={"remove": list(NO_BUTTONS), "bgcolor": "rgba(0,0,0,0)", "color": INK},
        uirevision="keep",  # a new mask does not turn the view back
    )
    hint = {"text": HINT, "showarrow": False, "x": 0.5, "y": 0, "yshift": 6, "xref": "paper", "yref": "paper"}
    plot.update_layout(annotations=[hint | {"font": {"size": 11}}])
    if not shown:
        nothing = {
            "text": NOTHING,
            "showarrow": False,
            "x": 0.5,
            "y": 0.5,
            "xref": "paper",
            "yref": "paper",
        }
        plot.update_layout(annotations=[nothing], plot_bgcolor=BACKGROUND)
        plot.update_xaxes(visible=False).update_yaxes(visible=False)  # without a mesh, Plotly draws flat axes
    return plot


def _lies_round(mask: Mask, shown: Sequence[Mask]) -> bool:
    """Whether the box of a mask holds those of all others, of which there are some."""
    others = [other.box for other in shown if other is not mask]
    low, high = np.array(mask.box.lo), np.array(mask.box.hi)
    return bool(others) and all((low <= other.lo).all() and (high >= other.hi).all() for other in others)


def _scene(plot: go.Figure) -> dict:
    """Axes, camera and letters. The longest side of the box round all surfaces and letters is one unit of the scene,
    so that the first picture holds all of it, also in a column that is narrower than high.
    """
    scene = {"bgcolor": BACKGROUND, "camera": {"eye": _eye(EMPTY_DISTANCE)}, "aspectmode": "manual"}
    axes = {f"{axis}axis": {"visible": False, "showspikes": False} for axis in "xyz"}
    if not plot.data:
        return scene | axes | {"aspectratio": dict.fromkeys("xyz", 1.0)}
    low = np.array([min(float(trace[axis].min()) for trace in plot.data) for axis in "xyz"])
    high = np.array([max(float(trace[axis].max()) for trace in plot.data) for axis in "xyz"])
    room = LETTER_ROOM * float((high - low).max())
    sides = high - low + 2 * room
    for axis, below, above in zip("xyz", low - room, high + room, strict=True):
        axes[f"{axis}axis"]["range"] = [float(below), float(above)]
    ratio = dict(zip("xyz", (float(v) for v in sides / sides.max()), strict=True))
    scene["camera"] = {"eye": _eye(_distance((high - low) / sides.max(), sides / sides.max()))}
    return scene | axes | {"aspectratio": ratio, "annotations": _letters(low, high, room)}


def _eye(distance: float) -> dict[str, float]:
    return dict(zip("xyz", (distance * part for part in TOWARDS_EYE), strict=True))


def _distance(sides: np.ndarray, lettered: np.ndarray) -> float:
    """From how far the first picture just holds all surfaces and letters.

    Args:
        sides: of the box round the surfaces, in units of the scene, whose middle the camera looks at.
        lettered: the same with the letters, which stand in the middle of its faces.
    """
    forward = np.array(TOWARDS_EYE) / np.linalg.norm(TOWARDS_EYE)
    right = np.cross((0.0, 0.0, 1.0), forward)
    right /= np.linalg.norm(right)
    up = np.cross(forward, right)
    corners = np.array(list(itertools.product((-0.5, 0.5), repeat=3))) * sides
    faces = np.concatenate([np.diag(lettered), -np.diag(lettered)]) / 2
    points = np.concatenate([corners, faces])
    reach = np.maximum(np.abs(points @ right) / NARROW, np.abs(points @ up)) / HALF_VIEW
    return EDGE * float((points @ forward + reach).max())


def _letters(low: np.ndarray, high: np.ndarray, room: float) -> list[dict]:
    """The patient's directions, written just outside the middle of each side of the box round all surfaces."""
    middle = (low + high) / 2
    letters = []
    for number, (_, down, up) in enumerate(AXES):
        for letter, place in ((down, low[number] - room), (up, high[number] + room)):
            at = middle.copy()
            at[number] = place
            spot = dict(zip("xyz", (float(v) for v in at), strict=True))
            letters.append(spot | {"text": letter, "showarrow": False, "font": {"color": LETTER, "size": 13}})
    return letters
