"""The frame of a file: header, sections, checksums and limits. `docs/format.md` is the norm.

`sections.py` cuts bytes into sections; `head.py`, `mask.py` and `carried.py` read and write those
that describe the signal; `stream.py` puts a whole file together. Knows nothing of what stands in
the sections of a representation.
"""

from inrcodec.container.sections import (
    DecodeLimits,
    SectionId,
    breakdown,
    id_of_key,
    number_of_tile,
    require_section,
    tile_key,
)
from inrcodec.container.stream import Group, Stream
from inrcodec.fields import ByteReader, ByteWriter

__all__ = [
    "ByteReader",
    "ByteWriter",
    "DecodeLimits",
    "Group",
    "SectionId",
    "Stream",
    "breakdown",
    "id_of_key",
    "number_of_tile",
    "require_section",
    "tile_key",
]
