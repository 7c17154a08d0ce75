"""The conversation as a Markdown file: what was said, where it is from, which scan and program, and nothing more."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from app.chat import Chat
from app.routes import add_chat
from medvl.conversation.contract import Answer, Done, Sentence, Table
from medvl.ct.volume import ScanInfo
from medvl.version import __version__


@pytest.fixture
def said():
    chat = Chat()
    turn = chat.begin("how large is the liver?\nand the spleen?")
    turn.take(Table(("", "Now"), (("Liver | left", "1,500 mL"), ("Spleen", "200 mL"))))
    told = (Sentence("The liver has 1,500 mL.", "measured"), Sentence("Source: a book.", "program"))
    turn.take(Done(Answer((), told)))
    return chat


def test_questions_answers_and_tables(said):
    text = said.markdown("ct.nii.gz", "Portal venous")
    assert "Scan: ct.nii.gz, series Portal venous." in text
    assert f"MedVL-SAM2 {__version__}." in text
    assert "Research use only" in text
    assert "> how large is the liver?\n> and the spleen?" in text
    assert "The liver has 1,500 mL. [measured] Source: a book." in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert rows[0] == "|  | Now |"
    assert re.fullmatch(r"\|---\|---:\|", rows[1])
    assert {row.count("|") for row in rows} == {3}


def test_the_route_gives_it_to_the_holder_of_the_token_only(opened, said):
    session = opened.store.get("a")
    app = Starlette()
    add_chat(app, opened.talk.chat_file)
    client = TestClient(app)
    path = f"/medvl/{session.token}/chat.md"
    assert client.get(path).status_code == 404
    session.chat = said
    session.ct = replace(session.ct, info=ScanInfo("phantom.nii.gz"))
    answer = client.get(path)
    assert answer.status_code == 200
    assert "phantom-chat.md" in answer.headers["content-disposition"]
    assert answer.headers["cache-control"].startswith("no-store")
    assert "phantom.nii.gz" in answer.text
    assert client.get("/medvl/unknown/chat.md").status_code == 404
