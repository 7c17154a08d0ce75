"""``ask`` and ``report`` from file to result, with a finder over labels in place of the network."""

from __future__ import annotations

import json

import pytest

from medvl.conversation.contract import Words
from medvl.conversation.conversation import Conversation
from medvl.errors import CallError, ExportError
from medvl.jobs import by_words as text_jobs
from medvl.jobs import cli
from medvl.report.build import build_report
from medvl.report.report import NOTICE

from ..scenes import sample


class LabelCase:
    """What the jobs use of a case."""

    def __init__(self):
        finder = sample()
        self._conversation = Conversation(finder)
        self._finder = finder
        self.masks = {m.id: m for id in finder.known if (m := finder.find(id).mask) is not None}
        self.closed = False

    def ask(self, text, cancel=None):
        return self._conversation.ask(text, cancel)

    def run(self, call, cancel=None):
        return self._conversation.run(call, cancel)

    def report_stream(self, cancel=None):
        return build_report(self._finder, cancel=cancel)

    def close(self):
        self.closed = True


class LabelModel:
    def open(self, ct):
        self.case = LabelCase()
        return self.case

    def notices(self):
        return []


@pytest.fixture
def model(monkeypatch):
    model = LabelModel()
    monkeypatch.setattr(text_jobs, "read_ct", lambda source, claim, series: None)
    monkeypatch.setattr("medvl.model.load", lambda *a, **k: model)
    return model


def test_ask_streams_and_returns_grounded_sentences(model):
    pieces = []
    answer = text_jobs.ask_file(model, "ct.nii.gz", "how big is the right kidney?", tell=pieces.append)
    assert "".join(p.text for p in pieces if isinstance(p, Words)) == answer["answer"]
    told = answer["sentences"][0]
    assert told["masks"] == ["Right kidney"]
    assert answer["facts"][0]["key"] == "volume_ml"
    assert json.loads(json.dumps(answer))["notice"] == NOTICE
    assert model.case.closed


@pytest.mark.parametrize(("ending", "begin"), [("md", "# CT report"), ("html", "<!doctype html>"), ("json", "{")])
def test_report_is_written_by_its_ending(model, tmp_path, ending, begin):
    out = tmp_path / f"report.{ending}"
    text_jobs.report_file(model, "ct.nii.gz", out)
    assert out.read_text(encoding="utf-8").startswith(begin)
    assert NOTICE in out.read_text(encoding="utf-8")


def test_an_unknown_ending_is_refused_before_any_work(model, tmp_path):
    with pytest.raises(ExportError, match=r"\.md"):
        text_jobs.report_file(model, "ct.nii.gz", tmp_path / "report.pdf")
    assert not hasattr(model, "case")


def test_command_line_ask(model, capsys):
    assert cli.main(["ask", "ct.nii.gz", "how big is the right kidney?", "--json", "-q"]) == 0
    assert json.loads(capsys.readouterr().out)["answer"].count("mL") == 1
    assert cli.main(["ask", "ct.nii.gz", "how big is the right kidney?"]) == 0
    shown = capsys.readouterr()
    assert NOTICE in shown.out
    assert "Segment right kidney" in shown.err


def test_a_typed_call_gives_facts_and_no_words_of_its_own(model):
    given = text_jobs.tool_file(model, "ct.nii.gz", {"tool": "measure", "what": "volume", "of": ["right_kidney"]})
    fact = next(fact for fact in given["facts"] if fact["key"] == "volume_ml")
    mask = next(m for m in model.case.masks.values() if m.name == "Right kidney")
    assert fact["value"] == pytest.approx(mask.voxels * sample().ct.voxel_volume_ml)
    assert fact["structures"] == ("right_kidney",)
    assert given["call"]["of"] == ["right_kidney"]
    json.dumps(given)


@pytest.mark.parametrize("call", [{"tool": "remove"}, {"tool": "edit", "op": "fill"}, {"tool": "no such"}, {}])
def test_a_typed_call_changes_nothing(model, call):
    with pytest.raises(CallError):
        text_jobs.tool_file(model, "ct.nii.gz", call)
