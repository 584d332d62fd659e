"""The invalid golden streams: sound ones with one fault each. Used by make_vectors.py."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from inrcodec.container import ByteReader, ByteWriter, Group
from inrcodec.entropy import SymbolEncoder, choose_table

__all__ = ["OPTIONAL", "Parts", "faults"]

VALID = Path(__file__).resolve().parent.parent / "data" / "vectors" / "v0" / "valid"
MAGIC = b"\x89INR\x00"
HEAD, MODEL, SYMBOLS, GROUP, MASK, ICC = 1, 2, 3, 4, 5, 16
DPI, PART, TIMES, COLOUR, LABELS = 19, 20, 21, 22, 23
OPTIONAL, LAST = 0x40, 0x80


def faults() -> dict[str, bytes]:
    """Every invalid stream by its name. Needs some of the valid ones."""
    base = Parts.of("siren_1x1")
    streams = of_the_file(base) | of_the_head(base) | of_metadata(base)
    streams |= of_the_model(base) | of_the_symbols(base) | of_arrays(base)
    return streams | of_groups() | of_film_times()


@dataclass(frozen=True, slots=True)
class Parts:
    """The payloads of a valid stream without metadata, to be framed again with a fault."""

    head: bytes
    model: bytes
    symbols: bytes

    @staticmethod
    def of(name: str) -> Parts:
        """Those of a valid stream that is already there."""
        return Parts(*payloads(name))

    def framed(self, *extra: tuple[int, bytes]) -> bytes:
        """A stream of these payloads and more sections, each a tag and a payload."""
        return framed((HEAD, self.head), (MODEL, self.model), (SYMBOLS, self.symbols), *extra)


def payloads(name: str) -> list[bytes]:
    """Of the first three sections of a valid stream: all that one without metadata has."""
    reader = ByteReader((VALID / f"{name}.inr").read_bytes())
    reader.take(len(MAGIC))
    found = []
    for _ in range(3):
        reader.u8()
        found.append(reader.take(reader.varint()))
        reader.u32()
    return found


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


def of_groups() -> dict[str, bytes]:
    """The groups of a film of 3 frames in two groups, the second stored as a difference."""
    head, first, second = payloads("spder_video")
    one, two = Group.read(ByteReader(first)), Group.read(ByteReader(second))
    in_way_2 = {**two.sections, MODEL: b"\2" + two.sections[MODEL][1:]}
    too_long = first[:2] + varints(len(first)) + first[3:]
    large = varints(2**20 + 1)
    groups = {
        "film_without_groups": (),
        "groups_too_few": (first,),
        "first_group_predicted": (one._replace(predicted=True).to_bytes(), second),
        "group_of_no_frames": (first, second, one._replace(n_frames=0).to_bytes()),
        "group_with_flags": (first[:1] + b"\2" + first[2:], second),
        "group_way_2": (first, two._replace(sections=in_way_2).to_bytes()),
        "group_cut_short": (too_long, second),
    }
    faults = {name: film_of(head, *payloads) for name, payloads in groups.items()}
    model = (MODEL, one.sections[MODEL])
    faults["film_with_model"] = framed((HEAD, head), model, (GROUP, first), (GROUP, second))
    faults["group_in_image"] = Parts.of("siren_1x1").framed((GROUP, first))
    faults["group_of_too_many_samples"] = film_of(
        bytes([0x20, 1]) + large + varints(16, 16, 1, 1, 25), large + first[1:]
    )
    faults["difference_too_large"] = film_of(
        bytes([0x20, 1]) + varints(2, 1, 1, 1, 1, 25),
        Group(1, False, siren_of(32767, varints(1, 1, 0) + bytes(4), 100)).to_bytes(),
        Group(1, True, siren_of(1, b"", 1)).to_bytes(),
    )
    return faults


def film_of(head: bytes, *groups: bytes) -> bytes:
    """A stream of a header and groups."""
    return framed((HEAD, head), *((GROUP, group) for group in groups))


def siren_of(symbol: int, shape: bytes, mark: int) -> dict[int, bytes]:
    """MODEL and SYMBOLS of a siren of one unit, all symbols the same; a mark before each table."""
    model, coder = ByteWriter(), SymbolEncoder()
    for size in (3, 1, 1, 1):
        run = np.full(size, symbol)
        table = choose_table(run)
        model.u8(mark)
        table.write(model)
        coder.put(run, table.counts())
    return {MODEL: shape + model.to_bytes(), SYMBOLS: coder.finish()}


def of_film_times() -> dict[str, bytes]:
    """The time base, the times and the colours of a film of 3 frames."""
    head, *groups = payloads("spder_video")
    frames = [(GROUP, group) for group in groups]
    image = Parts.of("siren_1x1")
    times = {
        "too_short": u32(1),
        "repeated": u32(1, 0),
        "too_long": u32(1, 1, 1),
        "bomb": b"\1" * (2**24 + 1),
    }
    colours = {"range_2": bytes([1, 1, 1, 2]), "too_long": bytes(5)}
    sections = {f"times_{name}": (TIMES, zlib.compress(data, 9)) for name, data in times.items()}
    sections |= {f"colour_{name}": (COLOUR, data) for name, data in colours.items()}
    faults = {
        name: framed((HEAD, head), (key | OPTIONAL, data), *frames)
        for name, (key, data) in sections.items()
    }
    return faults | {
        "times_of_image": image.framed((TIMES | OPTIONAL, zlib.compress(b"", 9))),
        "colour_of_image": image.framed((COLOUR | OPTIONAL, bytes(4))),
        "time_base_0": framed((HEAD, head[:-2] + varints(0, 25)), *frames),
    }


def u32(*values: int) -> bytes:
    """Little-endian, four bytes each."""
    return np.array(values, "<u4").tobytes()


def f64(*values: float) -> bytes:
    """Little-endian binary64."""
    return np.array(values, "<f8").tobytes()


def f32(*values: float) -> bytes:
    """Little-endian binary32."""
    return np.array(values, "<f4").tobytes()
