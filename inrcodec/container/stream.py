"""Stream: a whole file, as its signal's header, its metadata and the sections of a function."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inrcodec.container.carried import (
    metadata_to_payloads,
    read_metadata,
    read_times,
    read_varints,
    times_to_payload,
    varints_to_bytes,
)
from inrcodec.container.head import head_to_bytes, read_head
from inrcodec.container.mask import mask_to_payload, read_mask
from inrcodec.container.sections import (
    MAGIC,
    VERSION,
    DecodeLimits,
    Section,
    SectionId,
    frame,
    id_of_key,
    read_sections,
    tile_key,
)
from inrcodec.errors import CorruptError, LimitError
from inrcodec.fields import ByteReader, ByteWriter
from inrcodec.signal import Kind, Metadata, SignalSpec

__all__ = ["Group", "Stream"]

_PREDICTED = 1


class Group(NamedTuple):
    """A run of frames of a film, with a function of its own.

    `predicted`: the function is stored as its difference to that of the group before. `sections`:
    payloads of the representation by id: MODEL and SYMBOLS.
    """

    n_frames: int
    predicted: bool
    sections: Mapping[int, bytes]

    def to_bytes(self) -> bytes:
        """The payload of a GROUP section."""
        writer = ByteWriter()
        writer.varint(self.n_frames)
        writer.u8(_PREDICTED if self.predicted else 0)
        model = self.sections[SectionId.MODEL]
        writer.varint(len(model))
        writer.raw(model)
        writer.raw(self.sections[SectionId.SYMBOLS])
        return writer.to_bytes()

    @staticmethod
    def read(reader: ByteReader) -> Group:
        """The inverse of `to_bytes`. Raises BitstreamError."""
        offset = reader.offset
        n_frames, flags = reader.varint(), reader.u8()
        if n_frames == 0 or flags > _PREDICTED:
            raise CorruptError(f"GROUP of {n_frames} frames, flags {flags}", offset=offset)
        model = reader.take(reader.varint())
        symbols = reader.take(reader.bytes_left)
        sections = {int(SectionId.MODEL): model, int(SectionId.SYMBOLS): symbols}
        return Group(n_frames, flags == _PREDICTED, sections)


@dataclass(frozen=True, kw_only=True)
class Stream:
    """One file: what was coded (`spec`), by what (`representation_id`), and its sections.

    `sections`: payloads of the representation by id, in the order of the file, of tiles by
    `tile_key`; a film has `groups` instead. `times`: when each frame of a film is shown, in units
    of the time base, the first at 0; None if evenly. `part_start`: first coded sample of the
    source, if only a part was coded. `mask`: where an array holds no number. `starts`: where the
    payloads of a stream that was read begin in its file.
    """

    spec: SignalSpec
    representation_id: int
    sections: Mapping[int, bytes] = field(default_factory=dict)
    groups: tuple[Group, ...] = ()
    metadata: Metadata = field(default_factory=Metadata)
    times: NDArray[np.int64] | None = field(default=None, compare=False)
    part_start: int | None = None
    mask: NDArray[np.bool_] | None = None
    starts: Mapping[int, int] = field(default_factory=dict, compare=False)

    @property
    def seconds(self) -> float | None:
        """Duration of a sound or a film, else None."""
        return self.spec.seconds if self.times is None else self.spec.seconds_of(self.times)

    def to_bytes(self) -> bytes:
        """The file. Raises SignalError for what cannot be stored, as a resolution below 0."""
        payloads = [(SectionId.HEAD, head_to_bytes(self.spec, self.representation_id))]
        for key, payload in self.sections.items():
            assert key != SectionId.HEAD, "a representation does not write the header"
            assert not id_of_key(key).optional, f"section {key} is not a representation's"
            payloads.append((id_of_key(key), payload))
        if self.mask is not None:
            payloads.append((SectionId.MASK, mask_to_payload(self.mask)))
        payloads += metadata_to_payloads(self.metadata).items()
        if self.times is not None:
            payloads.append((SectionId.TIMES, times_to_payload(self.times)))
        if self.part_start is not None:
            payloads.append((SectionId.PART, varints_to_bytes(self.part_start)))
        payloads += [(SectionId.GROUP, group.to_bytes()) for group in self.groups]
        last = len(payloads) - 1
        frames = [frame(key, data, last=i == last) for i, (key, data) in enumerate(payloads)]
        return b"".join([MAGIC, bytes([VERSION]), *frames])

    @staticmethod
    def from_bytes(
        data: bytes, limits: DecodeLimits | None = None, *, salvage: bool = False
    ) -> Stream:
        """The stream that a file holds. Raises BitstreamError, and nothing else, for others.

        With `salvage`, tiles that are damaged or missing are not among the sections.
        """
        limits = limits or DecodeLimits()
        if len(data) > limits.max_bytes:
            raise LimitError(f"file of {len(data)} bytes is over the limit of {limits.max_bytes}")
        head, *others = read_sections(data, salvage=salvage)
        if head.key != SectionId.HEAD:
            raise CorruptError("the first section is not the header", offset=head.start)
        spec, representation_id = read_head(head.reader(), limits)
        optional = {section.key: section for section in others if section.optional}
        mask = next((section for section in others if section.key == SectionId.MASK), None)
        required = [one for one in others if not one.optional and one is not mask]
        _check_required(required, spec)
        groups = tuple(Group.read(one.reader()) for one in required if one.key == SectionId.GROUP)
        _check_groups(groups, spec, limits)
        times, part = optional.get(SectionId.TIMES), optional.get(SectionId.PART)
        metadata = read_metadata(optional, spec, limits)
        blobs = (metadata.icc, metadata.exif, metadata.xmp)
        budget = limits.max_metadata_bytes - sum(len(blob) for blob in blobs if blob is not None)
        sections = _by_key(required)
        return Stream(
            spec=spec,
            representation_id=representation_id,
            sections={key: section.payload for key, section in sections.items()},
            groups=groups,
            metadata=metadata,
            times=None if times is None else read_times(times, spec, budget),
            part_start=None if part is None else read_varints(part, 1)[0],
            mask=None if mask is None else read_mask(mask, spec),
            starts={key: section.start for key, section in sections.items()},
        )


def _by_key(required: list[Section]) -> dict[int, Section]:
    """What the representation of a signal that is no film stored, without unsound tiles."""
    n_tiles, sections = 0, {}
    for section in required:
        if section.key == SectionId.GROUP:
            continue
        key = section.key
        if key == SectionId.TILE:
            key = tile_key(n_tiles)
            n_tiles += 1
        if section.sound:
            sections[key] = section
    return sections


def _check_required(required: list[Section], spec: SignalSpec) -> None:
    """Raise CorruptError unless a film has groups alone, and everything else none."""
    is_film = spec.kind is Kind.VIDEO
    for section in required:
        if (section.key == SectionId.GROUP) is not is_film:
            kind = spec.kind.name.lower()
            raise CorruptError(f"{section.name} in a stream of {kind}", offset=section.start)


def _check_groups(groups: tuple[Group, ...], spec: SignalSpec, limits: DecodeLimits) -> None:
    """Raise BitstreamError unless the groups of a film are its frames."""
    if spec.kind is not Kind.VIDEO:
        return
    n_frames = sum(group.n_frames for group in groups)
    if n_frames != spec.grid[0]:
        raise CorruptError(f"the groups hold {n_frames} frames, the header {spec.grid[0]}")
    if groups[0].predicted:
        raise CorruptError("the first group is stored as a difference")
    frame_samples = math.prod(spec.grid[1:]) * spec.channels
    n_samples = max(group.n_frames for group in groups) * frame_samples
    if n_samples > limits.max_samples:
        raise LimitError(f"{n_samples} samples are over the limit of {limits.max_samples}")
