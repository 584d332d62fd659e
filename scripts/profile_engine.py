"""Say where an iteration of a fit spends its time, function by function, with torch's profiler.

    python scripts/profile_engine.py --threads 2
    python scripts/profile_engine.py --device cuda

The fit is that of `bench_engine.py`: an image of --extent and networks of --macs. On the CPU the
lines are operators with the time that they spend themselves, on a GPU its kernels. What is under
one percent is one line. With --into the table is written to a page, between the comments
`<!-- profile-DEVICE -->` and `<!-- /profile-DEVICE -->`.
"""

from __future__ import annotations

import argparse
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from bench_engine import HYPER_LEVELS, LEVELS, PRIOR, prepare
from latent_tables import head, line
from plot_rd import replace
from rows import Origin, use_threads
from torch.profiler import ProfilerActivity, profile

from inrcodec import kernels
from inrcodec.kernels import LatentShape
from inrcodec.representations.latentgrid.config import MACS
from inrcodec.representations.latentgrid.fit_device import at_home

LEAST_SHARE = 0.01
WARM_UP = 6
OPERATOR = re.compile(r"GeneratedBackwardFor_inrcodec_(\w+)_default")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--extent", default="768x512", metavar="WxH")
    parser.add_argument("--macs", type=int, choices=MACS, default=2000)
    parser.add_argument("--threads", type=int, help="of the CPU")
    parser.add_argument("--iterations", type=int, default=30)
    parser.add_argument("--into", type=Path, help="page with the comments to write between")
    options = parser.parse_args()
    use_threads(options.threads)
    width, height = map(int, options.extent.split("x"))
    size = MACS.index(options.macs)
    shape = LatentShape(height, width, 3, size, LEVELS, HYPER_LEVELS, PRIOR)
    times = times_of(options.device, shape, options.iterations)
    where = f"{kernels.threads()} threads of the CPU" if options.device == "cpu" else "the GPU"
    origin = Origin.here({options.into: "PAGE"})
    text = "\n".join(
        [
            f"An iteration of {width} x {height} pixels, {options.macs} MAC, on {where}:"
            f" {origin.machine}, commit {origin.commit}.\n",
            *table(times),
        ]
    )
    print(text)
    if options.into:
        replace(options.into, f"profile-{options.device}", text)


def times_of(device: str, shape: LatentShape, n_iterations: int) -> dict[str, float]:
    """Milliseconds of an iteration, by what takes them."""
    on_gpu = device == "cuda"
    times: dict[str, float] = defaultdict(float)
    with at_home(device, several=False):
        step = prepare("iteration", "cuda" if on_gpu else "native", shape)
        for _ in range(WARM_UP):
            step()
        activity = ProfilerActivity.CUDA if on_gpu else ProfilerActivity.CPU
        with profile(activities=[activity]) as profiler:
            for _ in range(n_iterations):
                step()
    for event in profiler.key_averages():
        micros = event.self_device_time_total if on_gpu else event.self_cpu_time_total
        times[name_of(event.key)] += micros / 1e3 / n_iterations
    return times


def name_of(key: str) -> str:
    """An operator of ours without what torch puts around it; a kernel without its arguments."""
    ours = OPERATOR.match(key)
    plain = key.replace("(anonymous namespace)::", "").removeprefix("void ")
    name = f"inrcodec::{ours[1]}" if ours else plain.partition("(")[0]
    return name if len(name) <= 60 else f"{name[:57]}..."


def table(times: Mapping[str, float]) -> Iterator[str]:
    """A line for each function, the dearest first."""
    whole = sum(times.values())
    named = {name: time for name, time in times.items() if time >= LEAST_SHARE * whole}
    yield from head("function", "ms", "share")
    rest = {"all others": whole - sum(named.values())}
    for name, time in [*sorted(named.items(), key=lambda pair: -pair[1]), *rest.items()]:
        yield line(
            f"`{name}`" if name in named else name, f"{time:.2f}", f"{100 * time / whole:.1f} %"
        )
    yield line("whole", f"{whole:.2f}", "")


if __name__ == "__main__":
    main()
