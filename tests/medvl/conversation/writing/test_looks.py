"""What a look gave is told in sentences that the guard holds true, on scans with labels and on a phantom."""

from __future__ import annotations

import numpy as np
import pytest

from medvl.conversation import guard
from medvl.conversation.writing import looks as told_looks
from medvl.language.calls import Measure, Probe
from medvl.tools.executor import Executor
from medvl.tools.looks import LOOKS
from medvl.tools.probing import tasks

from ...scenes import finder_of, sample, scene_of, shared


@pytest.mark.parametrize("case", ["ts_abdomen", "crlm_1006", "platipy_chest"])
def test_every_look_is_told_truly(case):
    finder = shared(case)
    scene = scene_of(finder)
    executor = Executor(scene, finder)
    for id, kind in LOOKS.items():
        look = kind.run(scene)
        seen = executor.offer(look)
        sentences = told_looks.told([seen])
        assert sentences, id
        for sentence in sentences:
            assert guard.holds(sentence), (id, sentence.text)
        assert all(mask.id and not mask.empty for mask in seen.masks)
        for mask in seen.masks:
            of = {fact.key: fact.value for fact in seen.facts if fact.mask_id == mask.id}
            assert of["spot_volume_ml"] == pytest.approx(mask.voxels * scene.ct.voxel_volume_ml)


def test_a_part_of_the_aorta_that_is_not_in_view_is_not_given_another_ones_width():
    finder = sample()
    executor = Executor(scene_of(finder), finder)
    result = executor.run(Measure(("aorta",), what="diameter", part="ascending"))
    told = told_looks.part_told(result.seen[0], "ascending")
    assert all(map(guard.holds, told))
    assert not any(fact.key == "width_mm" for sentence in told for fact in sentence.facts)
    assert "not measured" in told[0].text


def test_what_is_unknown_besides_is_no_reason_to_look_elsewhere():
    assert tasks(Probe(unknown=("adrenal",))) == []
    assert [task.id for task in tasks(Probe(("lungs",), what="gas", where="around"))] != []


def test_what_lies_around_a_structure_and_near_another_is_told_in_a_sentence():
    hu = np.zeros((40, 36, 30), np.int16)
    hu[17:19, 10:12, 10:13] = 400  # nearer to the spleen
    blocks = {
        "liver": (slice(4, 12), slice(5, 20), slice(5, 20)),
        "spleen": (slice(20, 28), slice(5, 20), slice(5, 20)),
    }
    finder = finder_of(blocks, hu=hu)
    executor = Executor(scene_of(finder), finder)
    result = executor.run(Probe(("liver",), what="bright", where="around"))
    told = told_looks.told(result.seen)
    assert "around the liver" in told[0].text
    assert {"liver", "spleen"} == {id for fact in told[0].facts for id in fact.structures}
    assert all(map(guard.holds, told))


def test_contrast_in_the_heart_is_no_calcium():
    heart = (slice(10, 25), slice(8, 24), slice(5, 25))
    hu = np.zeros((40, 36, 30), np.int16)
    hu[heart] = 400
    for level, seen in ((400, False), (40, True)):
        hu[heart] = level
        hu[16:19, 14:17, 12:15] = 900
        finder = finder_of({"heart": heart}, hu=hu)
        result = Executor(scene_of(finder), finder).run(Probe(("heart",), what="calcium", where="inside"))
        assert (result.seen[0].look.seen is True) is seen
        assert all(map(guard.holds, told_looks.told(result.seen)))
