"""The micro-benchmarks of `cargo bench -p keyward-bench`, with few samples, and what they printed."""

import re
import subprocess

from . import build
from .contest import Measured

UNITS = {"ns": 1e-9, "µs": 1e-6, "ms": 1e-3, "s": 1.0}


def measure(plan):
    """The medians in seconds by the benchmark's path, such as `verify/HS256`, and the memory of the closed sessions."""
    samples = ["--sample-count", "50" if plan.quick else "100", "--max-time", "0.3" if plan.quick else "1"]
    command = ["cargo", "bench", "--quiet", "--locked", "--package", "keyward-bench", "--", *samples]
    text = subprocess.run(command, cwd=build.ROOT, capture_output=True, text=True, check=True).stdout
    medians, path = {}, []
    for line in text.splitlines():
        named = re.match(r"((?:[│ ]  )*)[├╰]─ (\S+)(.*)", line)
        if not named:
            continue
        path[len(named[1]) // 3:] = [named[2]]
        # Fastest, slowest, median, mean.
        times = re.findall(r"([\d.]+) (ns|µs|ms|s)\b", named[3])
        if len(times) >= 3:
            medians["/".join(path)] = float(times[2][0]) * UNITS[times[2][1]]
    memory = re.findall(r"resident memory of (\d+) closed sessions: (\d+) KiB", text)
    return Measured(figures={"medians": medians, "memory": {int(n): int(kib) / 1024 for n, kib in memory}})
