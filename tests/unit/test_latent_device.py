"""What holds while fits of latent grids run, and only then."""

from __future__ import annotations

import platform
import resource

import pytest
import torch

from inrcodec.representations.latentgrid.fit_device import at_home

BLOCK = 12 << 20  # bytes


def test_torch_has_one_thread_until_the_last_fit_is_over() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with at_home("cpu", several=True):
            with at_home("cpu", several=True):
                assert torch.get_num_threads() == 1
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told so")
@pytest.mark.usefixtures("native")
def test_freed_memory_is_kept_until_the_last_fit_is_over() -> None:
    def faults() -> int:
        """Pages, of any size, that the system gives for blocks that are taken and freed."""
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(10):
            assert len(b"1" * BLOCK) + len(b"1" * (2 * BLOCK)) == 3 * BLOCK
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    def fails() -> None:
        with at_home("cpu", several=False):
            raise ValueError("in a fit")

    with at_home("cpu", several=False):
        with pytest.raises(ValueError, match="in a fit"):
            fails()
        faults()
        kept = faults()
    assert 5 * kept < faults()
