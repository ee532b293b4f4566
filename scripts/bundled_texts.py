"""The texts that scripts/capture_bundled reads, from packages of Debian 12: nothing of them goes into a trace.

Packages are fetched with `apt-get download`, not installed.
"""

from __future__ import annotations

import io
import struct
import subprocess
import tarfile
import zlib
from pathlib import Path


def package_files(package: str, wanted: list[str], cache: Path) -> dict[str, bytes]:
    """Files of a Debian package by their path in it."""
    cache.mkdir(parents=True, exist_ok=True)
    found = sorted(cache.glob(f"{package}_*.deb"))
    if not found:
        subprocess.run(["apt-get", "download", "-qq", package], cwd=cache, check=True)
        found = sorted(cache.glob(f"{package}_*.deb"))
    archive = subprocess.run(["dpkg", "--fsys-tarfile", found[-1].name], cwd=cache, check=True, capture_output=True)
    files = {}
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
        for name in wanted:
            member = tar.extractfile("./" + name)
            assert member is not None, f"{package} has no {name}"
            files[name] = member.read()
    return files


def holmes(cache: Path) -> str:
    """Narrative: The Adventures of Sherlock Holmes."""
    path = "usr/share/gocode/src/github.com/pierrec/lz4/testdata/pg1661.txt"
    return package_files("golang-github-pierrec-lz4-dev", [path], cache)[path].decode("utf-8-sig").replace("\r\n", "\n")


def austen(cache: Path) -> str:
    """Dialogue: Pride and Prejudice."""
    path = "usr/lib/R/site-library/janeaustenr/data/Rdata.rdb"
    data = package_files("r-cran-janeaustenr", [path], cache)[path]
    at = 0
    while at < len(data):
        stream = zlib.decompressobj()  # a record: its size before compression, then a zlib stream
        record = stream.decompress(data[at + 4 :])
        lines = _strings(record)
        if lines and lines[0] == "PRIDE AND PREJUDICE":
            return "\n".join(lines)
        at = len(data) - len(stream.unused_data)
    raise AssertionError("janeaustenr has no Pride and Prejudice")


def _strings(record: bytes) -> list[str]:
    """A character vector in R's binary serialization: XDR, format version 3."""
    # "X\n", three versions, the length of the encoding's name and the name; then kind and length of the vector; then
    # per string its kind, its length (-1: missing) and its bytes.
    assert record[:2] == b"X\n", "no R serialization"
    (name_length,) = struct.unpack_from(">i", record, 14)
    at = 18 + name_length
    kind, count = struct.unpack_from(">ii", record, at)
    assert kind & 0xFF == 16, "no character vector"
    at += 8
    strings = []
    for _ in range(count):
        _, length = struct.unpack_from(">ii", record, at)
        at += 8
        strings.append(record[at : at + max(0, length)].decode())
        at += max(0, length)
    return strings


def source_code(cache: Path) -> str:
    """Program source: modules of Python's standard library, one after the other."""
    paths = [f"usr/lib/python3.11/{name}.py" for name in ("tarfile", "pdb", "mailbox", "difflib")]
    files = package_files("libpython3.11-stdlib", paths, cache)
    return "\n\n".join(files[path].decode() for path in paths)


def documentation(cache: Path) -> str:
    """Technical documentation: pages of Python's library reference, in reStructuredText."""
    paths = [f"usr/share/doc/python3.11/html/_sources/library/{name}.rst.txt"
             for name in ("argparse", "subprocess", "sqlite3")]
    files = package_files("python3.11-doc", paths, cache)
    return "\n\n".join(files[path].decode() for path in paths)
