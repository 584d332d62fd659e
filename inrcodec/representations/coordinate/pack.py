"""Weights <-> sections: what a coordinate network stores, in the order of `docs/format.md`.

MODEL holds the network's shape, the affine scale of its output, and a step and a table for each
tensor; SYMBOLS holds the entropy-coded integers, tensor by tensor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

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
from inrcodec.quantize import MAX_SYMBOL, dequantize
from inrcodec.representations.coordinate.network import Network
from inrcodec.representations.coordinate.recipe import Base
from inrcodec.representations.output import OutputScale
from inrcodec.signal import SignalSpec

__all__ = ["Packed"]

_AS_IT_IS, _DIFFERENCE = 0, 1


@dataclass(frozen=True, slots=True)
class Packed:
    """All that is stored of a coordinate network, as integers.

    `base`: an earlier network of the same shape, output and steps; each tensor is then stored as
    its difference to that of the base, or as it is, whichever takes fewer bytes.
    """

    network: Network
    output: OutputScale
    step_indices: tuple[int, ...]
    symbols: tuple[NDArray[np.int64], ...]
    base: Packed | None = None

    def tensors(self) -> tuple[NDArray[np.float32], ...]:
        """The values that the symbols stand for: the same on every machine."""
        pairs = zip(self.symbols, self.step_indices, strict=True)
        return tuple(dequantize(symbols, index) for symbols, index in pairs)

    def alone(self) -> Packed:
        """The same without its base, to be the base of another."""
        return replace(self, base=None)

    def as_base(self) -> Base:
        """What a fit knows of it when its differences to this are what is stored."""
        return Base(symbols=self.symbols, step_indices=self.step_indices)

    def to_sections(self) -> dict[int, bytes]:
        """MODEL and SYMBOLS."""
        model, coder = ByteWriter(), SymbolEncoder()
        if self.base is None:
            self._write_shape(model)
        for number, symbols in enumerate(self.symbols):
            run, table = symbols, choose_table(symbols)
            if self.base is None:
                model.u8(self.step_indices[number])
            else:
                run, table = _cheaper(run, table, run - self.base.symbols[number])
                model.u8(_AS_IT_IS if run is symbols else _DIFFERENCE)
            table.write(model)
            coder.put(run, table.counts())
        return {SectionId.MODEL: model.to_bytes(), SectionId.SYMBOLS: coder.finish()}

    @staticmethod
    def from_sections(
        sections: Mapping[int, bytes],
        family: type[Network],
        spec: SignalSpec,
        limits: DecodeLimits,
        *,
        base: Packed | None = None,
    ) -> Packed:
        """The inverse of `to_sections`. Raises BitstreamError, for limits before allocation."""
        if not set(sections) <= {SectionId.MODEL, SectionId.SYMBOLS}:
            raise CorruptError("a network of coordinates in tiles")
        model = ByteReader(require_section(sections, SectionId.MODEL), name="MODEL")
        coder = SymbolDecoder(require_section(sections, SectionId.SYMBOLS))
        if base is None:
            network, output = _read_shape(model, family, spec, limits)
            heads = [_Head(False, model.u8(), Table.read(model)) for _ in network.tensors()]
        else:
            network, output = base.network, base.output
            heads = [_Head(_read_mark(model), q, Table.read(model)) for q in base.step_indices]
        model.finish()
        symbols = []
        for number, (tensor, head) in enumerate(zip(network.tensors(), heads, strict=True)):
            run = coder.take(tensor.size, head.table.counts()).reshape(tensor.shape)
            if base is not None and head.is_difference:
                run = _checked_sum(run, base.symbols[number])
            symbols.append(run)
        coder.finish()
        return Packed(
            network, output, tuple(head.step_index for head in heads), tuple(symbols), base
        )

    def _write_shape(self, model: ByteWriter) -> None:
        for value in self.network.stored_values():
            model.varint(value)
        for offset in self.output.offsets:
            model.u16(offset)
        model.u16(self.output.scale)


class _Head(NamedTuple):
    """What MODEL says of a tensor."""

    is_difference: bool
    step_index: int
    table: Table


def _cheaper(
    symbols: NDArray[np.int64], table: Table, difference: NDArray[np.int64]
) -> tuple[NDArray[np.int64], Table]:
    """The symbols or their difference to those before, whichever takes fewer bits; its table."""
    if int(np.abs(difference).max(initial=0)) > MAX_SYMBOL:
        return symbols, table
    other = choose_table(difference)
    if other.cost_bits(difference) < table.cost_bits(symbols):
        return difference, other
    return symbols, table


def _checked_sum(run: NDArray[np.int64], before: NDArray[np.int64]) -> NDArray[np.int64]:
    total = run + before
    if int(np.abs(total).max(initial=0)) > MAX_SYMBOL:
        raise CorruptError(f"a difference leads to a symbol beyond {MAX_SYMBOL}")
    return total


def _read_mark(model: ByteReader) -> bool:
    mark = model.u8()
    if mark > _DIFFERENCE:
        raise CorruptError(f"MODEL stores a tensor in way {mark}", offset=model.offset - 1)
    return mark == _DIFFERENCE


def _read_shape(
    model: ByteReader, family: type[Network], spec: SignalSpec, limits: DecodeLimits
) -> tuple[Network, OutputScale]:
    network = _read_network(model, family, spec)
    if network.n_parameters > limits.max_parameters:
        raise LimitError(
            f"{network.n_parameters} parameters are over the limit of {limits.max_parameters}"
        )
    return network, OutputScale(tuple(model.u16() for _ in range(spec.channels)), model.u16())


def _read_network(model: ByteReader, family: type[Network], spec: SignalSpec) -> Network:
    shape: dict[str, int | tuple[int, ...]] = {}
    for name, maximum, per_axis in family.stored_fields():
        values = tuple(model.varint(maximum) for _ in (spec.grid if per_axis else (None,)))
        shape[name] = values if per_axis else values[0]
    try:
        return family.of(len(spec.grid), spec.channels, **shape)
    except ConfigError as error:
        raise CorruptError(f"MODEL: {error}", offset=model.offset) from None
