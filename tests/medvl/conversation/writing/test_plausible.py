"""An outline longer than its organ can be is doubted, and nothing else is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from medvl.conversation import guard
from medvl.conversation.contract import Done
from medvl.conversation.conversation import Conversation
from medvl.conversation.writing.plausible import LONGEST_MM, doubt, rough, unsure
from medvl.vocabulary.names import GROUPS, STRUCTURES

from ...scenes import finder_of, sample, scene_of

BLOCKS = {
    "right_kidney": (slice(20, 26), slice(10, 16), slice(1, 29)),
    "left_kidney": (slice(5, 11), slice(10, 16), slice(8, 20)),
}
TALL = np.diag([2.0, 2.0, 6.0, 1.0])


def test_limits_are_of_known_structures():
    assert set(LONGEST_MM) <= set(STRUCTURES) | set(GROUPS)


def test_only_the_long_one_is_doubted():
    scene = scene_of(finder_of(BLOCKS, affine=TALL))
    assert doubt(scene, "left_kidney") is None
    told = doubt(scene, "right_kidney")
    assert "check" in told.text
    assert guard.holds(told)


def test_no_reference_outline_is_doubted():
    scene = scene_of(sample())
    assert [id for id in scene.present if doubt(scene, id)] == []


def test_it_is_told_with_a_size_only():
    talk = Conversation(finder_of(BLOCKS, affine=TALL))
    said = [
        next(piece.answer.text for piece in talk.ask(text) if isinstance(piece, Done))
        for text in ("right kidney volume", "right kidney HU")
    ]
    assert "plausible" in said[0]
    assert "plausible" not in said[1]


def test_what_was_learned_from_two_scans_is_called_rough():
    import numpy as np

    from medvl.conversation.guard import ensure
    from medvl.conversation.writing.plausible import rough
    from medvl.ct.geometry import SourceGeometry
    from medvl.ct.volume import CTVolume
    from medvl.evaluation.label_finder import LabelFinder
    from medvl.tools.scene import Scene

    labels = np.zeros((20, 20, 20), np.uint8)
    labels[4:9, 4:9, 4:9], labels[12:16, 4:9, 4:9] = 1, 2
    ct = CTVolume(np.zeros(labels.shape, np.int16), np.eye(4), SourceGeometry(labels.shape, np.eye(4)))
    scene, finder = Scene(ct), LabelFinder(ct, labels, {1: "sacrum", 2: "liver"})
    for id in ("sacrum", "liver"):
        scene.put(finder.find(id))
    (told,) = rough(scene, ("sacrum", "liver"))
    assert "sacrum" in told.text
    assert "2 scans" in ensure(told).text
    assert "liver" not in told.text
    assert rough(scene, ("liver",)) == []


def counted_scene(**notes: str):
    """A scene with found vertebrae, each with how it was counted; an id that ends in "_" was not found."""
    import numpy as np

    from medvl.ct.geometry import SourceGeometry
    from medvl.ct.masks import Mask
    from medvl.ct.volume import CTVolume
    from medvl.structures.found import Found
    from medvl.tools.scene import Scene

    array = np.zeros((12, 12, 12), bool)
    array[4:8, 4:8, 4:8] = True
    scene = Scene(CTVolume(np.zeros(array.shape, np.int16), np.eye(4), SourceGeometry(array.shape, np.eye(4))))
    for id, note in notes.items():
        gone = id.endswith("_")
        mask = None if gone else Mask.from_array(array, id=f"m{id}")
        scene.put(Found(id.rstrip("_"), mask, "absent" if gone else "found", note=note))
    return scene


def test_of_single_vertebrae_it_is_said_what_they_were_counted_from():
    from medvl.conversation.guard import ensure
    from medvl.conversation.writing.plausible import rough

    note = "divided from the vertebral column, and counted from the sacrum"
    scene = counted_scene(l1_vertebra=note, l2_vertebra=note, t12_vertebra_="")
    (told,) = rough(scene, ("l1_vertebra", "l2_vertebra", "t12_vertebra"))
    assert ensure(told) == told
    assert "The L1 vertebra and the L2 vertebra are divided" in told.text
    assert "counted from the sacrum" in told.text
    assert "scans" not in told.text
    assert set(told.mask_ids) == {"ml1_vertebra", "ml2_vertebra"}


def test_where_no_level_can_be_told_the_reason_is_given_once():
    from medvl.conversation.guard import ensure
    from medvl.conversation.writing.sentences import missing

    why = "neither the sacrum nor the lowest or the first ribs are clearly in view"
    ids = ("l1_vertebra", "l2_vertebra", "l3_vertebra", "l4_vertebra")
    scene = counted_scene(**{f"{id}_": why for id in ids})
    for asked in (ids[:1], ids):
        (told,) = missing(scene, asked)
        assert ensure(told) == told
        assert why in told.text
    assert "the L1 vertebra" in missing(scene, ids[:1])[0].text
    assert "did not find" in " ".join(s.text for s in missing(counted_scene(l5_vertebra_=""), ("l5_vertebra",))) or (
        "could not be found" in missing(counted_scene(l5_vertebra_=""), ("l5_vertebra",))[0].text
    )


def test_a_mask_that_the_model_is_unsure_of_is_told_as_doubtful():
    scene = scene_of(sample())
    assert [id for id in scene.present if unsure(scene, id)] == []
    found = scene.found("pancreas") or scene.found(scene.present[0])
    scene.put(replace(found, mask=replace(found.mask, doubt="the model is unsure of its outline"), sure=0.7))
    told = unsure(scene, found.structure)
    assert "doubtful" in told.text
    assert "70" in told.text
    assert guard.holds(told)
    assert told.text in [one.text for one in rough(scene, [found.structure])]
