"""From a chosen file to the first plane drawn, in Chromium, and the memory of the whole server meanwhile.

    python tests/benchmarks/opening.py [--shape 512 512 300] [--kind nifti|dicom]
    python tests/benchmarks/opening.py --shape 256 256 150 --times 40
    python tests/benchmarks/opening.py --reading
    python tests/benchmarks/opening.py --prior

The scan is the bundled chest CT stretched to the grid with noise added (``scroll.py``), so that it packs as badly as a
real one; it is written to a temporary file first, which does not count. Seconds run from the moment at which the
browser has the file's name. ``server_peak_mb`` is the resident memory of the whole process, weights and libraries
included; with ``--times`` the scan is opened again and again and ``after_each_mb`` has the memory after each. With
``--prior`` the same scan, moved by 20 mm, is opened beside the first, until both are in the browser in full.
``reading`` is without a browser: seconds of ``read_ct`` in this process and of ``read_isolated``, which the page uses,
in turns on the same file, and what the child costs: the difference of their medians. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
from scroll import stretched
from server import CHROMIUM, ROOT, Server, peak_mb, reset_peak, resident_mb, wait_idle

sys.path.insert(0, str(ROOT))


def write_nifti(ct, folder: Path, name: str = "scan.nii.gz") -> Path:
    """A compressed NIfTI, as scanners' exports are."""
    path = folder / name
    nib.save(nib.Nifti1Image(ct.hu, ct.affine), path)
    return path


def write_dicom(ct, folder: Path) -> Path:
    """A zip of one uncompressed DICOM file a slice."""
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    path, series, frame = folder / "scan.zip", generate_uid(), generate_uid()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for k in range(ct.shape[2]):
            meta = FileMetaDataset()
            meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID = CTImageStorage, ExplicitVRLittleEndian
            meta.MediaStorageSOPInstanceUID = generate_uid()
            data = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
            data.SOPClassUID, data.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
            data.SeriesInstanceUID, data.StudyInstanceUID, data.FrameOfReferenceUID = series, frame, frame
            data.Modality, data.InstanceNumber, data.PatientName, data.PatientID = "CT", k + 1, "", ""
            pixels = ct.hu[::-1, ::-1, k].T  # rows to the back, columns to the patient's left
            data.Rows, data.Columns = pixels.shape
            spacing = ct.spacing_mm
            data.PixelSpacing, data.SliceThickness = [f"{spacing[1]:.6f}", f"{spacing[0]:.6f}"], f"{spacing[2]:.6f}"
            data.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
            data.ImagePositionPatient = [0, 0, f"{k * spacing[2]:.6f}"]
            data.RescaleSlope, data.RescaleIntercept = 1, -1024
            data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
            data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 16, 15, 0
            data.PixelData = np.clip(pixels.astype(np.int32) + 1024, 0, 65535).astype("<u2").tobytes()
            buffer = io.BytesIO()
            data.save_as(buffer, enforce_file_format=True)
            archive.writestr(f"{k:04d}.dcm", buffer.getvalue())
    return path


def reading(path: Path, times: int = 5) -> dict[str, object]:
    """Seconds of reading a file here and in a child, in turns, after one of each that does not count."""
    from medvl.readers import read_ct
    from medvl.readers.isolated import DECODER, read_isolated

    DECODER.start()
    seconds: dict[str, list[float]] = {"here_s": [], "child_s": []}
    for n in range(times + 1):
        for name, read in (("here_s", read_ct), ("child_s", read_isolated)):
            begin = time.perf_counter()
            volume = read(path)
            if n:
                seconds[name].append(round(time.perf_counter() - begin, 2))
            del volume
    DECODER.stop()
    costs = statistics.median(seconds["child_s"]) - statistics.median(seconds["here_s"])
    return {**seconds, "child_costs_s": round(costs, 2), "load": [round(v, 1) for v in os.getloadavg()]}


def open_file(page, path: Path, shape: tuple[int, ...]) -> tuple[float, float]:
    """Seconds from choosing a file to its first plane, and to the last voxel."""
    token = page.evaluate("medvlViewer.state().token")
    begin = time.perf_counter()
    page.locator("#upload input[type=file]").set_input_files(str(path))
    # The viewer keeps the old picture until it has voxels of the new scan, then draws them in the next frame.
    drawn = "([t, n]) => medvlViewer.state().shape?.join() === n.join() && medvlViewer.state().token !== t"
    page.wait_for_function(drawn, arg=[token, list(shape)], timeout=300_000, polling="raf")
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
    first = round(time.perf_counter() - begin, 2)
    page.wait_for_function("medvlViewer.state().complete", timeout=300_000, polling=50)
    return first, round(time.perf_counter() - begin, 2)


def open_prior(page, path: Path) -> float:
    """Seconds from choosing an earlier scan to its last voxel in the browser, registration included."""
    page.locator("#prior button").first.click()
    begin = time.perf_counter()
    page.locator("#upload-prior input[type=file]").set_input_files(str(path))
    page.wait_for_function("medvlViewer.state().prior.complete", timeout=600_000, polling=50)
    return round(time.perf_counter() - begin, 2)


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--browser", default="/usr/bin/chromium")
    parser.add_argument("--shape", type=int, nargs=3, default=(512, 512, 300))
    parser.add_argument("--kind", choices=("nifti", "dicom"), default="nifti")
    parser.add_argument("--click", action="store_true", help="also click in the middle, and wait for the mask")
    parser.add_argument("--prior", action="store_true", help="also open an earlier scan of the same size beside it")
    parser.add_argument("--times", type=int, default=1, help="open it so many times in a row")
    parser.add_argument("--reading", action="store_true", help="measure the reading only, without a browser")
    options = parser.parse_args()

    shape = tuple(options.shape)
    with tempfile.TemporaryDirectory() as folder:
        write = {"nifti": write_nifti, "dicom": write_dicom}[options.kind]
        ct = stretched(shape)
        path, earlier = write(ct, Path(folder)), None
        if options.prior:
            ct.affine[2, 3] += 20
            earlier = write_nifti(ct, Path(folder), "earlier.nii.gz")
        del ct
        result: dict = {"shape": list(shape), "kind": options.kind, "file_mb": round(path.stat().st_size / 1e6, 1)}
        result["reading"] = reading(path)
        if not options.reading:
            result |= in_browser(path, earlier, shape, options)
    print(json.dumps(result, indent=1))


def in_browser(
    path: Path, earlier: Path | None, shape: tuple[int, ...], options: argparse.Namespace
) -> dict[str, object]:
    """What a visitor of the page waits for, and the server's memory."""
    from playwright.sync_api import sync_playwright

    result: dict[str, object] = {}
    with sync_playwright() as playwright:
        with Server() as server:
            browser = playwright.chromium.launch(executable_path=options.browser, args=list(CHROMIUM))
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            page.goto(server.url)
            page.wait_for_function("window.medvlViewer && medvlViewer.state().complete", timeout=120_000)
            page.get_by_role("tab", name="Scan").click()
            page.locator("#upload input[type=file]").wait_for(state="attached")
            page.wait_for_timeout(1000)
            result["server_before_mb"] = round(resident_mb(server.pid))
            reset_peak(server.pid)
            first, whole = open_file(page, path, shape)
            result |= {"first_plane_s": first, "complete_s": whole}
            result["after_each_mb"] = [round(resident_mb(server.pid))]
            for _ in range(1, options.times):
                page.locator("#upload input[type=file]").wait_for(state="attached")
                open_file(page, path, shape)
                result["after_each_mb"].append(round(resident_mb(server.pid)))
            if earlier is not None:
                result["prior_complete_s"] = open_prior(page, earlier)
            if options.click:
                at = page.evaluate("medvlViewer.canvasPoint('axial', medvlViewer.state().ijk)")
                page.locator("#viewer .mv-positive").first.click()
                page.mouse.click(at["x"], at["y"])
                page.wait_for_timeout(600)
                result["click_to_whole_mask_s"] = round(0.6 + wait_idle(page), 1)
            result["server_peak_mb"] = round(peak_mb(server.pid))
            result["server_after_mb"] = round(resident_mb(server.pid))
            browser.close()
        result["errors"] = server.errors
    return result


if __name__ == "__main__":
    main()
