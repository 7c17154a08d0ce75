"""``ask`` and ``report`` from file to result, with a finder over labels in place of the network."""

from __future__ import annotations

import json

import pytest

from medvl import cli, text_jobs
from medvl.answering.contract import Words
from medvl.answering.conversation import Conversation
from medvl.errors import ExportError
from medvl.report import NOTICE, build_report
from tests.medvl.answering.scenes import sample


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

    def report_stream(self, cancel=None):
        return build_report(self._finder, cancel=cancel)

    def close(self):
        self.closed = True


class LabelModel:
    def open(self, ct):
        self.case = LabelCase()
        return self.case


@pytest.fixture
def model(monkeypatch):
    model = LabelModel()
    monkeypatch.setattr(text_jobs, "read_ct", lambda source, claim: None)
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
