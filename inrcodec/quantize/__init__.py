"""Floats <-> integers: one method per file."""

from inrcodec.quantize.uniform import (
    MAX_SYMBOL,
    N_STEPS,
    dequantize,
    nearest_index,
    quantize,
    step_size,
)

__all__ = ["MAX_SYMBOL", "N_STEPS", "dequantize", "nearest_index", "quantize", "step_size"]
