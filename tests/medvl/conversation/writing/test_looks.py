"""What a look gave is told in sentences that the guard holds true, on scans with labels and on a phantom."""

from __future__ import annotations

import pytest

from medvl.conversation import guard
from medvl.conversation.writing import looks as told_looks
from medvl.language.calls import Measure, Probe
from medvl.tools.executor import Executor
from medvl.tools.looks import LOOKS
from medvl.tools.probing import tasks

from ...scenes import sample, scene_of, shared


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
