"""Committed streams decode as they always did: integers exactly, samples to a stated error."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import inrcodec
from inrcodec import codec, errors, kernels
from inrcodec.signal import Metadata

VECTORS = Path(__file__).parents[2] / "data" / "vectors" / "v0"
VALID, INVALID = VECTORS / "valid", VECTORS / "invalid"
ROWS = [row.split("\t") for row in (INVALID / "errors.tsv").read_text().splitlines()[1:]]
MIB = 1 << 20

every_valid = pytest.mark.parametrize("path", sorted(VALID.glob("*.inr")), ids=lambda p: p.stem)
every_invalid = pytest.mark.parametrize(
    ("file", "error", "says"), [row[:3] for row in ROWS], ids=[row[0] for row in ROWS]
)


@pytest.fixture(params=["native", "torch"])
def backend(request: pytest.FixtureRequest, _backend_is_put_back: None) -> str:
    """Native code, and the reference that stands in for it."""
    if request.param == "native":
        request.getfixturevalue("native")
    kernels.set_backend(request.param)
    return str(request.param)


def page_of(path: Path) -> dict[str, object]:
    """What a valid stream is stated to give."""
    page: dict[str, object] = json.loads(path.with_suffix(".json").read_text())
    return page


def digest_of(runs: tuple[np.ndarray, ...]) -> str:
    """SHA-256 of symbols as little-endian 32-bit integers, run by run."""
    return hashlib.sha256(b"".join(run.astype("<i4").tobytes() for run in runs)).hexdigest()


# --- valid ---------------------------------------------------------------------------------------


def test_every_stream_has_its_page_or_its_row() -> None:
    streams = sorted(path.stem for path in VALID.glob("*.inr"))
    assert len(streams) >= 12
    assert streams == sorted(path.stem for path in VALID.glob("*.json"))
    assert sorted(row[0] for row in ROWS) == sorted(path.name for path in INVALID.glob("*.inr"))


@every_valid
def test_a_committed_stream_is_the_one_that_its_page_describes(path: Path) -> None:
    data, page = path.read_bytes(), page_of(path)
    assert (len(data), hashlib.sha256(data).hexdigest()) == (page["bytes"], page["sha256"])


@every_valid
def test_symbols_are_exactly_those_that_were_coded(path: Path, backend: str) -> None:
    page = page_of(path)
    _, representation = codec.unpack(path.read_bytes())
    assert representation.name == page["representation"]
    assert sum(run.size for run in representation.symbols) == page["n_symbols"]
    assert digest_of(representation.symbols) == page["symbols_sha256"]


@every_valid
def test_samples_are_within_their_stated_error(path: Path, backend: str) -> None:
    page = page_of(path)
    decoded = codec.decode(path.read_bytes())
    assert decoded.samples.shape == (*page["grid"], page["channels"])  # type: ignore[misc]
    stated = np.array(page["samples"], np.float64)
    samples = decoded.samples.ravel().astype(np.float64)
    np.testing.assert_array_equal(np.isnan(samples), np.isnan(stated))
    assert np.nanmax(np.abs(samples - stated)) <= page["peak_error"]


@every_valid
def test_the_header_and_the_metadata_come_back(path: Path) -> None:
    page, decoded = page_of(path), codec.decode(path.read_bytes())
    spec, metadata = decoded.spec, decoded.metadata
    assert (spec.kind.name, spec.sample_format.name) == (page["kind"], page["sample_format"])
    assert [list(spec.grid), spec.channels] == [page["grid"], page["channels"]]
    assert [list(spec.value_range), spec.sample_rate] == [page["value_range"], page["sample_rate"]]
    assert (decoded.part or (None,))[0] == page["part_start"]
    assert carried_by(metadata) == page["metadata_sha256"]
    assert page["dpi"] == (None if metadata.dpi is None else list(metadata.dpi))
    labels = None if metadata.labels is None else json.loads(json.dumps(metadata.labels))
    assert page.get("labels") == labels


def carried_by(metadata: Metadata) -> dict[str, str]:
    """Digests of what is carried as bytes."""
    carried = {"icc": metadata.icc, "exif": metadata.exif, "xmp": metadata.xmp}
    return {
        name: hashlib.sha256(value).hexdigest()
        for name, value in carried.items()
        if value is not None
    }


DECODE_ALL = """
import sys
sys.modules["torch"] = None  # an import of torch fails
import hashlib, pathlib
from inrcodec import codec, kernels
assert kernels.backend() == sys.argv[2], kernels.backend()
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.inr")):
    data = path.read_bytes()
    runs = codec.unpack(data)[1].symbols
    codec.decode(data)
    digest = hashlib.sha256(b"".join(run.astype("<i4").tobytes() for run in runs)).hexdigest()
    print(path.name, digest)
"""


def decoded_elsewhere(*, native_code: bool) -> dict[str, str]:
    """Digests of the symbols of all valid streams, decoded by a process without torch."""
    env = dict(os.environ, PYTHONPATH=str(Path(inrcodec.__file__).parents[1]))
    env["INRCODEC_NATIVE"] = "1" if native_code else "0"
    arguments = [str(VALID), "native" if native_code else "torch"]
    command = [sys.executable, "-W", "error", "-c", DECODE_ALL, *arguments]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return dict(line.split() for line in done.stdout.splitlines())


def stated_digests() -> dict[str, str]:
    return {path.name: str(page_of(path)["symbols_sha256"]) for path in VALID.glob("*.inr")}


def test_decoding_needs_neither_torch_nor_native_code() -> None:
    assert decoded_elsewhere(native_code=False) == stated_digests()


@pytest.mark.usefixtures("native")
def test_decoding_with_native_code_needs_no_torch() -> None:
    assert decoded_elsewhere(native_code=True) == stated_digests()


# --- invalid -------------------------------------------------------------------------------------


@every_invalid
def test_an_invalid_stream_raises_exactly_its_error(file: str, error: str, says: str) -> None:
    with pytest.raises(errors.BitstreamError) as caught:
        codec.decode((INVALID / file).read_bytes())
    assert type(caught.value) is getattr(errors, error)
    assert says in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("file", [row[0] for row in ROWS])
def test_an_invalid_stream_takes_no_memory_for_what_it_asks(file: str) -> None:
    data = (INVALID / file).read_bytes()
    tracemalloc.start()
    try:
        with pytest.raises(errors.BitstreamError):
            codec.decode(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 40 * MIB  # of which metadata may take 16
