"""Writes what was measured as docs/performance.md."""

import statistics
from datetime import date

from . import build, machine
from .workloads import CEILING, FLASK, KEYWARD

LEGEND = """\
The server is pinned to one core, `wrk -t1 -c64` to the other; all servers run at once and take turns round by
round. Rates are medians, the spread is of the rounds' ratios: each round's Keyward over the same round's ceiling.
Bare hyper sends a fixed body as long as Keyward's answer and reads nothing but the head. Access log on (into a
file), every limit on (those that one account would reach are set out of its reach), SQLite with
`synchronous=FULL`. "By processor time" is the ceiling's processor time a request over Keyward's: where the load
column shows that others used the machine too, the rates say little, in either direction, and this says more. At
half of peak, clients pause at random, and nothing is corrected for co-ordinated omission.
"""


def render(done, plan):
    """The whole text."""
    parts = [
        "# Performance",
        "Written by `bench/run" + (" --quick" if plan.quick else "") + f"` on {date.today()}. Absolute figures are those "
        "of one machine; the ratios are the result.",
        "## The machine\n\n" + "\n".join(f"- {line}" for line in machine.describe())
        + f"\n- load average at the end: {machine.load():.1f} (the benchmark itself makes up to 2)",
        LEGEND,
        "## Asked of Keyward\n\n" + asked(done),
    ]
    for name, title in (("verifyToken", "`GET /verifyToken`"), ("generateToken", "`POST /generateToken`"),
                        ("generate_array", "`POST /generate_array`, 500 floats")):
        if name in done:
            parts.append(f"## {title}\n\n{contest(done[name])}")
    if "customers" in done:
        for name in ("GET", "POST", "PUT", "nyoungest"):
            parts.append(f"## Customers: {name}, {plan.rows:,} rows\n\n{contest(done['customers'].figures[name])}")
    if "refresh" in done:
        parts.append(f"## Refresh rotation, 64 clients\n\n{contest(done['refresh'])}")
    if "growth" in done:
        parts.append(f"## Growth\n\n{growth(done['growth'])}")
    parts.append((build.ROOT / "bench" / "findings.md").read_text().strip())
    return "\n\n".join(parts) + "\n"


def contest(measured):
    """The table of one contest."""
    rows = [["server", "requests/s", "spread", "× Flask", "of bare hyper", "CPU µs/request", "p50 full", "p99 full",
             "resident MiB", "load"]]
    for name, rounds in sorted(measured.rounds.items(), key=lambda item: statistics.median(r.rate for r in item[1])):
        rates = [one.rate for one in rounds]
        middle = statistics.median(rates)
        rows.append([
            name, f"{middle:,.0f}", f"{min(rates):,.0f}–{max(rates):,.0f}",
            f"{middle / measured.median(FLASK):.1f}" if FLASK in measured.rounds else "–",
            f"{middle / measured.median(CEILING):.2f}" if CEILING in measured.rounds else "–",
            f"{statistics.median(one.cpu_micros for one in rounds):.1f}",
            span(statistics.median(one.p50 for one in rounds)), span(statistics.median(one.p99 for one in rounds)),
            f"{max(one.rss for one in rounds):.0f}", f"{statistics.median(one.load for one in rounds):.1f}",
        ])
    text = table(rows)
    for name, paced in measured.paced.items():
        text += (f"\n\n{name} at half of its peak ({paced.rate:,.0f} requests/s): p50 {span(paced.p50)}, "
                 f"p99 {span(paced.p99)}.")
    return text


def asked(done):
    """The table that was asked for, row by row."""
    rows = [["what", "asked", "reached", "spread", "by processor time"]]
    for name, of_ceiling, of_flask in (("verifyToken", 0.65, 28), ("generateToken", 0.75, 35),
                                       ("generate_array", 0.55, 38)):
        if name in done:
            rows.append(ratio(f"`{name}`, of bare hyper", of_ceiling, done[name], CEILING))
            rows.append(ratio(f"`{name}`, × Flask + gunicorn", of_flask, done[name], FLASK))
    if "customers" in done:
        figures = done["customers"].figures
        rows.append(ratio("`GET` of one customer, of bare hyper", 0.55, figures["GET"], CEILING))
        rows.append(ratio("`POST` of customers, 64 clients, of bare hyper", 0.35, figures["POST"], CEILING))
        alone = statistics.median(one.rate for one in figures["alone"])
        times = [one.rate / alone for one in figures["POST"].rounds[KEYWARD]]
        rows.append(line("the same, × one client, whose every row is a commit", "≥ 8", times))
        p50 = statistics.median(one.p50 for one in figures["alone"])
        rows.append([f"p50 of a commit: one client {span(p50)}", "–",
                     f"64 clients {span(statistics.median(r.p50 for r in figures['POST'].rounds[KEYWARD]))}", "–", "–"])
    if "refresh" in done:
        rows.append(ratio("refresh rotation, 64 clients, of bare hyper", 0.25, done["refresh"], CEILING))
    if "login" in done:
        figures = done["login"].figures
        rows.append(line("logins, of raw Argon2id", "≥ 0.95",
                         [a / b for a, b in zip(figures["rates"], figures["raw"])]))
        rows.append(line("p99 of `GET` meanwhile, × idle", "≤ 3",
                         [a / b for a, b in zip(figures["busy"], figures["idle"])]))
    if "files" in done:
        figures = done["files"].figures
        rows.append(line("upload, of `dd conv=fsync`", "≥ 0.7", [a / b for a, b in zip(figures["up"], figures["dd"])]))
        rows.append(line("download, of nginx", "≥ 0.7", [a / b for a, b in zip(figures["down"], figures["nginx"])]))
        rows.append(line("memory that transfers add, MiB", "flat", figures["memory"]))
    if "start" in done:
        figures = done["start"].figures
        rows.append(line("start in an empty folder, ms", "≤ 150", [1000 * one for one in figures["empty"]]))
        rows.append(line("start with all rows, ms", "≤ 300", [1000 * one for one in figures["full"]]))
        rows.append(line("resident memory idle, MiB", "≤ 15", figures["idle MiB"]))
    if "verifyToken" in done:
        loaded = [one.rss for one in done["verifyToken"].rounds[KEYWARD]]
        rows.append(line("resident memory under the verify load, MiB", "≤ 30", loaded))
    if "growth" in done:
        calls = done["growth"].figures["calls"]
        small, large = done["growth"].figures["sizes"]
        for name, measured in calls.items():
            rows.append(line(f"growth of {name}, {large:,} rows over {small:,}", "≤ 1.2",
                             measured.ratios(small, large)))
    return table(rows)


def ratio(title, least, measured, base):
    cost = {name: statistics.median(one.cpu_micros for one in measured.rounds[name]) for name in (KEYWARD, base)}
    return line(title, f"≥ {least}", measured.ratios(KEYWARD, base), number(cost[base] / cost[KEYWARD]))


def line(title, asked_for, values, cost="–"):
    """A row: the median of some values, how far they lie apart, and the ratio of processor times."""
    spread = f"{number(min(values))}–{number(max(values))}"
    return [title, asked_for, number(statistics.median(values)), spread, cost]


def growth(measured):
    """Requests a second at few and at many rows."""
    small, large = measured.figures["sizes"]
    rows = [["call", f"{small:,} rows, requests/s", f"{large:,} rows, requests/s", "CPU µs", "CPU µs"]]
    for name, one in measured.figures["calls"].items():
        cpu = [statistics.median(r.cpu_micros for r in one.rounds[size]) for size in (small, large)]
        rows.append([name, f"{one.median(small):,.0f}", f"{one.median(large):,.0f}", *(f"{c:.1f}" for c in cpu)])
    return table(rows)


def number(value):
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


def span(seconds):
    return f"{seconds * 1e6:.0f} µs" if seconds < 1e-3 else f"{seconds * 1e3:.1f} ms"


def table(rows):
    """Markdown."""
    head, *body = rows
    lines = [head, ["---"] * len(head), *body]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
