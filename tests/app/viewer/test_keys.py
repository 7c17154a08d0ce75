"""No key means two things, and the sheet tells of every one."""

import re
from pathlib import Path

import app.viewer

KEYS = (Path(app.viewer.__file__).parent / "keys.js").read_text(encoding="utf-8")


def block(name: str) -> str:
    return re.search(rf"const {name} = (\{{.*?\}}|\[.*?\n\]);", KEYS, re.DOTALL)[1]


def test_a_key_has_one_meaning_and_is_in_the_help():
    tools = re.findall(r"\b([a-z]): '", block("TOOL_KEYS"))
    views = re.findall(r"^  ([a-z]): \(viewer\)", block("VIEW_KEYS"), re.MULTILINE)
    assert len(tools) > 8
    assert len(views) > 8
    assert len({*tools, *views}) == len(tools) + len(views)
    told = set(re.findall(r"\b([A-Z])\b", " ".join(re.findall(r"\['([^']*)', '", block("HELP")))))
    assert {key.upper() for key in (*tools, *views)} <= told
