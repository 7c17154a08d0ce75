"""Reading in a child process: the same volume, and whatever a file does to its reader is one clear error."""

from __future__ import annotations

import os
import pickle
import re
import signal
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from medvl.errors import Cancelled, CTReadError, MedVLError
from medvl.readers import isolated, read_ct
from medvl.readers.isolated import DECODER, TimeLimits, read_isolated, series_isolated

from ...phantoms import phantom, write_dicom_series, write_itk, write_nifti

pytestmark = pytest.mark.skipif(not hasattr(socket, "send_fds"), reason="read in this process on this system")
linux = pytest.mark.skipif(sys.platform != "linux", reason="bounds of Linux's kernel")


@pytest.fixture(scope="module")
def ct():
    return phantom((24, 20, 16), degrees=(6, -4, 9))


@pytest.fixture(scope="module")
def scans(ct, tmp_path_factory):
    folder = tmp_path_factory.mktemp("scans")
    return {
        "nifti": write_nifti(folder / "ct.nii.gz", ct.hu, ct.affine),
        "nrrd": write_itk(folder / "ct.nrrd", ct.hu, ct.affine),
        "detached": write_itk(folder / "ct.mhd", ct.hu, ct.affine),
        "dicom": write_dicom_series(folder / "series", ct.hu, ct.affine),
    }


@pytest.mark.parametrize("which", ["nifti", "nrrd", "detached", "dicom"])
def test_the_same_volume_as_in_this_process(scans, which):
    here, there = read_ct(scans[which]), read_isolated(scans[which])
    np.testing.assert_array_equal(there.hu, here.hu)
    np.testing.assert_array_equal(there.affine, here.affine)
    np.testing.assert_array_equal(there.source.affine, here.source.affine)
    assert there.hu.flags.f_contiguous
    assert there.hu.flags.writeable
    assert (there.notes, there.file_format, there.source.shape) == (here.notes, here.file_format, here.source.shape)
    if which == "dicom":
        assert there.dicom.headers == here.dicom.headers
        assert there.dicom.planes == here.dicom.planes


def test_many_files_and_options(scans, ct):
    assert read_isolated(sorted(scans["dicom"].iterdir())).shape == ct.hu.shape
    with pytest.raises(CTReadError, match="million voxels"):
        read_isolated(scans["nifti"], max_voxels=100)
    with pytest.raises(CTReadError, match="no such file"):
        read_isolated("nowhere.nii.gz")


def test_claims_come_before_the_memory_and_end_with_the_volume(scans, ct):
    claims = []
    read_isolated(scans["nrrd"], claim=claims.append)
    assert len(claims) >= 3
    assert max(claims) > 2 * ct.hu.nbytes
    assert claims[-1] == ct.hu.nbytes


def test_a_claim_that_is_refused_ends_the_reading(scans):
    class FullError(MedVLError):
        pass

    def refuse(nbytes):
        raise FullError("no room")

    with pytest.raises(FullError, match="no room"):
        read_isolated(scans["dicom"], claim=refuse)
    seen = []

    def second(nbytes):
        seen.append(nbytes)
        if len(seen) == 2:
            raise FullError("no room")

    with pytest.raises(FullError):
        read_isolated(scans["dicom"], claim=second)


def test_progress_and_cancel(scans):
    steps, cancel = [], threading.Event()
    read_isolated(scans["dicom"], progress=lambda fraction, text: steps.append(fraction))
    assert steps
    assert all(0 <= step <= 1 for step in steps)
    cancel.set()
    with pytest.raises(Cancelled):
        read_isolated(scans["dicom"], cancel=cancel)


def test_what_a_callers_function_raises_is_its_own(scans):
    def wrong(fraction, text):
        raise LookupError("of the caller")

    for read in (read_ct, read_isolated):
        with pytest.raises(LookupError, match="of the caller"):
            read(scans["dicom"], progress=wrong)


def test_many_at_once(scans, ct):
    with ThreadPoolExecutor(12) as pool:
        shapes = list(pool.map(lambda which: read_isolated(scans[which]).shape, ["nifti", "nrrd", "dicom"] * 8))
    assert set(shapes) == {ct.hu.shape}


@linux
@pytest.mark.parametrize("how", ["silent", "cancel"])
def test_a_reader_that_hangs_is_ended(scans, how):
    """The child is halted as soon as it speaks."""
    cancel, halted = threading.Event(), []

    def halt(fraction, text):
        for child in children_of(decoder_pid()):
            os.kill(child, signal.SIGSTOP)
            halted.append(child)
        if how == "cancel":
            cancel.set()

    begin = time.monotonic()
    with pytest.raises(Cancelled if how == "cancel" else CTReadError, match="stopped" if how == "cancel" else "busy"):
        read_isolated(scans["dicom"], progress=halt, cancel=cancel, time_limits=TimeLimits(silent_s=1))
    assert halted
    assert time.monotonic() - begin < 60  # by itself it would never end
    assert childless()


def children_of(pid: int) -> list[int]:
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(child) for child in file.read().split()]


def childless(seconds: float = 30.0) -> bool:
    """Whether the decoder has no child left after a while."""
    end = time.monotonic() + seconds
    while children_of(decoder_pid()) and time.monotonic() < end:
        time.sleep(0.05)
    return children_of(decoder_pid()) == []


def decoder_pid():
    DECODER.start()
    return DECODER._process.pid


def test_a_decoder_that_was_killed_starts_again(scans, ct):
    before = decoder_pid()
    os.kill(before, signal.SIGKILL)
    DECODER._process.wait()
    assert read_isolated(scans["nifti"]).shape == ct.hu.shape
    assert decoder_pid() != before


def test_no_child_and_no_descriptor_stays(scans, tmp_path):
    (tmp_path / "bad.nrrd").write_bytes(b"NRRD0004\nnothing")
    read_isolated(scans["nifti"])
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    for _ in range(5):
        read_isolated(scans["dicom"])
        with pytest.raises(CTReadError):
            read_isolated(tmp_path / "bad.nrrd")
    if before:
        assert len(os.listdir("/proc/self/fd")) <= before
        assert childless()


def tried(code: str, folder) -> str:
    """What ``code`` gives in a process with the bounds of a child."""
    import subprocess

    program = (
        "import sys\nfrom medvl.readers.confine import MemoryLimit, confine, limit\n"
        f"memory = MemoryLimit()\nconfine([{str(folder / 'in')!r}], {str(folder / 'scratch')!r})\n"
        "limit(60, 1 << 20)\nmemory.allow(64 << 20)\n"
        f"try:\n    {code}\nexcept BaseException as error:\n    print(type(error).__name__)\nelse:\n    print('done')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=isolated._ROOT)
    return done.stdout.strip()


@pytest.fixture
def place(tmp_path):
    for name in ("in", "scratch", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("text")
    return tmp_path


@linux
@pytest.mark.parametrize(
    ("code", "given"),
    [
        ("open('{}/in/file').read()", "done"),
        ("open('{}/scratch/new', 'w').write('text')", "done"),
        ("open('{}/other/file').read()", "PermissionError"),
        ("open('{}/in/file', 'w')", "PermissionError"),
        ("open('/etc/passwd').read()", "PermissionError"),
        ("open('{}/scratch/new', 'wb').write(b'0' * (2 << 20))", "OSError"),
        ("bytearray(100 << 20)", "MemoryError"),
        ("bytearray(10 << 20)", "done"),
        ("import socket; socket.create_connection(('127.0.0.1', 9))", "PermissionError"),
        ("import subprocess; subprocess.run(['true'])", "PermissionError"),
        ("import os; os.kill(os.getppid(), 9)", "PermissionError"),
        # past Python, as code that took a library over would
        ("import ctypes; assert ctypes.CDLL(None).socket(2, 1, 0) >= 0", "AssertionError"),
        ("import ctypes; assert ctypes.CDLL(None).execv(b'/bin/true', 0) == 0", "AssertionError"),
    ],
)
def test_bounds(code, given, place):
    import ctypes

    if ctypes.CDLL(None).syscall(444, None, 0, 1) < 1:
        pytest.skip("this kernel has no Landlock")
    assert tried(code.format(place), place) == given


def test_only_data_comes_back():
    class Call:
        def __reduce__(self):
            return os.system, ("true",)

    for evil in (Call(), re.compile("x"), threading.Event):
        with pytest.raises(CTReadError):
            isolated._unpickle(pickle.dumps(evil))
    assert isolated._unpickle(pickle.dumps(("step", 0.5, "Reading"))) == ("step", 0.5, "Reading")


def test_a_volume_that_is_not_whole_is_refused():
    voxels = isolated._shared_file()
    os.ftruncate(voxels, 100)
    with pytest.raises(CTReadError):
        isolated._map(voxels, (10, 10, 10))
    os.close(voxels)


def test_the_decoder_does_not_load_the_networks():
    import subprocess

    code = "import sys, medvl.readers.decoder; print('torch' in sys.modules, 'gradio' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=isolated._ROOT)
    assert done.stdout.split() == ["False", "False"]


def test_series_of_files(scans, tmp_path):
    (tmp_path / "damaged").write_bytes(b"\0" * 128 + b"DICM" + b"\xff" * 40)
    found = series_isolated([*sorted(scans["dicom"].iterdir())[:2], tmp_path / "damaged"])
    assert found[0] == found[1]
    assert (found[0].modality, found[0].kind, bool(found[0].uid)) == ("CT", "slices", True)
    assert found[2].kind != "slices"


@pytest.mark.parametrize("data", [b"", b"no pickle", pickle.dumps(os.getcwd), pickle.dumps((1, 2)), pickle.dumps([])])
def test_headers_that_are_none_are_refused_where_they_are_wanted(data):
    with pytest.raises(CTReadError, match="fail"):
        len(isolated.Headers(data))


def test_headers_are_made_when_they_are_wanted(scans):
    here, there = read_ct(scans["dicom"]).dicom.headers, read_isolated(scans["dicom"]).dicom.headers
    assert "_made" not in vars(there)
    assert there[0].SOPInstanceUID == here[0].SOPInstanceUID
    assert (len(there), list(there), there[1:3]) == (len(here), list(here), here[1:3])
