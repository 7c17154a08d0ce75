"""What the overfit teaches, and that its new language model tells apart what it is asked for."""

from __future__ import annotations

import pytest

from medvl.networks.language_model import Conversation, LanguageModel, Prompt
from medvl.training.__main__ import main
from medvl.training.datasets import open_dataset
from medvl.training.datasets.samples import SEG, MaskSource, Sample, Turn
from medvl.training.vlm.overfit_check import ORGANS, lesson, rows
from medvl.training.vlm.words import pairs_of, write_language_model

from ..tiny_stages import write_cases


@pytest.fixture
def sample(tmp_path):
    names = ("liver", "right_kidney", "left_kidney", "portal_vein_and_splenic_vein")
    masks = {name: MaskSource(tmp_path / "labels.nii.gz", (n,)) for n, name in enumerate(names, start=1)}
    turns = (
        Turn("Segment the portal vein.", f"It is {SEG}.", (names[3],), "semantic"),
        Turn("Is the heart in this scan?", "No, the heart is not in this scan.", (), "presence"),
    )
    return Sample("c", tmp_path / "ct.nii.gz", turns, (), masks)


def test_large_organs_are_asked_for_and_no_thin_vein(sample):
    taught = lesson(sample)
    asked = {turn.question: (turn.targets, turn.answer) for turn in taught.turns}
    assert asked["Segment the left kidney."] == (("left_kidney",), f"The left kidney is {SEG}.")
    assert asked["Segment both kidneys."][0] == ("right_kidney", "left_kidney")
    assert asked["Is the heart in this scan?"] == ((), "No, the heart is not in this scan.")
    assert {name for targets, _ in asked.values() for name in targets} <= set(ORGANS)
    assert taught.captions == ("This CT shows the liver, the right kidney and the left kidney.",)


def test_of_labelled_scans(tmp_path):
    write_cases(tmp_path)
    for sample in open_dataset("cases", tmp_path / "cases.json", "train"):
        targets = [turn.targets for turn in lesson(sample).turns if turn.targets]
        assert targets == [("liver",), ("spleen",)]


def test_new_language_model_answers_with_the_organ_that_was_named(sample, tmp_path):
    taught = lesson(sample)
    told = write_language_model(tmp_path / "lm", pairs_of([taught]), 90)
    assert told["loss"][1] < 0.3 < told["loss"][0]
    lm = LanguageModel.from_pretrained(tmp_path / "lm", quantization="none")
    for turn in taught.turns[:4]:
        said = "".join(t.text for t in Conversation(lm).stream(Prompt(lm.chat([("user", turn.question)])), 40))
        assert said == turn.answer.replace(SEG, "")


def test_words_of_labelled_scans_by_the_command(tmp_path, capsys):
    write_cases(tmp_path)
    options = ["--cases", str(tmp_path / "cases.json"), "-o", str(tmp_path / "words"), "--epochs", "2", "--steps", "30"]
    assert main(["words", *options]) == 0
    first, last = map(float, capsys.readouterr().out.split("loss ")[1].split(",")[0].split(" -> "))
    assert last < 0.7 * first
    lm = LanguageModel.from_pretrained(tmp_path / "words", quantization="none")
    assert len(lm.encode("spleen")) < len("spleen")  # it has learned what these scans are spoken of with


def test_table_names_structure_case_and_both_scores():
    score = {"case": "c", "structure": "liver", "coarse": 0.7, "dice": 0.9, "answer": "The liver is [SEG]."}
    lines = list(rows({"answers": [3, 4], "structures": [score, score | {"structure": "spleen", "dice": 0.5}]}))
    assert "3 of 4" in lines[0]
    assert lines[2].split()[:4] == ["liver", "c", "0.700", "0.900"]
    assert lines[-1].split() == ["mean", "0.700", "0.700"]
