"""The upload component: one file or many, and nothing left behind."""

import pytest

from app.files import Files, files


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
