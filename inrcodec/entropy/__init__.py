"""Integers <-> bytes: integer probability tables and the coder that obeys them."""

from inrcodec.entropy.coder import SymbolDecoder, SymbolEncoder
from inrcodec.entropy.tables import MAX_SYMBOL, TOTAL, Shape, Table, choose_table

__all__ = [
    "MAX_SYMBOL",
    "TOTAL",
    "Shape",
    "SymbolDecoder",
    "SymbolEncoder",
    "Table",
    "choose_table",
]
