"""Calls of operators that go past torch's dispatcher, and those that it has to see."""

from __future__ import annotations

from typing import Any

import pytest

from inrcodec.kernels import GridGeometry, Perceptron, grid_encode, mlp

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.usefixtures("native")
GEOMETRY = GridGeometry(2, 3, 2, 6, 3, 1.71875)


class Named(torch.Tensor):
    """A tensor that is more than its numbers."""


@pytest.fixture
def case() -> tuple[Any, Any]:
    """Coordinates and a table."""
    generator = torch.Generator().manual_seed(1)
    shape = GEOMETRY.n_entries, GEOMETRY.n_features
    return torch.rand(9, 2, generator=generator), torch.randn(shape, generator=generator)


def operators_in(function: Any, *inputs: Any) -> list[str]:
    """Ours that are called when a function is traced."""
    from torch.fx.experimental.proxy_tensor import make_fx

    names = [str(node.target) for node in make_fx(function)(*inputs).graph.nodes]
    return [name.split(".")[1] for name in names if name.startswith("inrcodec.")]


def gradients(features: Any, leaves: Any) -> list[Any]:
    """The first derivatives of features, and those of one of their own."""
    first = torch.autograd.grad(features.square().sum(), leaves, create_graph=True)
    return [*first, *torch.autograd.grad(first[0].square().sum(), leaves)]


def test_a_call_and_its_operator_have_the_same_derivatives(case: Any) -> None:
    leaves = [tensor.requires_grad_() for tensor in case]
    called = grid_encode(*leaves, GEOMETRY)
    seen = torch.ops.inrcodec.grid_encode(*leaves, None, GEOMETRY.numbers)
    assert type(called.grad_fn) is not type(seen.grad_fn)
    for one, other in zip(gradients(called, leaves), gradients(seen, leaves), strict=True):
        assert torch.equal(one, other)


def test_nothing_is_recorded_where_no_gradient_is_asked_for(case: Any) -> None:
    coords, table = case
    assert grid_encode(coords, table, GEOMETRY).grad_fn is None
    with torch.no_grad():
        assert grid_encode(coords, table.requires_grad_(), GEOMETRY).grad_fn is None


def test_a_trace_has_the_operators_of_both_ways(case: Any) -> None:
    coords, table = case

    def gradient(table: Any) -> Any:
        return torch.autograd.grad(grid_encode(coords, table, GEOMETRY).sum(), table)[0]

    names = operators_in(gradient, table.requires_grad_())
    assert names == ["grid_encode", "grid_encode_table_gradient"]
    shape = Perceptron((2, 3), False, "relu")
    weights = [torch.ones(shape.sizes[::-1])]
    assert operators_in(lambda x: mlp(x, weights, None, "relu"), coords) == ["mlp"]


@pytest.mark.filterwarnings("ignore")  # the tracer warns of itself, and of our checks
def test_a_traced_function_computes_anew(case: Any) -> None:
    coords, table = case
    traced = torch.jit.trace(lambda x: grid_encode(x, table, GEOMETRY), coords)
    other = coords.flip(0)
    assert torch.equal(traced(other), grid_encode(other, table, GEOMETRY))


def test_tensors_without_data_have_features_without_data(case: Any) -> None:
    from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

    with FakeTensorMode() as mode:
        features = grid_encode(*map(mode.from_tensor, case), GEOMETRY)
    assert isinstance(features, FakeTensor)
    assert features.shape == (9, 6)
    on_meta = grid_encode(*(tensor.to("meta") for tensor in case), GEOMETRY)
    assert on_meta.is_meta
    assert on_meta.shape == (9, 6)


def test_tensors_that_are_more_than_their_numbers_have_the_same_features(case: Any) -> None:
    coords, table = case
    expected = grid_encode(coords, table, GEOMETRY)
    negated = torch.complex(torch.zeros_like(coords), -coords).conj().imag
    assert negated.is_neg()
    assert torch.equal(grid_encode(negated, table, GEOMETRY), expected)
    named = grid_encode(coords, table.as_subclass(Named), GEOMETRY)
    assert torch.equal(named.as_subclass(torch.Tensor), expected)
    leaf = torch.nn.Parameter(table)
    assert torch.equal(grid_encode(coords, leaf, GEOMETRY).detach(), expected)


def test_a_function_over_many_inputs_has_the_features_of_each(case: Any) -> None:
    coords, table = case
    many = torch.stack([coords, coords.flip(0)])
    together = torch.func.vmap(lambda x: grid_encode(x, table, GEOMETRY))(many)
    assert torch.equal(together, torch.stack([grid_encode(x, table, GEOMETRY) for x in many]))


def test_gradients_of_a_network_have_no_derivatives() -> None:
    x = torch.rand(5, 2, requires_grad=True)
    weights = [torch.randn(4, 2), torch.randn(1, 4)]
    values = mlp(x, weights, None, "relu")
    (first,) = torch.autograd.grad(values.square().sum(), x, create_graph=True)
    with pytest.raises(NotImplementedError, match="have no derivatives"):
        torch.autograd.grad(first.sum(), x)
