"""The language model's own answers on M3D's layouts, and their scores."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from medvl.errors import MedVLError
from medvl.evaluation.__main__ import main
from medvl.evaluation.reading import Answered, Asked, answer_all, questions_of, say, score, summary
from medvl.training.datasets.samples import DatasetError

from ..tiny_checkpoints import teach, vision_language_model, write_model_folder
from ..training.folders import table
from .test_bert_score import write_bert

COLUMNS = (
    "Image Path", "Question", "Choice A", "Choice B", "Choice C", "Choice D", "Answer", "Answer Choice",
    "Question Type",
)  # fmt: skip
SCAN = "M3D_Cap_npy/ct_case/000006/Axial.npy"


@pytest.fixture
def m3d(tmp_path):
    """M3D-VQA with one scan, and M3D-Cap with its report."""
    folder = tmp_path / "data"
    case = folder / "M3D_Cap_npy" / "ct_case" / "000006"
    case.mkdir(parents=True)
    np.save(case / "Axial.npy", np.random.default_rng(0).uniform(0, 1, (1, 8, 16, 16)).astype(np.float32))
    (case / "text.txt").write_text("the liver is large")
    rows = [
        (SCAN, "what is large ?", "spleen", "liver", "it", "size", "liver", "B", 3),
        (SCAN, "where is it ?", "the", "liver", "is", "seen", "the", "A", 5),
    ]
    table(folder / "M3D_VQA_test.csv", COLUMNS, rows)
    table(folder / "M3D_VQA_yn_test.csv", (*COLUMNS[:2], "Answer", "Question Type"), [(SCAN, "is it ?", "large", 4)])
    pairs = [{"image": SCAN, "text": "M3D_Cap_npy/ct_case/000006/text.txt"}]
    (folder / "M3D_Cap.json").write_text(json.dumps({"train": pairs, "validation": pairs, "test": pairs}))
    return folder


def test_every_row_is_asked_with_its_choices_and_openly(m3d):
    ((sample, asked),) = questions_of("m3d-vqa", m3d, "test")
    assert sample.scale == "unit"
    assert [(a.how, a.type) for a in asked] == [
        ("closed", "organ"), ("open", "organ"), ("closed", "location"), ("open", "location"),
        ("yes or no", "abnormality"),
    ]  # fmt: skip
    assert asked[0].text == "what is large ? Choices: A. spleen B. liver C. it D. size"
    assert (asked[0].letter, asked[0].reference, asked[1].reference) == ("B", "B. liver", "liver")
    ((_, reports),) = questions_of("m3d-cap", m3d, "test")
    assert [(a.how, a.reference) for a in reports] == [("report", "the liver is large")]
    with pytest.raises(DatasetError, match=r"M3D_VQA_val\.csv"):
        list(questions_of("m3d-vqa", m3d, "val"))


def test_answers_are_the_models_own_and_independent_of_each_other(m3d):
    vlm = vision_language_model()
    answers = answer_all(vlm, questions_of("m3d-vqa", m3d, "test"), max_tokens=4)
    assert len(answers) == 5
    assert all(a.said and a.scan == SCAN and a.seconds >= 0 for a in answers)
    again = answer_all(vlm, questions_of("m3d-vqa", m3d, "test"), limit=3, max_tokens=4)
    assert [a.said for a in again] == [a.said for a in answers[:3]]
    one = answers[2].asked
    ((sample, _),) = questions_of("m3d-vqa", m3d, "test")
    alone = answer_all(vlm, iter([(sample, [one])]), max_tokens=4)
    assert alone[0].said == answers[2].said


def test_a_model_that_learned_the_answers_scores_them(m3d):
    vlm = vision_language_model()
    ((sample, asked),) = questions_of("m3d-cap", m3d, "test")
    image = answer_image(vlm, sample)
    teach(vlm, image, [[(asked[0].text, "the liver is large")]], 60)
    answers = answer_all(vlm, questions_of("m3d-cap", m3d, "test"))
    assert answers[0].said == "the liver is large"
    result = score(answers)
    assert result.texts["report", "all"].bleu1 == result.texts["report", "all"].rouge1 == 1


def answer_image(vlm, sample):
    from medvl.training.vlm.dataset import TrainingSet

    return vlm.image_tokens(TrainingSet([sample], vlm.config.input_size)[0]["image"][None]).detach()


def test_a_plain_prompt_has_a_space_before_a_question_and_none_before_a_report():
    vlm = vision_language_model()
    vlm.config = replace(vlm.config, prompt="plain")
    asked = []

    class Talk:
        def __init__(self):
            self.vlm = vlm

        def ask(self, text, *_, report, **__):
            asked.append((text, report))
            return iter(())

    say(Talk(), Asked("where ?", "", "open", "organ"))
    say(Talk(), Asked("describe", "", "report", "caption"))
    assert asked == [("where ?", False), ("describe", True)]


def answered(how, kind, said, reference="", right=None):
    return Answered("scan", Asked("?", reference, how, kind), said, right, 0.1)


def test_scores_are_by_type_and_over_all_questions():
    result = score(
        [
            answered("closed", "plane", "A. Axial", right=True),
            answered("closed", "plane", "B.", right=False),
            answered("closed", "organ", "C. Liver", right=True),
            answered("open", "organ", "the liver", "the liver"),
            answered("open", "plane", "axial", "coronal"),
        ]
    )
    assert result.accuracy == {("closed", "organ"): (1, 1), ("closed", "plane"): (1, 2), ("closed", "all"): (2, 3)}
    assert result.texts["open", "organ"].bleu1 == 1
    assert result.texts["open", "all"].rouge1 == pytest.approx(0.5)
    shown = summary(result)
    assert any(line.split() == ["closed", "plane", "2", "1", "50.0"] for line in shown)
    with pytest.raises(MedVLError, match="no question"):
        score([])


def test_command_prints_tables_and_writes_json(m3d, model, tmp_path, capsys):
    write_model_folder(tmp_path / "model", model)
    write_bert(tmp_path / "bert")
    capsys.readouterr()
    given = ["reading", "--root", str(m3d), "--model", str(tmp_path / "model"), "--device", "cpu", "--max-tokens", "3"]
    given += ["--quantization", "4bit", "--bert-model", str(tmp_path / "bert"), "--bert-layer", "2"]
    assert main([*given, "--json", str(tmp_path / "out.json")]) == 0
    shown = capsys.readouterr().out
    assert "accuracy %" in shown
    assert "BERTScore F1 with bert, layer 2" in shown
    content = json.loads((tmp_path / "out.json").read_text())
    assert {(a["questions"], a["type"]) for a in content["accuracy"]} >= {("closed", "organ"), ("closed", "all")}
    assert all(0 < t["bertscore"] <= 1 for t in content["texts"])
    assert len(content["answers"]) == 5
    assert "4-bit NF4 as asked" in content["about"]["precision"]
    assert main(["reading", "--root", str(m3d), "--model", "nano", "--device", "cpu"]) == 2
    assert "no language model" in capsys.readouterr().err
