"""Weights <-> sections: what a coordinate network stores, in the order of `docs/format.md`.

MODEL holds the network's shape, the affine scale of its output, and a step and a table for each
tensor; SYMBOLS holds the entropy-coded integers, tensor by tensor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inrcodec.container import (
    ByteReader,
    ByteWriter,
    DecodeLimits,
    SectionId,
    require_section,
)
from inrcodec.entropy import SymbolDecoder, SymbolEncoder, Table, choose_table
from inrcodec.errors import ConfigError, CorruptError, LimitError
from inrcodec.quantize import dequantize
from inrcodec.representations.coordinate.network import Network
from inrcodec.signal import SignalSpec

__all__ = ["CHANNEL_UNIT", "OutputScale", "Packed"]

CHANNEL_UNIT = 1 << 16


@dataclass(frozen=True, slots=True)
class OutputScale:
    """value = offsets[channel] + scale * output, all in units of 1/65536 of the [0, 1] scale."""

    offsets: tuple[int, ...]
    scale: int

    @staticmethod
    def of(values: NDArray[np.float32]) -> OutputScale:
        """Mean of each channel and spread around them, of values [n, channels] in [0, 1]."""
        means = values.mean(axis=0, dtype=np.float64)
        offsets = np.rint(means * CHANNEL_UNIT).clip(0, CHANNEL_UNIT - 1)
        spread = float(np.sqrt(values.var(axis=0, dtype=np.float64).mean()))
        scale = min(max(round(spread * CHANNEL_UNIT), 1), CHANNEL_UNIT - 1)
        return OutputScale(tuple(int(offset) for offset in offsets), scale)

    def to_targets(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """What a network has to put out for these values, both [n, channels]."""
        return (values - self._offsets) / np.float32(self.factor)

    def to_values(self, outputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """The inverse of `to_targets`."""
        return outputs * np.float32(self.factor) + self._offsets

    @property
    def factor(self) -> float:
        """Size of one unit of output on the [0, 1] scale."""
        return self.scale / CHANNEL_UNIT

    @property
    def _offsets(self) -> NDArray[np.float32]:
        return np.array(self.offsets, dtype=np.float32) / np.float32(CHANNEL_UNIT)


@dataclass(frozen=True, slots=True)
class Packed:
    """All that is stored of a coordinate network, as integers."""

    network: Network
    output: OutputScale
    step_indices: tuple[int, ...]
    symbols: tuple[NDArray[np.int64], ...]

    def tensors(self) -> tuple[NDArray[np.float32], ...]:
        """The values that the symbols stand for: the same on every machine."""
        pairs = zip(self.symbols, self.step_indices, strict=True)
        return tuple(dequantize(symbols, index) for symbols, index in pairs)

    def to_sections(self) -> dict[int, bytes]:
        """MODEL and SYMBOLS."""
        model, coder = ByteWriter(), SymbolEncoder()
        for value in self.network.stored_values():
            model.varint(value)
        for offset in self.output.offsets:
            model.u16(offset)
        model.u16(self.output.scale)
        for symbols, index in zip(self.symbols, self.step_indices, strict=True):
            table = choose_table(symbols)
            model.u8(index)
            table.write(model)
            coder.put(symbols, table.counts())
        return {SectionId.MODEL: model.to_bytes(), SectionId.SYMBOLS: coder.finish()}

    @staticmethod
    def from_sections(
        sections: Mapping[int, bytes], family: type[Network], spec: SignalSpec, limits: DecodeLimits
    ) -> Packed:
        """The inverse of `to_sections`. Raises BitstreamError, for limits before allocation."""
        model = ByteReader(require_section(sections, SectionId.MODEL), name="MODEL")
        network = _read_network(model, family, spec)
        if network.n_parameters > limits.max_parameters:
            raise LimitError(
                f"{network.n_parameters} parameters are over the limit of {limits.max_parameters}"
            )
        output = OutputScale(tuple(model.u16() for _ in range(spec.channels)), model.u16())
        headers = [(model.u8(), Table.read(model)) for _ in network.tensors()]
        model.finish()
        coder = SymbolDecoder(require_section(sections, SectionId.SYMBOLS))
        symbols = tuple(
            coder.take(tensor.size, table.counts()).reshape(tensor.shape)
            for tensor, (_, table) in zip(network.tensors(), headers, strict=True)
        )
        coder.finish()
        return Packed(network, output, tuple(index for index, _ in headers), symbols)


def _read_network(model: ByteReader, family: type[Network], spec: SignalSpec) -> Network:
    shape: dict[str, int | tuple[int, ...]] = {}
    for name, maximum, per_axis in family.stored_fields():
        values = tuple(model.varint(maximum) for _ in (spec.grid if per_axis else (None,)))
        shape[name] = values if per_axis else values[0]
    try:
        return family.of(len(spec.grid), spec.channels, **shape)
    except ConfigError as error:
        raise CorruptError(f"MODEL: {error}", offset=model.offset) from None
