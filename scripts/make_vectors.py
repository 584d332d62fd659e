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
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from vector_recipes import recipes

from inrcodec import codec, kernels
from inrcodec.container import ByteReader, ByteWriter
from inrcodec.errors import BitstreamError
from inrcodec.signal import Metadata, SampleFormat, SignalSpec

ROOT = Path(__file__).resolve().parent.parent / "data" / "vectors" / "v0"
VALID, INVALID = ROOT / "valid", ROOT / "invalid"
MAGIC = b"\x89INR\x00"
HEAD, MODEL, SYMBOLS, MASK, ICC, DPI, PART, LABELS = 1, 2, 3, 5, 16, 19, 20, 23
OPTIONAL, LAST = 0x40, 0x80
ITERATIONS = 150
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
        "peak_error": peak_error(spec),
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


@dataclass(frozen=True, slots=True)
class Parts:
    """The payloads of a valid stream without metadata, to be framed again with a fault."""

    head: bytes
    model: bytes
    symbols: bytes

    @staticmethod
    def of(name: str) -> Parts:
        """Those of a valid stream that is already there."""
        reader = ByteReader((VALID / f"{name}.inr").read_bytes())
        reader.take(len(MAGIC))
        payloads = []
        for _ in range(3):
            reader.u8()
            payloads.append(reader.take(reader.varint()))
            reader.u32()
        return Parts(*payloads)

    def framed(self, *extra: tuple[int, bytes]) -> bytes:
        """A stream of these payloads and more sections, each a tag and a payload."""
        return framed((HEAD, self.head), (MODEL, self.model), (SYMBOLS, self.symbols), *extra)


def framed(*sections: tuple[int, bytes]) -> bytes:
    """A stream of sections; the last one gets the `last` bit."""
    frames = [frame(tag, payload) for tag, payload in sections[:-1]]
    tag, payload = sections[-1]
    return MAGIC + b"".join(frames) + frame(tag | LAST, payload)


def frame(tag: int, payload: bytes) -> bytes:
    """A section with its checksum."""
    body = bytes([tag]) + varints(len(payload)) + payload
    return body + zlib.crc32(body).to_bytes(4, "little")


def varints(*values: int) -> bytes:
    """Numbers as a stream holds them."""
    writer = ByteWriter()
    for value in values:
        writer.varint(value)
    return writer.to_bytes()


def make_invalid() -> Iterator[str]:
    """Write what is missing, after seeing that it is refused as errors.tsv states."""
    base = Parts.of("siren_1x1")
    faults = of_the_file(base) | of_the_head(base) | of_metadata(base)
    faults |= of_the_model(base) | of_the_symbols(base) | of_arrays(base)
    rows = (INVALID / "errors.tsv").read_text().splitlines()[1:]
    stated = {file: (error, says) for file, error, says, _ in (row.split("\t") for row in rows)}
    if {f"{name}.inr" for name in faults} != set(stated):
        raise SystemExit("errors.tsv and this script do not name the same streams")
    for name, data in faults.items():
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


def of_the_file(base: Parts) -> dict[str, bytes]:
    """Magic, version and the frame of sections."""
    good = base.framed()
    head, model, symbols = (HEAD, base.head), (MODEL, base.model), (SYMBOLS, base.symbols)
    return {
        "empty": b"",
        "truncated_magic": good[:3],
        "no_sections": MAGIC,
        "magic_of_png": b"\x89PNG" + good[4:],
        "version_1": good[:4] + b"\1" + good[5:],
        "truncated_head": good[:9],
        "truncated_symbols": good[:-6],
        "truncated_checksum": good[:-1],
        "no_last_section": MAGIC + frame(*head) + frame(*model) + frame(*symbols),
        "leftover_bytes": good + b"\0",
        "bad_checksum": good[:-1] + bytes([good[-1] ^ 1]),
        "idle_length": MAGIC + bytes([HEAD, 0x80 | len(base.head), 0]) + base.head,
        "endless_length": MAGIC + bytes([HEAD]) + b"\xff" * 5 + b"\0",
        "huge_length": MAGIC + bytes([HEAD]) + varints(2**32 - 1),
        "head_not_first": framed(model, head, symbols),
        "section_twice": framed(head, model, model, symbols),
        "unknown_required_section": base.framed((40, b"later")),
        "required_as_optional": framed(head, model, (SYMBOLS | OPTIONAL, base.symbols)),
        "optional_as_required": base.framed((PART, b"\5")),
        "no_model": framed(head, symbols),
        "no_symbols": framed(head, model),
    }


def of_the_head(base: Parts) -> dict[str, bytes]:
    """Fields of HEAD."""
    image, siren = 0x00, 1
    heads = {
        "unknown_kind": bytes([0x40, siren, 1, 1, 1]),
        "unknown_sample_format": bytes([image | 7, siren, 1, 1, 1]),
        "unknown_array_format": bytes([0x3C, siren, 1, 1, 1]),
        "unknown_representation": bytes([image, 255, 1, 1, 1]),
        "array_rank_0": bytes([0x30, siren, 0, 1]),
        "array_rank_5": bytes([0x30, siren, 5, 1, 1, 1, 1, 1, 1]),
        "no_rows": bytes([image, siren, 0, 1, 1]),
        "no_channels": bytes([image, siren, 1, 1, 0]),
        "no_sample_rate": bytes([0x12, siren, 1, 1, 0]),
        "head_cut_short": bytes([image, siren, 1, 1]),
        "head_too_long": bytes([image, siren, 1, 1, 1, 0]),
        "range_reversed": bytes([image | 6, siren, 1, 1, 1]) + f32(1.0, 0.5),
        "range_not_a_number": bytes([image | 6, siren, 1, 1, 1]) + f32(0.0, np.nan),
        "range_past_half": bytes([image | 5, siren, 1, 1, 1]) + f32(0.0, 65536.0),
        "too_many_samples": bytes([image, siren]) + varints(2**32 - 1, 2**32 - 1, 1),
        "too_many_channels": bytes([image, siren]) + varints(1, 1, 65),
    }
    return {name: replace(base, head=head).framed() for name, head in heads.items()}


def of_metadata(base: Parts) -> dict[str, bytes]:
    """Sections that a decoder may skip, but reads if it knows them."""
    icc = zlib.compress(b"profile", 9)
    sections = {
        "zip_bomb_icc": (ICC, zlib.compress(bytes(2**24 + 1), 9)),
        "icc_not_zlib": (ICC, b"profile"),
        "icc_cut_off": (ICC, icc[:-1]),
        "icc_too_long": (ICC, icc + b"\0"),
        "dpi_cut_off": (DPI, varints(300_000)),
        "part_too_long": (PART, varints(5, 5)),
    }
    return {
        name: base.framed((key | OPTIONAL, payload)) for name, (key, payload) in sections.items()
    }


def of_arrays(base: Parts) -> dict[str, bytes]:
    """The range, the mask and the labels of an array of doubles or bytes of 2 rows of 5."""
    doubles, whole = bytes([0x3B, 1, 2, 2, 5, 1]), bytes([0x30, 1, 2, 2, 5, 1])
    heads = {
        "array_range_not_whole": whole + f64(0.0, 0.5),
        "array_range_past_format": whole + f64(0.0, 256.0),
        "array_range_too_wide": doubles + f64(-1e308, 1e308),
    }
    faults = {name: replace(base, head=head).framed() for name, head in heads.items()}
    array = replace(base, head=doubles + f64(0.0, 1.0))
    of_bytes = replace(base, head=whole + f64(0.0, 1.0))
    masks = {
        "too_short": b"\x80",
        "past_end": b"\x80\x20",
        "of_all": b"\xff\xc0",
        "bomb": bytes(2**24),
    }
    for name, mask in masks.items():
        faults[f"mask_{name}"] = array.framed((MASK, zlib.compress(mask, 9)))
    faults["mask_of_integers"] = of_bytes.framed((MASK, zlib.compress(b"\x80\0", 9)))
    labels = {"not_utf8": b"\1\xff\0\0\0", "too_many": bytes(5), "control": b"\1\n\0\0\0"}
    for name, payload in labels.items():
        faults[f"labels_{name}"] = array.framed((LABELS | OPTIONAL, payload))
    faults["labels_of_image"] = base.framed((LABELS | OPTIONAL, bytes(4)))
    return faults


def of_the_model(base: Parts) -> dict[str, bytes]:
    """Fields of MODEL, of all families."""
    grid, simplex = Parts.of("hashgrid_one_sample"), Parts.of("simplexgrid_mono16")
    wide = replace(base, head=bytes([0x00, 1]) + varints(2**14, 2**14, 1))
    return {
        "model_cut_short": replace(base, model=base.model[:-1]).framed(),
        "model_too_long": replace(base, model=base.model + b"\0").framed(),
        "siren_width_0": replace(base, model=varints(0) + base.model[1:]).framed(),
        "siren_width_1025": replace(base, model=varints(1025) + base.model[1:]).framed(),
        "grid_too_fine": replace(grid, model=grid_model(2, 3, 2**22, 8192)).framed(),
        "grid_extent_0": replace(grid, model=grid_model(1, 3, 4, 4096, 0)).framed(),
        "grid_extent_4097": replace(grid, model=grid_model(1, 3, 4, 4096, 4097)).framed(),
        "grid_skewed_2": replace(simplex, model=grid_model(1, 3, 4, 4096, 2, 4096)).framed(),
        "too_many_parameters": replace(grid, model=grid_model(32, 24, 2**22, 4096)).framed(),
        "too_many_multiplications": replace(wide, **certain(256, 2)).framed(),
    }


def grid_model(levels: int, log2_table: int, resolution: int, growth: int, *rest: int) -> bytes:
    """The shape of a grid, with 8 features; what is stored after the depth: else a full extent."""
    return varints(levels, 3, log2_table, resolution, growth, 1, 1, *(rest or (4096,)))


def certain(width: int, depth: int) -> dict[str, bytes]:
    """MODEL and SYMBOLS of a one-channel siren of zeros, which take no words."""
    tensors = bytes([100, 0, 0]) * (2 * depth + 2)
    return {"model": varints(width, depth, 0) + bytes([0, 0, 1, 0]) + tensors, "symbols": b""}


def of_the_symbols(base: Parts) -> dict[str, bytes]:
    """Words that no encoder writes for these tables."""
    words = {
        "symbols_not_in_words": base.symbols + b"\0",
        "symbols_left_over": base.symbols + bytes(4),
        "symbols_cut_short": base.symbols[:-4],
        "symbols_of_no_encoder": b"\xff" * len(base.symbols),
    }
    return {name: replace(base, symbols=symbols).framed() for name, symbols in words.items()}


def f64(*values: float) -> bytes:
    """Little-endian binary64."""
    return np.array(values, "<f8").tobytes()


def f32(*values: float) -> bytes:
    """Little-endian binary32."""
    return np.array(values, "<f4").tobytes()


if __name__ == "__main__":
    main()
