"""The upload component: one file or many, and nothing left behind."""

import os

import pytest

from app.files import STALE_S, Files, files, own_folder, sweep


@pytest.mark.parametrize("count", [1, 3])
def test_paths_and_no_file_of_its_own(count, monkeypatch, tmp_path):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    given = [{"path": f"/x/{n}.dcm", "meta": {"_type": "gradio.FileData"}} for n in range(count)]
    component = files(label="CT")
    assert component.preprocess(Files.model_validate(given)) == [f["path"] for f in given]
    assert component.preprocess(Files.model_validate(given[0])) == ["/x/0.dcm"]
    assert component.preprocess(None) is None
    assert list((tmp_path / "cache").iterdir()) == []


def test_what_a_broken_upload_left_goes_after_a_while(tmp_path):
    old, new, arrived = tmp_path / "tmpold", tmp_path / "tmpnew", tmp_path / "hash" / "tmpct.nii"
    arrived.parent.mkdir()
    for file in (old, new, arrived):
        file.write_bytes(b"of a patient")
    os.utime(old, (1000, 1000))
    os.utime(new, (2000, 2000))
    assert sweep(tmp_path, now=1001 + STALE_S) == 1
    assert not old.exists()
    assert new.exists()
    assert arrived.exists()


def test_uploads_have_a_folder_of_this_process(monkeypatch, tmp_path):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    assert own_folder() == tmp_path
    monkeypatch.delenv("GRADIO_TEMP_DIR")
    made = own_folder()
    assert made.is_dir()
    assert made.name.startswith("medvl-uploads-")
    assert own_folder() == made
