"""What a message asks for, as calls of tools: one small dataclass a tool. A message holds one call or several.

How to write a call down (``calls.schema`` reads and writes this form): ``{"tool": "measure", "what": "volume", "of":
["spleen"]}``; a field at its default is left out. ``of`` says what the tool is used on, a list of

- ids of structures (``left_kidney``) or groups (``kidneys``: both), as ``vocabulary.names`` has them;
- ``it``: what the last answer was about, where only that answer knows which it was ("the nearest one", a spot found in
  the image). Where the conversation itself names the structure, its id is written instead of ``it``;
- ``other``: of the pair or the two spoken of last, the one that the last answer was not about;
- ``clicked``, the mask that was clicked in the viewer; ``crosshair``, the place the viewer shows;
- ``f3``, what fact 3 of an earlier answer is about (where it was measured, for a tool that goes there); ``m2``, a mask
  of the list, for instance one that a person drew.

A thing that a person names and no id stands for goes to ``unknown`` in the person's words ("prostate"), never to the
nearest id. Left and right are the patient's. Several things in one message are several calls, in the order spoken.
What a tool does not offer (a diagnosis, another scan) is ``refuse``; what is left open ("measure it" first of all) is
``clarify``. No tool's field means two things; words that merely narrow ("infrarenal") have a field or are ``unknown``.
"""

from __future__ import annotations

from .base import IT, LISTED, REFERENCE, TOPICS, UNANSWERED, About, Call, Described, Valued, changed, mask_of, turned
from .measuring import (
    Between,
    Changes,
    Compare,
    Comparing,
    Finding,
    Measure,
    Measuring,
    Neighbours,
    Presence,
    Probe,
    Rank,
    Relate,
    Relating,
    Scan,
    Segment,
    Share,
    Total,
)
from .telling import Chat, Clarify, Edit, ListStructures, Lookup, ReadImage, Refuse, Remove, Report, Show

TOOLS: dict[str, type[Call]] = {
    call.tool: call
    for call in (
        Segment, Measure, Total, Compare, Rank, Share, Relate, Neighbours, Between, Presence, Probe, Finding, Scan,
        Report, ListStructures, Show, Edit, Remove, Lookup, Chat, ReadImage, Clarify, Refuse,
        Changes,  # new ones at the end: a network that was trained before has the others in this order
    )
}  # fmt: skip
"""Every tool by its name."""

__all__ = [
    "IT",
    "LISTED",
    "REFERENCE",
    "TOOLS",
    "TOPICS",
    "UNANSWERED",
    "About",
    "Between",
    "Call",
    "Changes",
    "Chat",
    "Clarify",
    "Compare",
    "Comparing",
    "Described",
    "Edit",
    "Finding",
    "ListStructures",
    "Lookup",
    "Measure",
    "Measuring",
    "Neighbours",
    "Presence",
    "Probe",
    "Rank",
    "ReadImage",
    "Refuse",
    "Relate",
    "Relating",
    "Remove",
    "Report",
    "Scan",
    "Segment",
    "Share",
    "Show",
    "Total",
    "Valued",
    "changed",
    "mask_of",
    "turned",
]
