"""Little-endian fields <-> bytes: the only access that anything has to the bytes of a file."""

from __future__ import annotations

import math
import struct

from inrcodec.errors import CorruptError, TruncatedError

__all__ = ["MAX_VARINT", "ByteReader", "ByteWriter"]

MAX_VARINT = (1 << 32) - 1


class ByteReader:
    """Reads little-endian fields in order; `take` is the only access to the bytes.

    `name` begins every message; `base` is the offset of `data` in the file. Reading past the end
    raises TruncatedError.
    """

    def __init__(self, data: bytes, *, name: str = "stream", base: int = 0) -> None:
        self._data = data
        self._name = name
        self._base = base
        self._position = 0

    @property
    def offset(self) -> int:
        """Where the next byte stands in the file."""
        return self._base + self._position

    @property
    def bytes_left(self) -> int:
        """Bytes that are not read yet."""
        return len(self._data) - self._position

    def take(self, n: int) -> bytes:
        """The next n bytes."""
        if n > self.bytes_left:
            raise TruncatedError(
                f"{self._name} needs {n} more bytes, has {self.bytes_left}", offset=self.offset
            )
        start = self._position
        self._position += n
        return self._data[start : self._position]

    def u8(self) -> int:
        """One byte."""
        return self.take(1)[0]

    def u16(self) -> int:
        """Two bytes, little-endian."""
        return int.from_bytes(self.take(2), "little")

    def u32(self) -> int:
        """Four bytes, little-endian."""
        return int.from_bytes(self.take(4), "little")

    def f32(self) -> float:
        """An IEEE binary32 value. Raises CorruptError unless it is finite."""
        offset = self.offset
        value = float(struct.unpack("<f", self.take(4))[0])
        if not math.isfinite(value):
            raise CorruptError(f"{self._name} holds {value}, not a finite number", offset=offset)
        return value

    def f64(self) -> float:
        """An IEEE binary64 value. Raises CorruptError unless it is finite."""
        offset = self.offset
        value = float(struct.unpack("<d", self.take(8))[0])
        if not math.isfinite(value):
            raise CorruptError(f"{self._name} holds {value}, not a finite number", offset=offset)
        return value

    def varint(self, maximum: int = MAX_VARINT) -> int:
        """A canonical LEB128 number of at most 5 bytes. Raises CorruptError if above `maximum`."""
        offset = self.offset
        value = 0
        for shift in range(0, 35, 7):
            byte = self.u8()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
        else:
            raise CorruptError(f"{self._name} holds a number of over 5 bytes", offset=offset)
        if byte == 0 and shift > 0:
            raise CorruptError(f"{self._name} holds a number with idle bytes", offset=offset)
        if value > maximum:
            raise CorruptError(f"{self._name} holds {value}, not in [0, {maximum}]", offset=offset)
        return value

    def finish(self) -> None:
        """Raise CorruptError unless every byte was read."""
        if self.bytes_left:
            raise CorruptError(f"{self._name} has {self.bytes_left} bytes left", offset=self.offset)


class ByteWriter:
    """Writes what ByteReader reads. Values out of range are our own mistake."""

    def __init__(self) -> None:
        self._data = bytearray()

    def u8(self, value: int) -> None:
        """One byte."""
        self.raw(value.to_bytes(1, "little"))

    def u16(self, value: int) -> None:
        """Two bytes, little-endian."""
        self.raw(value.to_bytes(2, "little"))

    def u32(self, value: int) -> None:
        """Four bytes, little-endian."""
        self.raw(value.to_bytes(4, "little"))

    def f32(self, value: float) -> None:
        """An IEEE binary32 value, rounded to nearest."""
        assert math.isfinite(value), value
        self.raw(struct.pack("<f", value))

    def f64(self, value: float) -> None:
        """An IEEE binary64 value."""
        assert math.isfinite(value), value
        self.raw(struct.pack("<d", value))

    def varint(self, value: int) -> None:
        """A canonical LEB128 number in [0, 2^32 - 1]."""
        assert 0 <= value <= MAX_VARINT, value
        while value >= 0x80:
            self._data.append(value & 0x7F | 0x80)
            value >>= 7
        self._data.append(value)

    def raw(self, data: bytes) -> None:
        """Bytes as they are."""
        self._data += data

    def to_bytes(self) -> bytes:
        """Everything written so far."""
        return bytes(self._data)
