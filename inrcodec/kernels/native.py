"""Calls of the native functions, for numpy arrays and torch tensors alike. Knows no meaning.

Arrays are contiguous and of shapes that fit one another, float32 where nothing else is said; the
native side checks that again. Results are written to `out`, where the caller allocates it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from inrcodec.kernels import dispatch
from inrcodec.kernels.geometry import GridGeometry
from inrcodec.kernels.perceptron import GridPerceptron, Perceptron
from inrcodec.kernels.pyramid import LatentShape, Softness
from inrcodec.kernels.quantizer import AdamStep, Quantizer
from inrcodec.kernels.soap import Soap

if TYPE_CHECKING:
    import torch

    Array = NDArray[np.floating] | torch.Tensor

__all__ = [
    "call_on_cpu",
    "call_on_gpu",
    "decode_latents",
    "grid_mlp_descent",
    "grid_mlp_descent_on_gpu",
    "grid_mlp_forward",
    "grid_table_gradient_on_gpu",
    "keep_freed_memory",
    "latent_cost",
    "latent_floats_on_gpu",
    "latent_kept",
    "latent_pixels",
    "latent_pixels_gradients",
    "mlp_descent",
    "mlp_forward",
    "mlp_forward_on_gpu",
    "mlp_gradients",
    "mlp_gradients_on_gpu",
    "native_shape",
    "network_floats_on_gpu",
    "quantize_forward",
    "quantize_step",
    "queue_on_gpu",
    "soap_step",
    "soft_latents",
    "synthesize",
]


def call_on_cpu(
    name: str,
    inputs: tuple[Array, ...],
    geometry: GridGeometry,
    out: Array,
    *,
    direction: Array | None = None,
) -> None:
    """Run the native function `name` on CPU arrays."""
    function = getattr(_module(), name)
    way = None if direction is None else _on_cpu(direction)
    arrays = map(_on_cpu, inputs)
    function(*arrays, geometry.shape, _on_cpu(out), way, dispatch.threads())


def call_on_gpu(
    name: str,
    inputs: tuple[torch.Tensor, ...],
    geometry: GridGeometry,
    out: torch.Tensor,
    *,
    direction: torch.Tensor | None = None,
    last: tuple[object, ...] = (),
) -> None:
    """Queue the native function `name` on the current stream of the GPU that holds `out`.

    Tables and features may be of 16 bits. `last`: what follows the direction.
    """
    way = None if direction is None else _on_gpu(direction)
    arrays = map(_on_gpu, inputs)
    queue_on_gpu(name, out, *arrays, geometry.shape, _on_gpu(out), way, *last)


def grid_table_gradient_on_gpu(
    inputs: tuple[torch.Tensor, torch.Tensor],
    geometry: GridGeometry,
    out: torch.Tensor,
    *,
    direction: torch.Tensor | None,
    is_whole: bool,
) -> None:
    """Queue the gradient of a table; from gradient and coords. Whole: the same bits each time."""
    is_along = direction is not None
    scratch = _table_bytes(geometry, inputs, is_along=is_along, is_whole=is_whole)
    call_on_gpu(
        "grid_encode_table_gradient",
        inputs,
        geometry,
        out,
        direction=direction,
        last=(_on_gpu(scratch), is_whole),
    )


def _table_bytes(
    geometry: GridGeometry,
    inputs: tuple[torch.Tensor, torch.Tensor],
    *,
    is_along: bool,
    is_whole: bool,
) -> torch.Tensor:
    """What the gradient of a table works with on a GPU, of a gradient like the first at points."""
    import torch

    like, coords = inputs
    shape = geometry.n_dims, geometry.n_features, geometry.shape, coords.shape[0]
    n_bytes = _module().grid_table_scratch_cuda(*shape, _type_of(like), is_along, is_whole)
    return torch.empty(n_bytes, dtype=torch.uint8, device=like.device)


def _on_cpu(array: Array) -> NDArray[np.floating]:
    """An array as native code takes it soonest; DLPack of a tensor takes longer."""
    return array if isinstance(array, np.ndarray) else array.numpy()


def _on_gpu(tensor: torch.Tensor) -> tuple[object, ...]:
    """A tensor as native code takes it there: DLPack would order streams for each."""
    is_plain = tensor.is_contiguous()
    return tensor.data_ptr(), tuple(tensor.shape), _type_of(tensor), is_plain, tensor.get_device()


def _type_of(tensor: torch.Tensor) -> str:
    return str(tensor.dtype)[6:]  # after "torch."


def mlp_forward(inputs: tuple[Array, Array], shape: Perceptron, out: Array) -> None:
    """Run a network, given x and the joined parameters."""
    arrays = map(_on_cpu, inputs)
    _module().mlp_forward(*arrays, _network(shape), _on_cpu(out), dispatch.threads())


def mlp_gradients(
    inputs: tuple[Array, Array, Array], shape: Perceptron, out: tuple[Array, Array | None]
) -> None:
    """Gradients of the parameters, and of x unless that is None; from gradient, x, parameters."""
    of_parameters, of_x = out
    outputs = _on_cpu(of_parameters), None if of_x is None else _on_cpu(of_x)
    arrays = map(_on_cpu, inputs)
    _module().mlp_gradients(*arrays, _network(shape), *outputs, dispatch.threads())


def mlp_descent(inputs: tuple[Array, Array, Array], shape: Perceptron, out: Array) -> float:
    """Sum of squares, and the gradient of their mean by the parameters; x, targets, parameters."""
    arrays = (*map(_on_cpu, inputs), _network(shape), _on_cpu(out))
    squares: float = _module().mlp_descent(*arrays, dispatch.threads())
    return squares


def grid_mlp_forward(inputs: tuple[Array, Array, Array], shape: GridPerceptron, out: Array) -> None:
    """Run a network of a grid's features; from coords, table, parameters."""
    shapes = shape.grid.shape, _network(shape.perceptron)
    _module().grid_mlp_forward(*map(_on_cpu, inputs), *shapes, _on_cpu(out), dispatch.threads())


def grid_mlp_descent(
    inputs: tuple[Array, Array, Array, Array], shape: GridPerceptron, out: tuple[Array, Array]
) -> float:
    """Sum of squares, and the gradients of their mean by table and parameters.

    From coords, targets, table, parameters.
    """
    shapes = shape.grid.shape, _network(shape.perceptron)
    outputs = tuple(map(_on_cpu, out))
    arrays = (*map(_on_cpu, inputs), *shapes, outputs)
    squares: float = _module().grid_mlp_descent(*arrays, dispatch.threads())
    return squares


def network_floats_on_gpu(shape: Perceptron, n_points: int, device: int) -> int:
    """Floats that a network's kernels on that GPU work with; 0: it has none."""
    module = _module()
    if module.cuda_runtime is None:
        return 0
    n_floats: int = module.mlp_scratch_cuda(_network(shape), n_points, device)
    return n_floats


def mlp_forward_on_gpu(
    inputs: tuple[torch.Tensor, torch.Tensor], shape: Perceptron, out: torch.Tensor
) -> None:
    """Queue a network that has kernels on a GPU; from x and the joined parameters."""
    queue_on_gpu("mlp_forward", out, *map(_on_gpu, inputs), _network(shape), _on_gpu(out))


def mlp_gradients_on_gpu(
    inputs: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    shape: Perceptron,
    out: tuple[torch.Tensor, torch.Tensor | None],
    scratch: torch.Tensor,
) -> None:
    """As `mlp_gradients`, queued; `scratch` as `network_floats_on_gpu` says."""
    of_parameters, of_x = out
    outputs = _on_gpu(of_parameters), None if of_x is None else _on_gpu(of_x)
    arrays = map(_on_gpu, inputs)
    queue_on_gpu("mlp_gradients", scratch, *arrays, _network(shape), *outputs, _on_gpu(scratch))


def grid_mlp_descent_on_gpu(
    inputs: tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor],
    shape: GridPerceptron,
    out: tuple[torch.Tensor, torch.Tensor],
    *,
    is_whole: bool,
) -> float:
    """As `grid_mlp_descent`; with whole sums the same each time. Waits for the GPU."""
    coords, _, table, _ = inputs
    n_floats = network_floats_on_gpu(shape.perceptron, len(coords), coords.get_device())
    floats, features = table.new_empty(n_floats), table.new_empty(len(coords), shape.grid.n_outputs)
    of_table = _table_bytes(shape.grid, (table, coords), is_along=False, is_whole=is_whole)
    shapes = shape.grid.shape, _network(shape.perceptron)
    outputs = tuple(map(_on_gpu, out))
    scratch = tuple(map(_on_gpu, (floats, features, of_table)))
    arrays = map(_on_gpu, inputs)
    queue_on_gpu("grid_mlp_descent", table, *arrays, *shapes, outputs, scratch, is_whole)
    return float(floats[0])


def quantize_forward(
    units: Array, quantizer: Quantizer, base: Array | None, weights: Array | None
) -> NDArray[np.float64]:
    """Write the weights unless None, and give the sums [tensors, 4]."""
    options = (*_fields(quantizer), base, weights, dispatch.threads())
    return np.array(_module().quantize_forward(units, *options)).reshape(-1, 4)


def quantize_step(
    gradient: Array,
    state: tuple[Array, Array, Array],
    quantizer: Quantizer,
    *,
    slopes: NDArray[np.float64],
    adam: AdamStep,
    base: Array | None,
) -> NDArray[np.float64]:
    """Move units and moments, and give the sums [tensors, 2]."""
    options = (base, slopes.ravel().tolist(), astuple(adam), dispatch.threads())
    sums = _module().quantize_step(gradient, *state, *_fields(quantizer), *options)
    return np.array(sums).reshape(-1, 2)


def soap_step(arrays: tuple[Array, Array, Array], soap: Soap, *, rate: float, count: int) -> bool:
    """Move parameters by their gradient, with their state, and give whether that was done."""
    moved: bool = _module().soap_step(*arrays, soap.shapes, soap.decays, rate, count)
    return moved


def decode_latents(
    words: NDArray[np.uint32],
    shape: LatentShape,
    weights: Mapping[str, NDArray[np.float64]],
    *,
    maxima: Sequence[int],
    tables: tuple[NDArray[np.int64], NDArray[np.int64]],
) -> tuple[int, NDArray[np.int32]]:
    """All values in coded order, after 0: done; 1: the words end elsewhere; 2: no encoder's words.

    `tables`: decays and powers of the Laplace counts.
    """
    levels = [grid.level for grid in shape.grids]
    inputs = [grid.feature_inputs for grid in shape.grids]
    neighbours = [offset for neighbour in shape.neighbours for offset in neighbour]
    n_features = shape.networks.n_features
    grids = (shape.height, shape.width, levels, inputs, neighbours, n_features, shape.slope)
    flat, out = _joined(shape, weights, context=True), np.empty(shape.n_latents, np.int32)
    end = _module().decode_latents(words, grids, list(maxima), flat, *tables, out)
    return end, out


def synthesize(
    grids: Sequence[NDArray[np.int32]],
    shape: LatentShape,
    weights: Mapping[str, NDArray[np.float64]],
    output: tuple[Sequence[int], int],
) -> NDArray[np.int32]:
    """Pixels [height, width, channels] in units of 2^-20, of the latents alone, coarsest first."""
    size, (offsets, scale) = shape.networks, output
    latents = [np.require(grid, np.int32, ["C", "A"]) for grid in grids]
    out = np.empty((shape.height, shape.width, shape.channels), np.int32)
    options = (size.n_hidden, size.n_tail, [int(offset) for offset in offsets], int(scale))
    flat = _joined(shape, weights, context=False)
    _module().synthesize(latents, flat, *options, out, dispatch.threads())
    return out


def _joined(
    shape: LatentShape, weights: Mapping[str, NDArray[np.float64]], *, context: bool
) -> NDArray[np.float64]:
    """The tensors of the context model and the features, or all others, as one."""
    names = [weight.name for weight in shape.weights if weight.of_context is context]
    return np.concatenate([weights[name].ravel() for name in names])


def latent_cost(inputs: tuple[Array, Array], shape: LatentShape, out: tuple[Array, Array]) -> float:
    """The bits of latents; write the gradients of latents and joined parameters."""
    bits: float = _module().latent_cost(*inputs, *native_shape(shape), *out, dispatch.threads())
    return bits


def latent_pixels(
    inputs: tuple[Array, Array], shape: LatentShape, out: tuple[Array, Array]
) -> None:
    """Write what the way back needs, [latent_kept(shape)], and pixels."""
    _module().latent_pixels(*inputs, *native_shape(shape), *out, dispatch.threads())


def latent_kept(shape: LatentShape) -> int:
    """Floats that `latent_pixels` keeps for `latent_pixels_gradients`."""
    n_floats: int = _module().latent_kept(*native_shape(shape))
    return n_floats


def latent_pixels_gradients(
    inputs: tuple[Array, Array, Array], shape: LatentShape, kept: Array, out: tuple[Array, Array]
) -> None:
    """Gradients of latents and joined parameters; from gradient, latents, parameters."""
    options = (*native_shape(shape), kept)
    _module().latent_pixels_gradients(*inputs, *options, *out, dispatch.threads())


def soft_latents(inputs: tuple[Array, Array], softness: Softness, out: tuple[Array, Array]) -> None:
    """Write soft latents and their slopes by the units; from units and noise."""
    _module().soft_latents(*inputs, *softness, *out, dispatch.threads())


def latent_floats_on_gpu(what: str, shape: LatentShape) -> int:
    """Floats of what a GPU keeps ("latent_kept") or needs ("latent_cost_scratch", ...)."""
    n_floats: int = getattr(_module(), f"{what}_cuda")(*native_shape(shape))
    return n_floats


def queue_on_gpu(name: str, like: torch.Tensor, *arguments: object) -> None:
    """Queue the native function `name` on the current stream of the GPU of `like`."""
    import torch

    stream = torch.cuda.current_stream(like.get_device()).cuda_stream
    getattr(_module(), f"{name}_cuda")(*arguments, stream)


def native_shape(shape: LatentShape) -> tuple[list[int], list[int], list[int]]:
    """Grids, neighbours and widths, as the native side wants them."""
    size = shape.networks
    grids = [
        number
        for grid in shape.grids
        for number in (grid.height, grid.width, int(grid.is_hyper), grid.feature_inputs)
    ]
    neighbours = [number for pair in shape.neighbours for number in pair]
    return grids, neighbours, [size.n_features, size.n_hidden, size.n_tail, shape.channels]


def _network(shape: Perceptron) -> tuple[tuple[int, ...], bool, str]:
    return shape.sizes, shape.has_bias, shape.activation


def _fields(quantizer: Quantizer) -> tuple[object, ...]:
    shape = quantizer.sizes, quantizer.rates, quantizer.steps
    return *shape, quantizer.rounding, quantizer.keys


def keep_freed_memory() -> Callable[[], None]:
    """Let freed memory stay with the process, where native code knows how, until it is given back.

    What comes back gives it back.
    """
    module = dispatch.native()
    if module is None:
        return lambda: None
    module.keep_freed_memory(True)
    return partial(module.keep_freed_memory, False)


def _module() -> ModuleType:
    module = dispatch.native()
    assert module is not None
    return module
