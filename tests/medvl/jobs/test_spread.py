"""Many scans: names, resuming, broken files, the manifest, several processes at once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import medvl
from medvl.errors import CTReadError, ExportError, PromptError
from medvl.jobs import cli
from medvl.jobs import many_scans as batch_jobs
from medvl.jobs import spread as batch
from medvl.jobs.spread import Input, find_inputs, finished_before, run
from medvl.readers import read_ct

from ... import phantoms


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


def test_a_nifti_of_two_files_is_one_scan_and_an_analyze_header_a_failed_one(small, tmp_path):
    nib.save(nib.Nifti1Pair(small.hu, small.affine), tmp_path / "pair.img")
    nib.save(nib.AnalyzeImage(small.hu, np.diag([2.0, 2, 2, 1])), tmp_path / "old.img")
    assert [i.name for i in find_inputs(tmp_path)] == ["old", "pair"]
    old, pair = run(tmp_path, tmp_path / "out", voxels, {}, Alone())
    assert (pair.status, pair.result) == ("done", {"voxels": small.hu.size})
    assert old.status == "failed"
    assert "NIfTI" in old.message  # what to convert it to


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
        monkeypatch.setattr(batch_jobs, "report_job", lambda load, series: voxels)
        monkeypatch.setattr(batch_jobs, "processes", lambda device: Alone())
        arguments = ["report", str(folder), "-o", str(tmp_path / "out")]
        assert cli.main(arguments) == 1
        assert "failed: broken.nii.gz" in capsys.readouterr().err
        (folder / "broken.nii.gz").unlink()
        assert cli.main(arguments) == 0
        assert "4 of them by an earlier run" in capsys.readouterr().err
        assert (tmp_path / "out" / "results.csv").read_text().startswith("scan,status,structure,measure,value,message")

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

    def test_of_several_scans_in_a_series_one_is_chosen_and_said(self, small, tmp_path, model, capsys):
        phantoms.write_dicom_series(tmp_path / "scans" / "d", small.hu, small.affine, phases=2)

        def records(*series: str) -> list[dict]:
            given = {"series": series[0]} if series else {}
            arguments = (str(tmp_path / "scans"), str(tmp_path / "out"), lambda: model, {}, Alone())
            batch_jobs.report_folder(*arguments, **given)
            return json.loads((tmp_path / "out" / "manifest.json").read_text())["cases"]

        def opened(case: dict) -> list[str]:
            return [one["id"] for one in case["result"]["series"] if one["opened"]]

        (largest,) = records()
        assert opened(largest) == ["4.1"]
        assert largest["message"].startswith("Of 2 scans in these files 4.1 (")
        assert "4.2" in largest["message"]
        assert largest["message"] in (tmp_path / "out" / "results.csv").read_text()
        (other,) = records("4.2")  # another choice is made anew
        assert (opened(other), other["resumed"]) == (["4.2"], False)
        (failed,) = records("7")
        assert failed["status"] == "failed"
        assert "4.1, 4.2" in failed["message"]


def test_two_real_processes_without_a_gpu(small, tmp_path):
    """Each takes its share; a scan that fails in the second one does not end the first before the manifest is there."""
    (tmp_path / "scans").mkdir()
    for name in "ab":
        phantoms.write_nifti(tmp_path / "scans" / f"{name}.nii.gz", small.hu, small.affine)
    for name in "cd":
        (tmp_path / "scans" / f"{name}.nii.gz").write_bytes(b"nothing")
    launcher = ["torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    command = [sys.executable, "-m", *launcher, "-m", "medvl", "report", str(tmp_path / "scans"), "-o"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [*command, str(tmp_path / "out")],
        env=environment, cwd=Path(batch.__file__).parents[2], stdout=-1, stderr=-2, text=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0  # some scans could not be read
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    told = {case["name"]: (case["process"], case["status"]) for case in manifest["cases"]}
    assert told == {"a": (0, "done"), "b": (1, "done"), "c": (0, "failed"), "d": (1, "failed")}, done.stdout[-2000:]
    assert len(manifest["processes"]) == 2
    assert not list((tmp_path / "out").glob(".manifest-part*"))


class TestDicomFolders:
    def test_a_series_in_many_folders_is_one_scan_and_a_dicomdir_none(self, small, tmp_path):
        """As on a CD: files without endings, some in each folder, an index in the root."""
        root = tmp_path / "cd"
        phantoms.write_dicom_series(root / "all", small.hu, small.affine)
        for number, file in enumerate(sorted((root / "all").iterdir())):
            place = root / "DICOM" / f"{number // 6:04X}"
            place.mkdir(parents=True, exist_ok=True)
            file.rename(place / f"{number:08X}")
        (root / "all").rmdir()
        write_dicomdir(root / "DICOMDIR")
        (one,) = find_inputs(root)
        assert (one.name, one.source, len(one.paths)) == ("DICOM", "DICOM", small.hu.shape[2])
        assert read_ct(list(one.paths)).shape == small.hu.shape

    def test_series_of_one_folder_are_scans_each_and_localizers_are_none(self, small, tmp_path):
        phantoms.write_dicom_series(tmp_path / "1", small.hu[:, :, :2], small.affine, series=1, localizer=True)
        for number in (2, 7):
            phantoms.write_dicom_series(tmp_path / str(number), small.hu, small.affine, series=number)
        flat = tmp_path / "flat"
        flat.mkdir()
        for folder in "127":
            for file in (tmp_path / folder).iterdir():
                file.rename(flat / f"{folder}-{file.name}")
        assert {i.name: len(i.paths) for i in find_inputs(flat)} == {"series-2": 16, "series-7": 16}

    def test_only_localizers_are_told_of(self, small, tmp_path):
        phantoms.write_dicom_series(tmp_path / "in" / "a", small.hu[:, :, :2], small.affine, localizer=True)
        (outcome,) = run(tmp_path / "in", tmp_path / "out", voxels, {}, Alone())
        assert "localizers" in outcome.message


def write_dicomdir(path):
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID = "1.2.840.10008.1.3.10", ExplicitVRLittleEndian
    meta.MediaStorageSOPInstanceUID = generate_uid()
    ds = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    ds.FileSetID, ds.DirectoryRecordSequence = "CD", []
    ds.save_as(path, enforce_file_format=True)


def test_a_name_that_is_no_utf8(folder, tmp_path):
    bad = os.fsdecode(b"caf\xe9.nii.gz")
    try:
        (folder / "a.nii.gz").rename(folder / bad)
    except OSError:
        pytest.skip("this file system knows UTF-8 only")
    out = tmp_path / "out"
    outcomes = {o.name: o.status for o in run(folder, out, voxels, {}, Alone())}
    assert outcomes[os.fsdecode(b"caf\xe9")] == "done"
    assert list(outcomes.values()).count("done") == 4
    assert any(case["source"] == bad for case in json.loads((out / "manifest.json").read_text())["cases"])
    assert sum(o.resumed for o in run(folder, out, voxels, {}, Alone())) == 4


def test_a_record_that_cannot_be_written_fails_that_case_only(folder, tmp_path, monkeypatch):
    write = batch._write

    def full(path, content):
        if path.name == "b.result.json":
            raise OSError(28, "No space left on device")
        write(path, content)

    monkeypatch.setattr(batch, "_write", full)

    def job(paths, stem):
        files, result = voxels(paths, stem)
        return files, result | ({"of": {1, 2}} if stem.name == "series" else {})

    outcomes = {o.name: o for o in run(folder, tmp_path / "out", job, {}, Alone())}
    assert "disk" in outcomes["sub/b"].message
    assert {name for name, o in outcomes.items() if o.status == "failed"} >= {"sub/b", "broken", "patient/series"}
    assert outcomes["a"].status == "done"


def test_faults_quote_nothing_of_the_scan(folder, tmp_path, capsys):
    header = "DOE^JOHN"

    def job(paths, stem):
        raise IndexError(header)

    outcomes = run(folder, tmp_path / "out", job, {}, Alone())
    assert {o.status for o in outcomes} == {"failed"}
    assert "DOE" not in capsys.readouterr().err + (tmp_path / "out" / "manifest.json").read_text()


def test_a_second_run_on_the_same_results_is_refused(folder, tmp_path):
    out, refused = tmp_path / "out", []

    def job(paths, stem):
        if not refused:
            with pytest.raises(ExportError, match="Another run") as error:
                run(folder, out, voxels, {}, Alone())
            refused.append(error)
        return voxels(paths, stem)

    assert len(run(folder, out, job, {}, Alone())) == 5
    assert len(refused) == 1
    assert sum(o.resumed for o in run(folder, out, voxels, {}, Alone())) == 4  # the lock is gone


def test_leftovers_of_a_killed_run_go_and_nothing_else(folder, tmp_path):
    out = tmp_path / "out"
    code = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom medvl.jobs.spread import processes, run\n"
        "def job(paths, stem):\n    stem.write_text('half'); os.kill(os.getpid(), signal.SIGKILL)\n"
        "here = processes('cpu')\nprint(here.num_processes, here.is_main_process, flush=True)\n"
        "run(Path(sys.argv[1]), Path(sys.argv[2]), job, {}, here)\n"
    )
    command, root = [sys.executable, "-c", code, folder, out], Path(batch.__file__).parents[2]
    done = subprocess.run(command, cwd=root, stdout=subprocess.PIPE, text=True, check=False)
    assert done.returncode == -signal.SIGKILL
    assert done.stdout.split() == ["1", "True"]  # outside a launcher it is the only one
    assert any(f.is_dir() for f in out.glob(".medvl-*"))
    (out / "sub").mkdir(exist_ok=True)
    (out / "sub" / ".medvl-1-2.tmp").write_text("half a record")
    (out / ".notes").mkdir()
    assert len(run(folder, out, voxels, {}, Alone())) == 5
    assert [f.name for f in out.rglob(".*")] == [".notes"]
