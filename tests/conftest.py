"""What every test may use: random states put back, native code and GPUs asked for by name.

INRCODEC_REQUIRE is a list of "native", "cuda" and "tcnn", as "native,cuda": what it names must be
there, and a test that would be skipped without it fails instead. "tcnn" is tiny-cuda-nn's package
tinycudann, and a GPU that it can use.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable, Iterator
from types import ModuleType

import numpy as np
import pytest

from inrcodec.kernels import dispatch


def _skip(what: str, reason: str) -> None:
    if what in os.environ.get("INRCODEC_REQUIRE", "").split(","):
        pytest.fail(f"INRCODEC_REQUIRE names {what}: {reason}", pytrace=False)
    pytest.skip(f"needs {what}: {reason}")


@pytest.fixture(scope="session")
def skip() -> Callable[[str, str], None]:
    """Skip for want of "native", "cuda" or "tcnn"; fail where INRCODEC_REQUIRE names it."""
    return _skip


@pytest.fixture(autouse=True)
def _random_states_are_put_back() -> Iterator[None]:
    python, numpy = random.getstate(), np.random.get_state()
    torch = sys.modules.get("torch")
    state = None if torch is None else torch.random.get_rng_state()
    yield
    random.setstate(python)
    np.random.set_state(numpy)
    if torch is not None and state is not None:
        torch.random.set_rng_state(state)


@pytest.fixture
def _backend_is_put_back() -> Iterator[None]:
    chosen = dispatch._choice, dispatch._device, dispatch._threads
    yield
    dispatch._choice, dispatch._device, dispatch._threads = chosen


@pytest.fixture
def native(_backend_is_put_back: None) -> Iterator[ModuleType]:
    """The native module; its instruction set is put back."""
    module = dispatch.native()
    if module is None:
        _skip("native", str(dispatch.native_problem()))
    assert module is not None
    chosen = module.instruction_set()
    yield module
    module.use_instruction_set(chosen)


@pytest.fixture
def cuda(native: ModuleType) -> ModuleType:
    """The native module, compiled with CUDA, on a machine with a GPU that torch can use."""
    torch = pytest.importorskip("torch")
    if native.cuda_runtime is None:
        _skip("cuda", "the native module was compiled without CUDA")
    if native.cuda_device_count() == 0 or not torch.cuda.is_available():
        _skip("cuda", "no GPU that torch can use")
    return native
