"""Whatever a browser, or a script in its place, sends: words that fit, nothing lost, no generic fault."""

from __future__ import annotations

import itertools

import pytest

from app.ui import _guarded, _guarded_stream

VALUES = (None, True, -1, 1e999, float("nan"), "", "x" * 5000, "\ud800", [], [[]], {}, {"a": 1}, [None] * 3, 10**30)
KEYS = {
    "prompt": ("kind", "ijk", "axis", "positive", "lo", "hi"),
    "action": ("name",),
    "edit": ("op", "id", "name", "color", "visible", "opacity", "by", "mm", "to", "ids"),
    "export": ("include", "lengths"),
}
GOOD = {
    "prompt": ({"kind": "point", "ijk": [10, 10, 10], "axis": 2}, {"kind": "box", "lo": [1, 1, 1], "hi": [9, 9, 2]}),
    "action": ({"name": "undo"},),
    "edit": tuple({"op": op, "id": "m1", "name": "Liver"} for op in ("rename", "color", "visible", "delete", "select")),
    "export": ({"include": ["csv"], "lengths": {"scan": "x", "list": []}},),
}


def toasts(handlers, name, data):
    """What the visitor ``a`` reads."""
    work = getattr(handlers, name)
    if name == "prompt":
        return [given.get("toast") for given in _guarded_stream(work("a", data))]
    return [_guarded(lambda: work("a", data)).get("toast")]


@pytest.mark.parametrize("name", KEYS)
def test_no_generic_words(opened, name, caplog):
    pieces = [*VALUES]
    for good in GOOD[name]:
        pieces += [good | {key: value} for key, value in itertools.product(KEYS[name], VALUES)]
    for data in pieces:
        for toast in toasts(opened, name, data):
            assert toast is None or "Something went wrong" not in toast, data
    assert "A handler failed" not in caplog.text
    assert opened.store.find("a") is not None


@pytest.mark.parametrize("name", ["ask", "act", "report"])
def test_no_generic_words_in_the_chat(opened, name, caplog):
    keys = ("text", "op", "id", "index", "nonce")
    pieces = [*VALUES, *({key: value} for key, value in itertools.product(keys, VALUES) if value != "x" * 5000)]
    pieces += [{"op": op, key: v} for op in ("jump", "edit", "open", "none") for key in keys[2:] for v in VALUES]
    for data in pieces:
        for given in _guarded_stream(getattr(opened.talk, name)("a", data)):
            assert "Something went wrong" not in (given.get("toast") or ""), data
    assert "A handler failed" not in caplog.text


def test_a_full_disk_and_a_lost_temporary_folder_are_named(opened, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device", "/secret/DOE_JOHN.nii.gz")

    monkeypatch.setattr("app.case_session.tempfile.mkdtemp", full)
    toast = list(opened.open_sample("a", "again"))[-1]["toast"]
    assert "disk" in toast
    assert "DOE" not in toast
    monkeypatch.undo()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    assert "TMPDIR" in list(opened.open_sample("a", "again"))[-1]["toast"]
    assert opened.store.get("a").sample_id == "phantom"  # what was open stays
