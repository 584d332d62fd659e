"""What `run_rd.py` calls models: names of rows, each a model of the library with some options."""

from __future__ import annotations

from collections.abc import Mapping

from inrcodec.representations.base import Tune

Options = Mapping[str, object]

NETWORKS: Mapping[str, tuple[str, Options]] = {
    "siren": ("siren", {}),
    "spder": ("spder", {}),
    "hashgrid": ("hashgrid", {}),
    "simplexgrid": ("simplexgrid", {}),
    "simplexgrid-skewed": ("simplexgrid", {"skewed": True}),
}
"""Networks of coordinates, of every set that asks for a rate."""

ABLATIONS: Mapping[str, tuple[str, Options]] = {
    "latentgrid-nostabilisers": ("latentgrid", {"stabilisers": False}),
    "latentgrid-nofeatures": ("latentgrid", {"features": False}),
    "latentgrid-nohyper": ("latentgrid", {"hyper_levels": 0}),
    "latentgrid-noweightrate": ("latentgrid", {"weight_rate": False}),
    "latentgrid-noprior": ("latentgrid", {"prior": 0}),
    "latentgrid-500": ("latentgrid", {"macs": 500}),
    "latentgrid-1000": ("latentgrid", {"macs": 1000}),
    "latentgrid-3000": ("latentgrid", {"macs": 3000}),
}
"""`latentgrid` without one of its parts, or in another size; measured only if named."""

TUNES: Mapping[str, Tune] = {"cosine-perceptual": "perceptual"}
"""What is not made for the least error."""

MODELS: Mapping[str, tuple[str, Options]] = {
    **NETWORKS,
    "latentgrid": ("latentgrid", {}),
    "cosine": ("cosine", {}),
    **{name: ("cosine", {}) for name in TUNES},
    **ABLATIONS,
}
