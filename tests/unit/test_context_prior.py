"""The prior of the context model: what ships, and how weights are stored relative to it."""

from __future__ import annotations

import hashlib
from importlib import resources

import numpy as np
import pytest

from inrcodec import codec
from inrcodec.errors import ConfigError
from inrcodec.kernels import CONTEXT_PRIORS, SIZES, LatentShape
from inrcodec.kernels.context_priors import context_prior
from inrcodec.representations.base import Budget, FitGoal
from inrcodec.representations.latentgrid.config import LatentGridConfig
from inrcodec.representations.latentgrid.family import LatentGrid
from inrcodec.representations.latentgrid.fixed import fixed_weights
from inrcodec.signal import Signal

DIGESTS = {1: "8e9ba13c5ffa4063c409bf5feae0bc571952b1f2a3d268b9403e1611c2fbf74a"}


@pytest.mark.parametrize("number", CONTEXT_PRIORS)
def test_a_prior_never_changes(number: int) -> None:
    file = resources.files("inrcodec.kernels") / f"context_prior_{number}.txt"
    assert hashlib.sha256(file.read_bytes()).hexdigest() == DIGESTS[number]


@pytest.mark.parametrize("size", range(len(SIZES)))
def test_a_prior_has_all_tensors_of_the_usual_shape(size: int) -> None:
    shape = LatentShape(256, 256, 3, size=size, n_levels=7, n_hyper=3, prior=1)
    contexts = [weight for weight in shape.weights if weight.of_context]
    known = context_prior(1, size)
    assert {weight.name for weight in contexts} == set(known)
    for weight in contexts:
        assert len(weight.prior) == weight.size
        np.testing.assert_array_equal(weight.prior, known[weight.name])


@pytest.mark.parametrize(("levels", "hyper"), [(7, 3), (9, 5), (8, 3), (5, 1), (2, 0)])
def test_features_of_other_pyramids_keep_the_priors_of_the_nearest_grids(
    levels: int, hyper: int
) -> None:
    shape = LatentShape(64, 64, 3, size=1, n_levels=levels, n_hyper=hyper, prior=1)
    weights = {weight.name: weight for weight in shape.weights}
    for grid in shape.grids:
        if grid.feature_inputs:
            there = 9 - grid.level
            known = context_prior(1, 1)[f"feature{there}"].reshape(4, there)
            weight = weights[f"feature{grid.feature_inputs}"]
            values = np.array(weight.prior).reshape(weight.shape)
            common = min(there, grid.feature_inputs)
            np.testing.assert_array_equal(values[:, -common:], known[:, -common:])
            assert not values[:, :-common].any()
            biases = weights[f"feature_bias{grid.feature_inputs}"].prior
            np.testing.assert_array_equal(biases, context_prior(1, 1)[f"feature_bias{there}"])


def test_symbols_of_0_are_the_prior_to_the_last_bit() -> None:
    shape = LatentShape(16, 16, 1, size=0, n_levels=3, n_hyper=0, prior=1)
    symbols = [np.zeros(sum(w.size for w in group), np.int64) for group in shape.groups]
    weights = fixed_weights(shape, symbols, [100] * len(symbols))
    known = context_prior(1, 0)
    np.testing.assert_array_equal(weights["mix0"].ravel(), known["mix0"] * 2.0**14)
    np.testing.assert_array_equal(weights["head_bias"], known["head_bias"] * 2.0**24)


def test_another_number_is_refused() -> None:
    with pytest.raises(ConfigError, match="prior 2 is not in"):
        LatentShape(16, 16, 1, size=0, n_levels=3, n_hyper=0, prior=2)
    for prior in (2, True, 1.0):
        with pytest.raises(ConfigError, match="is not known"):
            LatentGridConfig(prior=prior)  # type: ignore[arg-type]


@pytest.mark.parametrize("left_out", [{"prior": 0}, {"features": False}, {"stabilisers": False}])
def test_a_stream_names_the_prior_that_it_needs(left_out: dict[str, bool]) -> None:
    signal = Signal.image(np.random.default_rng(0).integers(0, 256, (24, 24, 3), np.uint8))
    goal, budget = FitGoal(lam=1e-3, n_bytes=0.0), Budget(iterations=3)
    for options, prior in (({}, 1), (left_out, 0)):
        config = LatentGridConfig(macs=500, **options)  # type: ignore[arg-type]
        made = codec.encode(signal, LatentGrid, config, goal, budget=budget)
        function = codec.unpack(made.data)[1]
        assert isinstance(function, LatentGrid)
        assert function.model.prior == prior
