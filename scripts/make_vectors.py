"""Makes the golden streams in data/vectors/v0 and the pages that say what each must give.

    python scripts/make_vectors.py

valid/NAME.inr with NAME.json: the header, a digest of the symbols, the samples, their peak error.
invalid/NAME.inr: refused as invalid/errors.tsv states, which is written by hand: the exact error,
a part of its message, and why.

A file that is there is never written again: only what is missing is made. To replace a stream,
delete it and its page first. Everything is checked before it is written. Needs the extra `fit`.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from vector_faults import OPTIONAL, Parts, faults
from vector_latents import latent_faults
from vector_recipes import recipes
from vector_sounds import sound_faults

from inrcodec import codec, kernels
from inrcodec.errors import BitstreamError
from inrcodec.signal import Metadata, SampleFormat, SignalSpec

ROOT = Path(__file__).resolve().parent.parent / "data" / "vectors" / "v0"
VALID, INVALID = ROOT / "valid", ROOT / "invalid"
LARGEST = 2000  # bytes of a valid stream


def main() -> None:
    """Make what is missing, and say what was made."""
    kernels.set_backend("torch")  # the reference states the samples
    made = [*make_valid(), *make_invalid()]
    print(f"made {len(made)} files", *made, sep="\n  ")


def write_new(path: Path, data: bytes) -> str:
    """Write a file that is not there yet; its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        file.write(data)
    return path.name


# --- valid ---------------------------------------------------------------------------------------


def make_valid() -> Iterator[str]:
    """Encode what is missing, then describe what is not described."""
    for recipe in recipes():
        path = VALID / f"{recipe.name}.inr"
        if not path.exists():
            yield write_new(path, recipe.encode())
    path = VALID / "siren_unknown_optional_section.inr"
    if not path.exists():
        yield write_new(path, Parts.of("siren_1x1").framed((OPTIONAL | 40, b"later")))
    for path in sorted(VALID.glob("*.inr")):
        page = path.with_suffix(".json")
        if not page.exists():
            yield write_new(page, describe(path.read_bytes()))


def describe(data: bytes) -> bytes:
    """The page of a valid stream. Samples are row-major, channels last."""
    if len(data) > LARGEST:
        raise SystemExit(f"a stream of {len(data)} bytes is over {LARGEST}")
    stream, representation = codec.unpack(data)
    signal = codec.render(stream, representation)
    spec = signal.spec
    symbols = np.concatenate([run.ravel() for run in representation.symbols])
    page = {
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "representation": representation.name,
        "kind": spec.kind.name,
        "sample_format": spec.sample_format.name,
        "grid": spec.grid,
        "channels": spec.channels,
        "value_range": spec.value_range,
        "sample_rate": spec.sample_rate,
        "part_start": stream.part_start,
        "metadata_sha256": metadata_digest(signal.metadata),
        "dpi": signal.metadata.dpi,
        "labels": signal.metadata.labels,
        "n_symbols": len(symbols),
        "symbols_sha256": hashlib.sha256(symbols.astype("<i4").tobytes()).hexdigest(),
        "peak_error": 0.0 if representation.name == "latentgrid" else peak_error(spec),
        "samples": [None if value != value else value for value in signal.samples.ravel().tolist()],
    }
    return (json.dumps(page) + "\n").encode()


def peak_error(spec: SignalSpec) -> float:
    """How far other machines may be off, in units of the samples: 2^-15 of their range.

    Half floats are coarser: a step of the largest.
    """
    low, high = spec.value_range
    error = (high - low) / 2**15
    if spec.sample_format is SampleFormat.F16:
        error = max(error, float(np.spacing(np.float16(max(-low, high)))))
    return error if spec.sample_format.is_float else float(math.ceil(error))


def metadata_digest(metadata: Metadata) -> dict[str, str]:
    """SHA-256 of what is carried as bytes, by name."""
    carried = {"icc": metadata.icc, "exif": metadata.exif, "xmp": metadata.xmp}
    return {k: hashlib.sha256(v).hexdigest() for k, v in carried.items() if v is not None}


# --- invalid -------------------------------------------------------------------------------------


def make_invalid() -> Iterator[str]:
    """Write what is missing, after seeing that it is refused as errors.tsv states."""
    streams = faults() | latent_faults() | sound_faults()
    rows = (INVALID / "errors.tsv").read_text().splitlines()[1:]
    stated = {file: (error, says) for file, error, says, _ in (row.split("\t") for row in rows)}
    if {f"{name}.inr" for name in streams} != set(stated):
        raise SystemExit("errors.tsv and this script do not name the same streams")
    for name, data in streams.items():
        path = INVALID / f"{name}.inr"
        check_refused(path.name, data, *stated[path.name])
        if not path.exists():
            yield write_new(path, data)


def check_refused(name: str, data: bytes, error_name: str, says: str) -> None:
    """Stop unless decoding raises exactly the error that is stated."""
    try:
        codec.decode(data)
    except BitstreamError as error:
        if type(error).__name__ == error_name and says in str(error):
            return
        raise SystemExit(f"{name}: {type(error).__name__}: {error}") from None
    raise SystemExit(f"{name} decodes")


if __name__ == "__main__":
    main()
