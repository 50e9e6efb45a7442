"""Which kinds of files are opened as images, and what the others are, by their first bytes."""

from __future__ import annotations

import importlib
import importlib.util
import struct
import zlib
from functools import cache
from pathlib import Path
from typing import BinaryIO

from PIL import Image

#: Pillow's names of the formats that are decoded. Not among them: EPS, which would start
#: Ghostscript on a program; WMF; and containers whose contents Pillow would open by itself (IPTC).
DECODED = frozenset(
    [
        "BMP",
        "DIB",
        "GIF",
        "JPEG",
        "MPO",
        "PPM",
        "PNG",
        "WEBP",
        "AVIF",
        "HEIF",
        "BLP",
        "CUR",
        "PCX",
        "DCX",
        "DDS",
        "FITS",
        "FLI",
        "FTEX",
        "GBR",
        "JPEG2000",
        "ICNS",
        "ICO",
        "IM",
        "IMT",
        "MCIDAS",
        "TIFF",
        "MSP",
        "PCD",
        "PIXAR",
        "PSD",
        "QOI",
        "SGI",
        "SPIDER",
        "SUN",
        "TGA",
        "XBM",
        "XPM",
        "XVTHUMB",
    ]
)
#: Formats whose further frames are images of their own. A phone's MPO holds previews and maps.
PAGED = frozenset(("TIFF", "GIF", "WEBP", "PNG", "AVIF", "DCX", "FLI"))
HEAD_BYTES = 512
CONVERT = "convert it to PNG or JPEG"
ARCHIVE = "an archive: unpack it"
IN_PLACE = "an archive: give it alone as data.root, or unpack it"
#: What files begin with, what they are and what would work.
BEGINNINGS: tuple[tuple[bytes, str], ...] = (
    (b"\xff\x0a", f"JPEG XL: {CONVERT}"),
    (b"\0\0\0\x0cJXL ", f"JPEG XL: {CONVERT}"),
    (b"%!PS", f"PostScript, which is a program and is not run: {CONVERT}"),
    (b"\xc5\xd0\xd3\xc6", f"PostScript, which is a program and is not run: {CONVERT}"),
    (b"%PDF", "PDF: save its pages as PNG or JPEG"),
    (b"\xd7\xcd\xc6\x9a", f"a Windows metafile: {CONVERT}"),
    (b"\x93NUMPY", "a NumPy array: save its images as PNG"),
    (b"\x89HDF", "HDF5: save its images as PNG"),
    (b"\x1aE\xdf\xa3", "a video: save its frames as PNG or JPEG"),
    (b"version https://git-lfs", "a pointer of Git LFS: get the file with git lfs pull"),
    (b"PK\x03\x04", IN_PLACE),
    (b"\x1f\x8b", ARCHIVE),
    (b"BZh", ARCHIVE),
    (b"\xfd7zXZ\0", ARCHIVE),
    (b"7z\xbc\xaf\x27\x1c", ARCHIVE),
    (b"Rar!", ARCHIVE),
    (b"(\xb5/\xfd", ARCHIVE),
)
#: What Pillow may raise at damaged files.
DAMAGE = (
    OSError, ValueError, SyntaxError, EOFError, LookupError, TypeError, struct.error, zlib.error,
)  # fmt: skip
HEIC = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"))
#: Of a PNG: all that pixels need. Texts, and colour profiles of absurd size, are left out.
PNG_START = b"\x89PNG\r\n\x1a\n"
PNG_CHUNKS = frozenset((b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"eXIf"))


def formats() -> list[str]:
    """The formats to open images in, for `Image.open`."""
    Image.init()
    return [name for name in Image.ID if name in DECODED]


def head_of(path: Path | BinaryIO) -> bytes:
    """The first bytes of a file, which stays where it was.

    Raises:
        OSError: it cannot be read.
    """
    if isinstance(path, Path):
        with path.open("rb") as file:
            return file.read(HEAD_BYTES)
    path.seek(0)
    head = path.read(HEAD_BYTES)
    path.seek(0)
    return head


def is_heic(head: bytes) -> bool:
    """Whether a file is HEIC, by its first bytes."""
    return head[4:8] == b"ftyp" and head[8:12] in HEIC


@cache
def open_heic() -> bool:
    """Let Pillow open HEIC, if pillow-heif is installed; whether it is."""
    if importlib.util.find_spec("pillow_heif") is None:
        return False
    importlib.import_module("pillow_heif").register_heif_opener()
    return True


def describe(head: bytes) -> str:
    """What a file is that is no image, and what would work, by its first bytes."""
    if is_heic(head):
        return f"HEIC: {CONVERT}" + ("" if open_heic() else ", or pip install pillow-heif")
    text = head.lstrip(b"\xef\xbb\xbf \r\n\t").lower()
    is_avif = head[8:12] in (b"avif", b"avis")
    is_svg = text.startswith(b"<svg") or (text.startswith(b"<?xml") and b"<svg" in text)
    is_page = text.startswith((b"<!doctype html", b"<html"))
    signs = (
        (not head, "empty"),
        (head[4:8] == b"ftyp" and is_avif, f"AVIF: {CONVERT}"),
        (head[4:8] == b"ftyp", "a video: save its frames as PNG or JPEG"),
        (head[128:132] == b"DICM", "DICOM: convert it to PNG or TIFF of 16 bits"),
        (head[257:262] == b"ustar", IN_PLACE),
        (is_svg, "SVG, which is a drawing and has no pixels: save it as PNG"),
        (is_page, "a web page, as a failed download leaves it: fetch the image again"),
        *((head.startswith(beginning), what) for beginning, what in BEGINNINGS),
    )
    return next((what for is_it, what in signs if is_it), "not an image")


def without_texts(data: bytes) -> bytes:
    """A PNG with nothing but what its pixels need.

    Raises:
        ValueError: it is no PNG, or cut short.
    """
    if not data.startswith(PNG_START):
        raise ValueError("no PNG")
    kept, place = [PNG_START], len(PNG_START)
    while place < len(data):
        try:
            (length,) = struct.unpack(">I", data[place : place + 4])
        except struct.error as error:
            raise ValueError("cut short") from error
        kind = data[place + 4 : place + 8]
        if kind in PNG_CHUNKS:
            kept.append(data[place : place + 12 + length])
        place += 12 + length
    return b"".join(kept)
