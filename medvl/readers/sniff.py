"""What a file is, by its first bytes and not by its name."""

from __future__ import annotations

import zlib

HEAD_BYTES = 4096
VOLUMES = ("nifti", "nrrd", "metaimage")

# First bytes of what people upload by mistake -> what to call it and what to do.
_OTHER = (
    (b"\x89PNG", "a PNG picture", "Open the CT volume itself, not a picture of it"),
    (b"\xff\xd8\xff", "a JPEG picture", "Open the CT volume itself, not a picture of it"),
    (b"GIF8", "a GIF picture", "Open the CT volume itself, not a picture of it"),
    (b"BM", "a BMP picture", "Open the CT volume itself, not a picture of it"),
    (b"II*\0", "a TIFF picture", "Save it as NIfTI, NRRD or MetaImage with its voxel spacing"),
    (b"MM\0*", "a TIFF picture", "Save it as NIfTI, NRRD or MetaImage with its voxel spacing"),
    (b"%PDF", "a PDF", "Open the CT volume itself"),
    (b"7z\xbc\xaf", "a 7z archive", "Pack the scan as .zip"),
    (b"Rar!", "a RAR archive", "Pack the scan as .zip"),
    (b"BZh", "a bzip2 file", "Pack the scan as .zip, or NIfTI as .nii.gz"),
    (b"\xfd7zXZ", "an xz file", "Pack the scan as .zip, or NIfTI as .nii.gz"),
    (b"\x28\xb5\x2f\xfd", "a zstd file", "Pack the scan as .zip, or NIfTI as .nii.gz"),
    (b"\x89HDF", "an HDF5 file", "Save the scan as NIfTI, NRRD or MetaImage"),
    (b"\x93NUMPY", "a NumPy array, which has no voxel spacing", "Save the scan as NIfTI, NRRD or MetaImage"),
    (b"version https://git-lfs", "a Git LFS pointer, not the scan", "Run 'git lfs pull' first"),
    (b"<", "a web page or XML file", "Download the scan itself"),
    (b"{", "a JSON file", "Open the CT volume itself"),
)  # fmt: skip


_HEADER_OF = {
    ".img": "the .hdr of a two-file NIfTI", ".img.gz": "the .hdr of a two-file NIfTI",
    ".raw": "a .mhd or .nhdr", ".zraw": "a .mhd", ".raw.gz": "a .nhdr",
}  # fmt: skip


def is_dicom(head: bytes) -> bool:
    """Part 10 file, or a data set without preamble that begins with group 0008 in little endian."""
    if head[128:132] == b"DICM":
        return True
    if len(head) < 16 or head[:2] not in (b"\x08\x00", b"\x02\x00") or head[3:4] not in (b"\x00",):
        return False
    explicit = head[4:6].isalpha() and head[4:6].isupper()
    return explicit or int.from_bytes(head[4:8], "little") < 1024


def _nifti(head: bytes) -> str | None:
    if len(head) < 348:
        return None
    size = {head[:4], head[:4][::-1]}
    if (348).to_bytes(4, "little") in size:
        return {b"n+1\0": "nifti", b"ni1\0": "nifti-pair"}.get(head[344:348], "analyze")
    if (540).to_bytes(4, "little") in size:
        return {b"n+2\0": "nifti", b"ni2\0": "nifti-pair"}.get(head[4:8])
    return None


def gunzip_head(head: bytes) -> bytes:
    """What the first bytes of a gzip stream hold; empty when damaged."""
    try:
        return zlib.decompressobj(31).decompress(head, 1024)
    except zlib.error:
        return b""


def kind(head: bytes) -> str:
    """Name of the content.

    Args:
        head: the first ``HEAD_BYTES`` bytes of a file, or all of a smaller one.

    Returns:
        ``nifti``, ``nrrd``, ``metaimage``, ``dicom``, ``zip``; ``gzip`` with something else inside; ``empty``;
        ``analyze`` or ``nifti-pair`` (header without image); ``unknown``.
    """
    if not head:
        return "empty"
    if head[:2] == b"\x1f\x8b":
        unpacked = gunzip_head(head)
        inner = "gzip" if unpacked[:2] == b"\x1f\x8b" else kind(unpacked)
        return inner if inner in ("nifti", "nifti-pair") else "gzip"
    if head[:4] in (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08"):
        return "zip"
    if is_dicom(head):
        return "dicom"
    if head[:5] == b"NRRD0":
        return "nrrd"
    text = head[:1024]
    if b"NDims" in text and b"=" in text and (b"ObjectType" in text or b"DimSize" in head):
        return "metaimage"
    return _nifti(head) or "unknown"


def describe(head: bytes, name: str = "") -> str:
    """Why a file that is no volume cannot be read, and what to do; one sentence or two.

    Args:
        head: its first bytes.
        name: what it is called; tells of voxels without a header which header they lack.
    """
    found = kind(head)
    if found == "empty":
        return "The file is empty (0 bytes). Upload it again."
    if found == "analyze":
        return "This is an Analyze 7.5 header, whose orientation is not defined. Convert the scan to NIfTI (.nii.gz)."
    if found == "nifti-pair":
        return (
            "This is the header of a two-file NIfTI (.hdr and .img) without its .img. Choose both together, pack them "
            "in a zip, or convert them to one file (.nii or .nii.gz)."
        )
    if found == "gzip":
        inner = gunzip_head(head)
        if not inner:
            return "The gzip file is damaged or cut short. Upload it again."
        if inner[257:262] == b"ustar":
            return "This is a tar archive. Pack the scan as .zip."
        if inner[:2] == b"\x1f\x8b":
            return "This file is packed with gzip twice. Unpack it once and open it again."
        return "The gzip file holds no NIfTI volume. Open a .nii.gz, .nrrd, .mha or a zip of DICOM files."
    for start, what, advice in _OTHER:
        if head.startswith(start):
            return f"This is {what}, not a CT volume. {advice}."
    if head[257:262] == b"ustar":
        return "This is a tar archive. Pack the scan as .zip."
    header = next((of for ending, of in _HEADER_OF.items() if name.lower().endswith(ending)), None)
    if header:
        return (
            f"These are the voxels of a scan without their header ({header}). Choose both together, or pack them in a "
            "zip."
        )
    if len(head) < 348:
        return "The file is too short to hold a CT volume. Upload it again."
    return (
        "This is not a CT volume. Open NIfTI (.nii, .nii.gz), NRRD, MetaImage (.mha) or a zip or folder of DICOM files."
    )


def read_head(path: str) -> bytes:
    """The first bytes of a file."""
    with open(path, "rb") as file:
        return file.read(HEAD_BYTES)
