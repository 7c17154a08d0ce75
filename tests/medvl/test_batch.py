"""Many scans: names, resuming, broken files, the manifest, several processes at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import medvl
from medvl import batch, batch_jobs, cli
from medvl.batch import Input, find_inputs, finished_before, run
from medvl.errors import CTReadError, PromptError
from medvl.readers import read_ct
from tests import phantoms


class Alone:
    process_index, num_processes, device, is_main_process = 0, 1, "cpu", True

    def wait_for_everyone(self):
        pass


class Member(Alone):
    """One of several that meet at a barrier, as processes do."""

    def __init__(self, index, count, barrier):
        self.process_index, self.num_processes, self.is_main_process = index, count, index == 0
        self.wait_for_everyone = lambda: barrier.wait(30)


@pytest.fixture(scope="module")
def small():
    return phantoms.phantom((20, 18, 16), noise=0)


@pytest.fixture
def folder(small, tmp_path):
    """Two NIfTI, one NRRD, a DICOM series, a broken file, and a text that is no scan."""
    root = tmp_path / "scans"
    (root / "sub").mkdir(parents=True)
    phantoms.write_nifti(root / "a.nii.gz", small.hu, small.affine)
    phantoms.write_nifti(root / "sub" / "a.nii", small.hu, small.affine)
    phantoms.write_itk(root / "sub" / "b.nrrd", small.hu, small.affine)
    phantoms.write_dicom_series(root / "patient" / "series", small.hu, small.affine)
    (root / "broken.nii.gz").write_bytes(b"nothing")
    (root / "notes.txt").write_text("nothing")
    return root


def voxels(paths, stem):
    """A job that reads the scan and writes what it read."""
    ct = read_ct(paths[0] if len(paths) == 1 else list(paths))
    out = stem.with_name(stem.name + ".txt")
    out.write_text(str(ct.shape))
    return [out], {"voxels": int(np.prod(ct.shape))}


def test_each_readable_format_is_one_scan(folder):
    names = [i.name for i in find_inputs(folder)]
    assert names == ["a", "broken", "patient/series", "sub/a", "sub/b"]


def test_results_of_an_output_inside_are_no_input(folder):
    run(folder, folder / "out", voxels, {}, Alone())
    phantoms.write_nifti(folder / "out" / "mask.nii.gz", np.zeros((4, 4, 4), np.int16), np.eye(4))
    assert not any(i.name.startswith("out") for i in find_inputs(folder, folder / "out"))


def test_names_differ_where_only_the_ending_does(small, tmp_path):
    phantoms.write_nifti(tmp_path / "x.nii.gz", small.hu, small.affine)
    phantoms.write_nifti(tmp_path / "x.nii", small.hu, small.affine)
    phantoms.write_itk(tmp_path / "X.nrrd", small.hu, small.affine)
    names = [i.name for i in find_inputs(tmp_path)]
    assert len({name.casefold() for name in names}) == 3


def test_nothing_to_read(tmp_path):
    with pytest.raises(CTReadError, match="no CT"):
        find_inputs(tmp_path)
    with pytest.raises(CTReadError, match="no such folder"):
        find_inputs(tmp_path / "none")


def test_a_broken_file_is_reported_and_the_others_are_done(folder, tmp_path):
    out = tmp_path / "out"
    outcomes = run(folder, out, voxels, {"text": "liver"}, Alone())
    assert {o.name: o.status for o in outcomes} == {
        "a": "done", "broken": "failed", "patient/series": "done", "sub/a": "done", "sub/b": "done",
    }  # fmt: skip
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["counts"] == {"done": 4, "failed": 1}
    assert manifest["parameters"] == {"text": "liver"}
    assert manifest["versions"]["medvl"] == medvl.__version__
    assert {"torch", "transformers", "bitsandbytes", "sam2"} <= set(manifest["versions"])
    assert manifest["started"] <= manifest["ended"]
    assert manifest["processes"][0]["device"] == "cpu"
    broken = next(c for c in manifest["cases"] if c["name"] == "broken")
    assert broken["message"]
    assert all(c["seconds"] >= 0 and (out / f).is_file() for c in manifest["cases"] for f in c["files"])
    assert not [f for f in out.rglob(".*")]  # no part, no temporary folder


def test_finished_scans_are_left_and_the_rest_is_run(folder, tmp_path):
    out, calls = tmp_path / "out", []

    def counted(paths, stem):
        calls.append(stem.name)
        return voxels(paths, stem)

    run(folder, out, counted, {"text": "liver"}, Alone())
    (out / "sub" / "b.txt").unlink()  # a result was lost
    calls.clear()
    outcomes = run(folder, out, counted, {"text": "liver"}, Alone())
    assert sorted(calls) == ["b", "broken"]  # what failed is tried again
    assert sum(o.resumed for o in outcomes) == 3
    calls.clear()
    run(folder, out, counted, {"text": "spleen"}, Alone())
    assert len(calls) == 5  # other parameters, other results


def test_a_source_that_changed_is_run_again(folder, tmp_path):
    out = tmp_path / "out"
    run(folder, out, voxels, {}, Alone())
    item = next(i for i in find_inputs(folder) if i.name == "a")
    assert finished_before(item, out, {})
    os.utime(item.paths[0], (2e9, 2e9))
    assert finished_before(item, out, {}) is None
    assert finished_before(Input("a", "other.nii.gz", item.paths), out, {}) is None


def test_a_job_cut_off_leaves_no_result_and_no_record(folder, tmp_path):
    out = tmp_path / "out"

    def cut(paths, stem):
        stem.with_name(stem.name + ".txt").write_text("half")
        if stem.name == "a":
            raise KeyboardInterrupt
        return voxels(paths, stem)

    with pytest.raises(KeyboardInterrupt):
        run(folder, out, cut, {}, Alone())
    assert not list(out.rglob("*.txt"))
    assert len(run(folder, out, voxels, {}, Alone())) == 5


def test_unexpected_faults_and_what_is_not_there(folder, tmp_path, capsys):
    def job(paths, stem):
        if stem.name == "b":
            raise ZeroDivisionError
        raise PromptError("The liver is not in this scan.")

    outcomes = {o.name: o for o in run(folder, tmp_path / "out", job, {}, Alone())}
    assert outcomes["sub/b"].status == "failed"
    assert "ZeroDivisionError" in outcomes["sub/b"].message
    assert outcomes["a"].status == "nothing found"
    assert "ZeroDivisionError" in capsys.readouterr().err
    told = batch_jobs.summary(list(outcomes.values()))
    assert told.splitlines()[-1].startswith("failed: sub/b.nrrd")


def test_processes_share_the_scans_and_the_manifest(folder, tmp_path):
    out, barrier, ran = tmp_path / "out", threading.Barrier(3), [[], [], []]

    def work(index):
        def job(paths, stem):
            ran[index].append(str(paths[0]))
            return voxels(paths, stem)

        results[index] = run(folder, out, job, {}, Member(index, 3, barrier))

    results = [None] * 3
    threads = [threading.Thread(target=work, args=(i,)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert all(ran)
    every = [path for part in ran for path in part]
    assert len(every) == len(set(every)) == 5
    manifest = json.loads((out / "manifest.json").read_text())
    assert [c["name"] for c in manifest["cases"]] == [o.name for o in results[0]]
    assert len(manifest["cases"]) == 5
    assert {c["process"] for c in manifest["cases"]} == {p["process"] for p in manifest["processes"]} == {0, 1, 2}


class TestCommands:
    def test_a_folder_needs_words(self, folder, tmp_path, capsys):
        assert cli.main(["segment", str(folder), "-o", str(tmp_path / "out")]) == 1
        assert "--text" in capsys.readouterr().err
        point = ["--text", "liver", "--point", "1", "1", "1"]
        assert cli.main(["segment", str(folder), "-o", str(tmp_path / "out"), *point]) == 1

    def test_a_dicom_folder_with_a_file_as_output_is_one_scan(self, folder, tmp_path):
        series = str(folder / "patient" / "series")
        assert not batch_jobs.is_batch(series, "mask.nii.gz", (".nii", ".nii.gz"))
        assert not batch_jobs.is_batch(str(folder / "a.nii.gz"), "out", (".nii", ".nii.gz"))
        assert not batch_jobs.is_batch(series, None, (".md",))
        assert batch_jobs.is_batch(series, "out", (".nii", ".nii.gz"))

    def test_exit_code_and_list_of_what_failed(self, folder, tmp_path, capsys, monkeypatch):
        monkeypatch.setattr(batch_jobs, "report_job", lambda load: voxels)
        monkeypatch.setattr(batch_jobs, "processes", lambda device: Alone())
        arguments = ["report", str(folder), "-o", str(tmp_path / "out")]
        assert cli.main(arguments) == 1
        assert "failed: broken.nii.gz" in capsys.readouterr().err
        (folder / "broken.nii.gz").unlink()
        assert cli.main(arguments) == 0
        assert "4 of them by an earlier run" in capsys.readouterr().err

    def test_segmenting_by_the_bundled_network(self, tmp_path, model):
        from medvl.evaluation.cases import SAMPLES

        (tmp_path / "scans").mkdir()
        (tmp_path / "scans" / "abdomen.nii.gz").symlink_to(SAMPLES / "abdomen_ct.nii.gz")
        arguments = (str(tmp_path / "scans"), str(tmp_path / "out"), "both kidneys", lambda: model, {})
        assert batch_jobs.segment_folder(*arguments, Alone()) == 0
        record = json.loads((tmp_path / "out" / "abdomen.result.json").read_text())
        assert record["files"] == ["abdomen.json", "abdomen.nii.gz"]
        assert [o["name"] for o in record["result"]["objects"]] == ["Right kidney", "Left kidney"]
        told = json.loads((tmp_path / "out" / "manifest.json").read_text())["processes"][0]["model"]
        assert "localiser" in told["weights"]
        assert any("Apache-2.0" in notice for notice in told["notices"])


def test_accelerates_processes_outside_a_launcher():
    code = "from medvl.batch import processes as p; s = p('cpu'); print(s.num_processes, s.is_main_process)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(batch.__file__).parents[1]
    )
    assert done.stdout.split() == ["1", "True"]


def test_two_real_processes_without_a_gpu(small, tmp_path):
    """Each takes its share; a scan that fails in the second one does not end the first before the manifest is there."""
    (tmp_path / "scans").mkdir()
    for name in "abc":
        phantoms.write_nifti(tmp_path / "scans" / f"{name}.nii.gz", small.hu, small.affine)
    (tmp_path / "scans" / "d.nii.gz").write_bytes(b"nothing")
    # Despite its name --multi_gpu starts them where there is no GPU; --cpu would do so through MPI only.
    launcher = ["accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--main_process_port", "0"]
    command = [sys.executable, "-m", *launcher, "-m", "medvl", "report", str(tmp_path / "scans"), "-o"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [*command, str(tmp_path / "out")],
        env=environment, cwd=Path(batch.__file__).parents[1], stdout=-1, stderr=-2, text=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0  # one scan could not be read
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    told = {case["name"]: (case["process"], case["status"]) for case in manifest["cases"]}
    assert told == {"a": (0, "done"), "b": (1, "done"), "c": (0, "done"), "d": (1, "failed")}, done.stdout[-2000:]
    assert len(manifest["processes"]) == 2
    assert not list((tmp_path / "out").glob(".manifest-part*"))
