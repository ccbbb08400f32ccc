"""wrk, and what it reports."""

import json
import re
import subprocess
import tempfile
from dataclasses import dataclass

from . import machine

UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}


@dataclass
class Round:
    """What one round has shown."""

    rate: float
    cpu_micros: float
    p50: float
    p99: float
    rss: float
    load: float


def constant(method, path, body=None, token=None):
    """A script that sends the same request each time."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    if body is not None:
        headers["Content-Type"] = "application/json"
    text = "nil" if body is None else json.dumps(json.dumps(body))
    table = ", ".join(f"[{json.dumps(name)}] = {json.dumps(value)}" for name, value in headers.items())
    return f"""
wrk.method, wrk.path, wrk.body, wrk.headers = "{method}", {json.dumps(path)}, {text}, {{ {table} }}
"""


def paced(script, connections, rate):
    """The same with random pauses, so that all connections together send about `rate` a second."""
    mean = 1000 * connections / rate
    return script + f"\nfunction delay() return math.floor(math.random() * {2 * mean} + 0.5) end\n"


def run(server, script, seconds, connections=64):
    """Lets wrk loose on a server; an answer that is no success ends everything."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script)
        file.flush()
        cpu = machine.cpu_seconds(server.pid)
        done = subprocess.run(
            ["taskset", "-c", machine.GENERATOR_CORE, "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency",
             "--timeout", "20s", "-s", file.name, f"http://127.0.0.1:{server.port}"],
            capture_output=True, text=True, check=True).stdout
        cpu = machine.cpu_seconds(server.pid) - cpu
    if "Non-2xx" in done or "Socket errors" in done:
        raise SystemExit(f"{server.name} did not answer as it should:\n{done}")
    count = int(re.search(r"(\d+) requests in", done)[1])
    return Round(
        rate=float(re.search(r"Requests/sec:\s+([\d.]+)", done)[1]),
        cpu_micros=cpu / max(count, 1) * 1e6,
        p50=percentile(done, "50%"),
        p99=percentile(done, "99%"),
        rss=machine.resident_mib(server.pid),
        load=machine.load(),
    )


def percentile(text, name):
    """A latency in seconds."""
    number, unit = re.search(rf"{name}\s+([\d.]+)(us|ms|s|m)", text).groups()
    return float(number) * UNITS[unit]
