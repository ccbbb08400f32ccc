"""The machine: what it is, which cores are used, and what a process has cost."""

import os
import platform
import shutil
import subprocess
from pathlib import Path

SERVER_CORE, GENERATOR_CORE = "0", "1"
TICKS = os.sysconf("SC_CLK_TCK")


def check():
    """Stops at once where something is missing that every measurement needs."""
    missing = [tool for tool in ("wrk", "taskset", "cargo") if not shutil.which(tool)]
    if missing or (os.cpu_count() or 1) < 2:
        raise SystemExit(f"needed: two cores, and {', '.join(missing) or 'nothing else'}")


def text_of(*command):
    """The first line that a command prints, or that it is not here."""
    if not shutil.which(command[0]):
        return f"{command[0]}: not here"
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return (done.stdout.strip().splitlines() or [""])[0]


def describe():
    """Machine and versions, a line each."""
    cpu = next((line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                if line.startswith("model name")), "unknown")
    memory = int(Path("/proc/meminfo").read_text().split()[1]) / (1 << 20)
    return [
        f"{os.cpu_count()} cores of {cpu}, {memory:.0f} GiB, Linux {platform.release()}",
        text_of("rustc", "--version"),
        text_of("wrk", "-v").split(" Copyright")[0],
        text_of("nginx", "-v"),
        f"Node {text_of('node', '--version')}",
        f"Python {platform.python_version()}",
    ]


def load():
    """The load average of the last minute."""
    return os.getloadavg()[0]


def family(pid):
    """A process and all that descend from it."""
    pids = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            pids += family(int(child))
    return pids


def cpu_seconds(pid):
    """The processor time that a process and its descendants have used."""
    total = 0
    for one in family(pid):
        fields = Path(f"/proc/{one}/stat").read_text().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def resident_mib(pid):
    """The resident memory of a process and its descendants, MiB."""
    total = 0
    for one in family(pid):
        for line in Path(f"/proc/{one}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                total += int(line.split()[1])
    return total / 1024
