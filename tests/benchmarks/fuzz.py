"""Damaged and hostile headers of every format, read as an upload is read: what the server survives.

    python tests/benchmarks/fuzz.py [--cases 10000] [--workers 2] [--seed 0] [--here] [--only nrrd]

Each case is one of 22 small scans (NIfTI-1 and -2, NRRD and MetaImage with data inside or beside, DICOM in seven
transfer syntaxes, enhanced DICOM, zips) whose header, or one of whose files, was changed: flipped bits, numbers of all
sizes in binary fields, values of text fields that are huge, negative, repeated or no numbers, long lines, parts cut,
doubled or swapped, data files elsewhere on the disk. The seed of a case is its number, so a case can be made again.

Workers stand for the server: each reads its cases with ``read_isolated``. Counted are workers that ended, errors that
are not the package's own, cases that took longer than ``--limit-s``, children that had more memory than was claimed for
them, errors that quote the patient's fields, and files outside the upload that were opened (watched by inotify; a
tenth of the text headers point to such a file). All have to be 0; the exit code is 1 otherwise. ``--here`` reads in the
worker itself, which shows what the child is for. Linux. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import queue
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

SYNTAXES = ("explicit", "implicit", "big", "deflated", "rle", "jpeg", "jpeg2000")
NUMBERS = (0, 1, 2, 3, 7, 8, 16, 255, 256, 1000, 8192, 32767, 32768, 65535, 10**6, 2**31 - 1, 2**31, 2**32 - 1, 2**63)
WORDS = (
    b"nan",
    b"inf",
    b"-1",
    b"1e308",
    b"-1e-308",
    b"0",
    b"",
    b" ",
    b"x",
    b"%s%n",
    b"(1,0",
    b'"',
    b"99999999999999999",
)
FIELDS = (
    b"kinds", b"units", b"labels", b"space units", b"space origin", b"measurement frame", b"line skip", b"byte skip",
    b"NDims", b"HeaderSize", b"ElementNumberOfChannels", b"ElementByteOrderMSB", b"Comment", b"CompressedDataSize",
    b"Modality", b"ElementSize", b"content", b"thicknesses", b"old min",
)  # fmt: skip
SLACK_MB = 96  # as in ``decoder``: what libraries map late
SECRETS = ("Secret", "SECRET", "DOE", "19500101")


# ---- the cases


def write_seeds(folder: Path) -> dict[str, list[Path]]:
    """Name of each small scan -> its files."""
    from tests import phantoms

    ct = phantoms.phantom((20, 18, 12), degrees=(6, -4, 9))
    made: dict[str, list[Path]] = {}

    def keep(name: str, *files: Path) -> None:
        made[name] = sorted(files)

    keep("nifti.gz", phantoms.write_nifti(folder / "a.nii.gz", ct.hu, ct.affine))
    keep("nifti", phantoms.write_nifti(folder / "b.nii", ct.hu, ct.affine))
    keep("nifti2", phantoms.write_nifti(folder / "c.nii", ct.hu, ct.affine, version=2, big_endian=True))
    for end in (".nrrd", ".nhdr", ".mha", ".mhd"):
        for compress in (False, True):
            place = folder / f"{end[1:]}-{compress}"
            place.mkdir()
            phantoms.write_itk(place / f"ct{end}", ct.hu, ct.affine, compress)
            keep(f"{end[1:]}{'-packed' if compress else ''}", *place.iterdir())
    for syntax in SYNTAXES:
        place = phantoms.write_dicom_series(folder / syntax, ct.hu[:, :, :6], ct.affine, syntax=syntax)
        keep(f"dicom-{syntax}", *place.iterdir())
    keep("enhanced", phantoms.write_enhanced_ct(folder / "e.dcm", ct.hu, ct.affine))
    keep("enhanced-rle", phantoms.write_enhanced_ct(folder / "r.dcm", ct.hu, ct.affine, rle=True))
    keep("zip", phantoms.zip_folder(folder / "explicit", folder / "z.zip"))
    keep("zip-nrrd", phantoms.zip_folder(folder / "nhdr-True", folder / "n.zip"))
    return made


def mutate(data: bytes, chance: random.Random, text: bool, outside: str) -> bytes:
    """A damaged copy of a file; most changes lie in its first kilobyte."""
    for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
        data = (_text if text and chance.random() < 0.8 else _binary)(data, chance, outside)
    return data


def _binary(data: bytes, chance: random.Random, _: str) -> bytes:
    size = len(data)
    if size < 8:
        return data
    at = chance.randrange(min(size, chance.choice((64, 352, 1024, size))))
    how = chance.randrange(8)
    if how == 0:
        return data[:at] + bytes([data[at] ^ (1 << chance.randrange(8))]) + data[at + 1 :]
    if how == 1:
        return data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]
    if how in (2, 3):
        width, order = chance.choice((1, 2, 4, 8)), chance.choice(("little", "big"))
        value = (chance.choice(NUMBERS) + chance.randrange(-1, 2)) % (1 << 8 * width)
        return data[:at] + value.to_bytes(width, order) + data[at + width :]
    if how == 4:
        return data[:at]
    length = chance.choice((1, 4, 16, 100))
    if how == 5:
        return data[:at] + data[at + length :]
    if how == 6:
        return data[:at] + data[at : at + length] * chance.choice((2, 3, 50)) + data[at + length :]
    other = chance.randrange(size)
    return data[:at] + data[other : other + length] + data[at + length :]


def _text(data: bytes, chance: random.Random, outside: str) -> bytes:
    """A change in a line of an NRRD or MetaImage header."""
    end = data.find(b"\n\n") if data.startswith(b"NRRD") else data.find(b"LOCAL")
    end = end if 0 < end < 4096 else min(len(data), 1024)
    lines = data[:end].split(b"\n")
    at = chance.randrange(len(lines))
    line = lines[at]
    how = chance.randrange(10)
    numbers = list(re.finditer(rb"-?\d+(\.\d+)?", line))
    if how == 0:  # elsewhere on this machine
        key = b"data file: " if data.startswith(b"NRRD") else b"ElementDataFile = "
        to = chance.choice((outside, "../outside/secret.raw", f"LIST\n{outside}", f"{outside}%d 1 1 1", "/etc/passwd"))
        lines = [one for one in lines if not one.lower().startswith((b"data file", b"elementdatafile"))]
        return b"\n".join([*lines, key + to.encode()]) + data[end:]
    if how in (1, 2, 3) and numbers:
        found = chance.choice(numbers)
        value = chance.choice((str(chance.choice(NUMBERS)).encode(), chance.choice(WORDS)))
        lines[at] = line[: found.start()] + value + line[found.end() :]
    elif how == 4:
        key, mark, value = line.partition(b":" if b":" in line else b"=")
        lines[at] = key + mark + b" " + b" ".join([value.strip()] * chance.choice((2, 10, 300, 3000)))
    elif how == 5:
        lines[at] = line + chance.choice((b"a", b"1 ", b'"', b"(", b"\0")) * chance.choice((10, 300, 5000, 100_000))
    elif how == 6:
        lines[at] = line.partition(b":" if b":" in line else b"=")[0] + b": " + chance.choice(WORDS)
    elif how == 7:
        lines.insert(at, chance.choice(lines))
    elif how == 8:
        del lines[at]
    else:
        value = chance.choice((*WORDS, *(str(n).encode() for n in NUMBERS), b"1 " * 300, b'"a" ' * 300, b"z" * 9000))
        lines.insert(at, chance.choice(FIELDS) + chance.choice((b": ", b" = ", b":=")) + value)
    return b"\n".join(lines) + data[end:]


# ---- a worker


def work(options: argparse.Namespace) -> None:
    """Read the cases ``start`` to ``stop``; one line of JSON each."""
    from medvl.errors import MedVLError
    from medvl.readers import read_ct
    from medvl.readers.isolated import DECODER, read_isolated

    seeds = json.loads((options.folder / "seeds.json").read_text())
    names = [name for name in sorted(seeds) if options.only in name]
    upload = options.folder / f"worker-{options.start}"
    watch = None if options.here else Children(DECODER)
    outside = str(options.folder / "outside" / "secret.raw")
    for number in range(options.start, options.stop):
        chance = random.Random(f"{options.seed}-{number}")
        name = chance.choice(names)
        files = [Path(file) for file in seeds[name]]
        shutil.rmtree(upload, ignore_errors=True)
        upload.mkdir()
        changed = chance.randrange(len(files)) if len(files) > 1 else 0
        if name.startswith(("nhdr", "mhd")) and chance.random() < 0.8:  # the header, not the data
            changed = next(n for n, file in enumerate(files) if file.suffix in (".nhdr", ".mhd"))
        for n, file in enumerate(files):
            data = file.read_bytes()
            text = name.startswith(("nrrd", "nhdr", "mha", "mhd")) and file.suffix not in (".raw", ".zraw", ".gz")
            (upload / file.name).write_bytes(mutate(data, chance, text, outside) if n == changed else data)
        paths = sorted(upload.iterdir())
        print(json.dumps({"at": number, "name": name}), flush=True)
        claims, told = [], {"number": number, "name": name, "error": "", "words": ""}
        begin = time.perf_counter()
        try:
            (read_ct if options.here else read_isolated)(paths[0] if len(paths) == 1 else paths, claim=claims.append)
        except MedVLError as error:
            told |= {"error": type(error).__name__, "words": str(error)}
            told["quotes"] = any(secret in str(error) for secret in SECRETS)
        except BaseException as error:
            told |= {"error": f"{type(error).__module__}.{type(error).__name__}", "foreign": True}
        told["seconds"] = round(time.perf_counter() - begin, 3)
        if watch is not None:
            told["seen"], told["child_mb"] = watch.seen > 0, round(watch.peak())
            told["over"] = told["child_mb"] > max(claims, default=0) / 2**20 + SLACK_MB
        print(json.dumps(told), flush=True)
    shutil.rmtree(upload, ignore_errors=True)


class Children:
    """The most memory of its own that a child of the decoder has had: beyond what it was forked with, without files.

    Looked at from outside every millisecond, so what lives shorter is not seen; the peak that the system keeps
    (``VmHWM``) would not do, as a fork has its parent's pages of libraries or not, by chance.
    """

    def __init__(self, decoder) -> None:
        self._decoder, self._most, self.seen = decoder, 0.0, 0
        threading.Thread(target=self._look, daemon=True).start()

    def peak(self) -> float:
        """MB since it was asked last."""
        most, self._most, self.seen = self._most, 0.0, 0
        return most

    def _look(self) -> None:
        while True:
            process = self._decoder._process
            if process is not None:
                try:
                    own = _resident(process.pid, "RssAnon")
                    for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
                        has = sum(_resident(int(child), field) for field in ("RssAnon", "RssShmem"))
                        self._most = max(self._most, has - own)
                        self.seen += 1
                except (OSError, TypeError):  # it has ended
                    pass
            time.sleep(0.001)


def _resident(pid: int, field: str) -> float:
    return int(re.search(rf"{field}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())[1]) / 1024


# ---- the whole


class Watch:
    """Counts how often files of a folder are opened."""

    def __init__(self, folder: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._handle = libc.inotify_init1(os.O_NONBLOCK)
        if libc.inotify_add_watch(self._handle, str(folder).encode(), 0x21) < 0:  # IN_ACCESS | IN_OPEN
            raise SystemExit("The folder cannot be watched.")
        self.count = 0

    def look(self) -> int:
        """All until now."""
        try:
            while data := os.read(self._handle, 1 << 16):
                self.count += data.count(b"secret.raw")
        except BlockingIOError:
            pass
        return self.count


def run_worker(options: argparse.Namespace, folder: Path, start: int, stop: int, results: queue.Queue) -> None:
    """All cases of one worker; it is started again after a case that ended or hung it."""
    while start < stop:
        command = [sys.executable, __file__, "--worker", "--folder", str(folder), "--start", str(start)]
        command += ["--stop", str(stop), "--seed", str(options.seed), "--only", options.only]
        process = subprocess.Popen(
            [*command, *(["--here"] if options.here else [])],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        lines: queue.Queue = queue.Queue()
        threading.Thread(target=lambda p=process, q=lines: [*map(q.put, p.stdout), q.put(None)], daemon=True).start()
        current = None
        while True:
            try:
                line = lines.get(timeout=options.limit_s + 120)
            except queue.Empty:
                process.kill()
                results.put({**current, "hang": True})
                break
            if line is None:
                if current is not None:
                    results.put({**current, "end": process.wait()})
                elif start < stop:
                    raise SystemExit("A worker does not start.")
                break
            told = json.loads(line)
            if "at" in told:
                current = {"number": told["at"], "name": told["name"]}
            else:
                current, start = None, told["number"] + 1
                results.put(told)
        if current is not None:
            start = current["number"] + 1
        if process.poll() is None:
            process.wait()
    results.put(None)


def main() -> int:
    """Print one JSON object; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit-s", type=float, default=30.0, help="a case that takes longer counts as a hang")
    parser.add_argument("--only", default="", help="part of the names of the scans to damage")
    parser.add_argument("--here", action="store_true", help="read in the worker, without a child")
    for name in ("--folder", "--start", "--stop"):
        parser.add_argument(name, type=Path if name == "--folder" else int, help=argparse.SUPPRESS)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(options)
        return 0
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="medvl-fuzz-") as name:
        folder = Path(name)
        (folder / "seeds").mkdir()
        seeds = write_seeds(folder / "seeds")
        (folder / "seeds.json").write_text(json.dumps({key: [str(f) for f in files] for key, files in seeds.items()}))
        (folder / "outside").mkdir()
        (folder / "outside" / "secret.raw").write_bytes(b"\x01\x04" * 20 * 18 * 12)
        watch = Watch(folder / "outside")
        results: queue.Queue = queue.Queue()
        step = -(-options.cases // options.workers)
        last = options.first + options.cases
        parts = [(n, min(n + step, last)) for n in range(options.first, last, step)]
        for part in parts:
            threading.Thread(target=run_worker, args=(options, folder, *part, results), daemon=True).start()
        told, running = [], len(parts)
        while running:
            one = results.get()
            running -= one is None
            if one is not None:
                told.append(one)
                if len(told) % 500 == 0:
                    print(f"{len(told)} cases, {time.perf_counter() - begin:.0f} s", file=sys.stderr, flush=True)
        opened = watch.look()
    return report(options, told, opened, time.perf_counter() - begin)


def report(options: argparse.Namespace, told: list[dict], opened: int, seconds: float) -> int:
    """Print the counts and the cases that count; returns the exit code."""
    wrong = {
        "ends_of_the_server": [one for one in told if "end" in one],
        "errors_not_the_packages": [one for one in told if one.get("foreign")],
        "hangs": [one for one in told if one.get("hang") or one.get("seconds", 0) > options.limit_s],
        "over_the_memory_claimed": [one for one in told if one.get("over")],
        "errors_that_quote_the_patient": [one for one in told if one.get("quotes")],
    }
    crashed = [one for one in told if "makes its reader fail" in one.get("words", "")]
    words = Counter(re.sub(r"\d[\d.,]*", "N", one.get("words", ""))[:60] for one in told if one.get("words"))
    result = {
        "cases": len(told),
        "seed": options.seed,
        "in_a_child": not options.here,
        **{key: len(cases) for key, cases in wrong.items()},
        "reads_outside_the_upload": opened,
        "read_as_a_scan": sum(not one.get("error") and "end" not in one and "hang" not in one for one in told),
        "children_that_ended": len(crashed),
        "slowest_s": max((one.get("seconds", 0) for one in told), default=0),
        "children_seen": sum(one.get("seen", False) for one in told),
        "largest_child_mb": max((one.get("child_mb", 0) for one in told), default=0),
        "seconds": round(seconds),
        "of_formats": dict(sorted(Counter(one["name"] for one in told).items())),
        "crashes_of_formats": dict(sorted(Counter(one["name"] for one in crashed).items())),
        "wrong": {key: cases[:10] for key, cases in wrong.items() if cases},
        "errors": dict(words.most_common(12)),
    }
    print(json.dumps(result, indent=1))
    blind = not options.here and not result["children_seen"]  # then nothing was said about memory
    return int(bool(opened or any(wrong.values()) or blind))


if __name__ == "__main__":
    raise SystemExit(main())
