"""Integers <-> bytes: integer probability tables and the coder that obeys them."""

from inrcodec.entropy.coder import MAX_ODDS, SymbolDecoder, SymbolEncoder
from inrcodec.entropy.laplace import MAX_DEVIATE, laplace_counts
from inrcodec.entropy.laplace import N_SCALES as LAPLACE_SCALES
from inrcodec.entropy.tables import MAX_SYMBOL, TOTAL, Shape, Table, choose_table

__all__ = [
    "LAPLACE_SCALES",
    "MAX_DEVIATE",
    "MAX_ODDS",
    "MAX_SYMBOL",
    "TOTAL",
    "Shape",
    "SymbolDecoder",
    "SymbolEncoder",
    "Table",
    "choose_table",
    "laplace_counts",
]
