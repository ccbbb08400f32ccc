"""Two builds of Keyward beside each other in one run, on the same calls and as many rows."""

import contextlib
import statistics

from . import build, data, generator, machine, report, scripts, servers, workloads
from .contest import alternate, same

BEFORE, AFTER = "before", "after"


def compare(plan, programs):
    """A table of the calls that every change must leave as fast as they were; `programs` are by name."""
    rows = [["call", "before", "after", "rate, after over before", "spread", "CPU µs/request", "p99"]]
    with contextlib.ExitStack() as stack:
        running, idle, start = {}, {}, {}
        for name, program in programs.items():
            folder = prepared(name, program, plan.sizes[1])
            server = stack.enter_context(servers.keyward(folder, data.CHEAP, program=program))
            running[name], idle[name] = server, machine.resident_mib(server.pid)
            start[name] = server.start_seconds
        for call, script in CALLS.items():
            contestants = {name: (server, script(server, plan)) for name, server in running.items()}
            rows.append(row(call, alternate(plan, contestants, None)))
    rows.append(["resident, idle", f"{idle[BEFORE]:.1f} MiB", f"{idle[AFTER]:.1f} MiB", *["–"] * 4])
    rows.append(["start until ready", *(f"{start[name] * 1000:.0f} ms" for name in (BEFORE, AFTER)), *["–"] * 4])
    return report.table(rows)


CALLS = {
    "`GET /verifyToken`": lambda _, __: same(generator.constant("GET", "/verifyToken", workloads.JUDGED)),
    "`POST /generateToken`": lambda _, __: same(
        generator.constant("POST", "/generateToken", {"user_data": "this is test"})),
    "`POST /generate_array`": lambda server, _: lambda: generator.constant(
        "POST", "/generate_array", workloads.SENTENCE, data.bearer(server)),
    "`GET` of a customer": lambda server, plan: lambda: scripts.reads(data.bearer(server), plan.sizes[1]),
    "`POST` of a customer": lambda server, _: lambda: scripts.inserts(data.bearer(server)),
    "refresh": lambda server, _: lambda: scripts.refreshes(server),
    "login": lambda _, __: same(generator.constant("POST", scripts.LOGIN, data.USERS[0])),
}


def prepared(name, program, rows):
    """A data folder that this program made, with accounts that can log in and so many customers."""
    folder = servers.fresh_folder(name)
    with servers.keyward(folder, data.CHEAP, program=program) as server:
        data.register(server)
    with data.database(folder) as db:
        db.execute(data.statements(rows, "")[-1])
    return folder


def row(call, measured):
    """One call: rates, their ratio round by round, processor time and p99."""
    ratios = measured.ratios(AFTER, BEFORE)
    of = {name: measured.rounds[name] for name in (BEFORE, AFTER)}
    middle = {name: statistics.median(one.cpu_micros for one in rounds) for name, rounds in of.items()}
    slowest = {name: statistics.median(one.p99 for one in rounds) for name, rounds in of.items()}
    return [
        call,
        *(f"{measured.median(name):,.0f}/s" for name in (BEFORE, AFTER)),
        f"{statistics.median(ratios):.3f}",
        f"{min(ratios):.2f}–{max(ratios):.2f}",
        f"{middle[BEFORE]:.1f} → {middle[AFTER]:.1f}",
        f"{report.span(slowest[BEFORE])} → {report.span(slowest[AFTER])}",
    ]
