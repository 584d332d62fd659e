"""Sounds as the whole numbers of a cosine transform of overlapping frames."""
