"""Writes what was measured as docs/performance.md."""

import statistics
from datetime import date

from . import build, growth, machine, stores
from .contest import CEILING, FLASK, KEYWARD

LEGEND = """\
The server is pinned to one core, `wrk -t1 -c64` to the other; all servers run at once and take turns round by
round. Rates are medians, the spread is of the rounds' ratios: each round's Keyward over the same round's ceiling.
Bare hyper sends a fixed body as long as Keyward's answer and reads nothing but the head. Access log on (into a
file), every limit on (those that one account would reach are set out of its reach), SQLite with
`synchronous=FULL`. Passwords have the least costs that a policy may ask, except where logins are measured beside
raw Argon2id. "By processor time" is the ceiling's processor time a request over Keyward's: where the load
column shows that others used the machine too, the rates say little, in either direction, and this says more; for
growth it is the processor time on many rows over that on few. At
half of peak, clients pause at random, and nothing is corrected for co-ordinated omission.
"""

REPRODUCE = """\
    bench/run                        # all of this page; needs wrk, nginx, curl, npm and Python with venv
    bench/run --quick --no-write     # fewer rounds and rows, nothing written
    bench/run --only growth,start    # by name: see bench/run --help
    cargo bench -p keyward-bench     # the micro-benchmarks alone, with all their samples
    bench/profile POST               # where the processor time of a call goes; needs perf
    bench/guard                      # the codec's instruction counts, as CI holds them; needs valgrind

`KEYWARD_TEST_POSTGRES=postgres://…` names the PostgreSQL server on which `bench/run` makes a database, and drops it."""


def render(done, plan):
    """The whole text."""
    parts = [
        "# Performance",
        "Written by `bench/run" + (" --quick" if plan.quick else "") + f"` on {date.today()}. Absolute figures are those "
        "of one machine; the ratios are the result.",
        "## The machine\n\n" + "\n".join(f"- {line}" for line in machine.describe())
        + f"\n- load average at the end: {machine.load():.1f} (the benchmark itself makes up to 2)",
        LEGEND.strip(),
        "## To reproduce it\n\n" + REPRODUCE,
        "## Asked of Keyward\n\n" + asked(done, plan),
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
    for name, title, section in (
            ("growth", "Growth", of_growth), ("start", "Start and memory", of_start),
            ("sync", "What a commit's sync costs", of_sync), ("postgres", "On PostgreSQL", of_postgres),
            ("micro", "Micro-benchmarks", of_micro)):
        if name in done:
            parts.append(f"## {title}\n\n{section(done[name])}")
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


def asked(done, plan):
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
        rows.append(ratio("`POST` of customers born at random, 64 clients, of bare hyper", 0.35, figures["POST"], CEILING))
        times = [one.rate / alone for one, alone in zip(figures["POST"].rounds[KEYWARD], figures["commit each"])]
        rows.append(line("the same, × what its store alone takes from 64 clients with a commit for each row", "≥ 8",
                         times))
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
        rows.append(line(f"start with {plan.rows:,} rows of each kind, ms", "≤ 300",
                         [1000 * one for one in figures["full"]]))
        rows.append(line("resident memory idle, MiB", "≤ 15", figures["idle MiB"]))
    if "verifyToken" in done:
        loaded = [one.rss for one in done["verifyToken"].rounds[KEYWARD]]
        rows.append(line("resident memory under the verify load, MiB", "≤ 30", loaded))
    if "growth" in done:
        for name, measured in done["growth"].figures.items():
            rows.append(line(f"growth of {name}, {plan.rows:,} rows over {plan.sizes[0]:,}", "≤ 1.2",
                             grown(name, measured, plan.rows), number(costlier(measured, plan.rows))))
    return table(rows)


def ratio(title, least, measured, base):
    cost = {name: statistics.median(one.cpu_micros for one in measured.rounds[name]) for name in (KEYWARD, base)}
    return line(title, f"≥ {least}", measured.ratios(KEYWARD, base), number(cost[base] / cost[KEYWARD]))


def line(title, asked_for, values, cost="–"):
    """A row: the median of some values, how far they lie apart, and the ratio of processor times."""
    spread = f"{number(min(values))}–{number(max(values))}"
    return [title, asked_for, number(statistics.median(values)), spread, cost]


def grown(name, measured, rows):
    """How much longer a request takes than on the fewest rows, round by round."""
    small, *_ = measured.rounds
    if name == growth.LOGIN:
        return [a.p50 / b.p50 for a, b in zip(measured.rounds[rows], measured.rounds[small])]
    return measured.ratios(small, rows)


def costlier(measured, rows):
    """The same of processor time, which other work on the machine touches less."""
    small, *_ = measured.rounds
    cost = [statistics.median(one.cpu_micros for one in measured.rounds[size]) for size in (small, rows)]
    return cost[1] / cost[0]


def of_growth(measured):
    """Rate, p50 and processor time by the number of rows."""
    small, *larger = next(iter(measured.figures.values())).rounds
    head = ["requests/s · p50 · CPU µs/request", *(f"{size:,} rows" for size in (small, *larger)),
            *(f"× at {size:,} (processor)" for size in larger)]
    rows = [head]
    for name, one in measured.figures.items():
        rows.append([name, *(cell(rounds) for rounds in one.rounds.values()),
                     *(f"{number(statistics.median(grown(name, one, size)))} ({number(costlier(one, size))})"
                       for size in larger)])
    return table(rows) + (
        "\n\nSo many accounts, open sessions, closed sessions and customers each. `GET`, `PUT` and logins draw theirs at "
        "random from all; refreshes rotate 80 sessions opened for the round. The ratio is of the time a request takes, at full rate from 64 clients, for logins the p50 of "
        "one. Each round of `POST` begins with as many customers as the column says, and lasts a second.")


def cell(rounds):
    middle = {name: statistics.median(getattr(one, name) for one in rounds) for name in ("rate", "p50", "cpu_micros")}
    return f"{middle['rate']:,.0f} · {span(middle['p50'])} · {middle['cpu_micros']:.1f}"


def of_start(measured):
    """Starts and what is resident after them."""
    figures = measured.figures
    rows = [["folder", "ms until `ready`", "spread", "resident MiB"]]
    for name, seconds, mib in (("empty", "empty", "idle MiB"), ("all rows", "full", "full MiB"),
                               (f"{figures['closed']:,} closed sessions", "closed start", "closed MiB")):
        _, _, middle, spread, _ = line("", "", [1000 * one for one in figures[seconds]])
        rows.append([name, middle, spread, f"{statistics.median(figures[mib]):.0f}"])
    return table(rows) + "\n\nFrom `exec` to the line `ready`, on both cores; every tenth session id is a closed one's."


def of_sync(measured):
    """The same writes with and without a disk below."""
    figures = measured.figures
    rows = [["", "on disk", "in memory (/dev/shm)"]]
    for clients in (1, 64):
        of_clients = figures[clients].rounds
        rows.append([f"`POST` of customers, {clients} client{'s' * (clients > 1)}: requests/s · p50 · CPU µs/request",
                     cell(of_clients["disk"]), cell(of_clients["memory"])])
    for key, text in (("1024 a commit", "all that wait in one commit"), ("1 a commit", "a commit for each")):
        rates = figures[key]
        rows.append([f"the store alone, 64 clients, {text}: rows/s",
                     *(f"{statistics.median(rates[name]):,.0f}" for name in ("disk", "memory"))])
    return table(rows)


def of_postgres(measured):
    """PostgreSQL beside SQLite."""
    if not measured.figures:
        return stores.SKIPPED
    figures = dict(measured.figures)
    size = figures.pop("rows")
    rows = [["requests/s · p50 · CPU µs/request", stores.SQLITE, stores.POSTGRES, "rate, PostgreSQL over SQLite", "spread"]]
    for name, one in figures.items():
        _, _, middle, spread, _ = line("", "", one.ratios(stores.POSTGRES, stores.SQLITE))
        rows.append([name, *(cell(rounds) for rounds in one.rounds.values()), middle, spread])
    return table(rows) + (
        f"\n\n{size:,} rows of each kind. PostgreSQL, on the same machine with its own settings, shares the two cores with "
        "Keyward and `wrk`; its processor time is not counted.")


def of_micro(measured):
    """The codec beside aws-lc-rs alone, the closed sessions, and the group commit."""
    medians, memory = measured.figures["medians"], measured.figures["memory"]
    rows = [["verification of a token", "Keyward", "aws-lc-rs alone, key parsed", "×", "with a key not seen before"]]
    for name in ("HS256", "HS384", "HS512", "RS256", "PS256", "ES256", "EdDSA"):
        symmetric = name.startswith("HS")
        ours = medians[f"verify/{name}" if symmetric else f"public_keys/judge_kept_key/{name}"]
        raw = medians[f"verify_raw/{name}" if symmetric else f"public_keys/verify_raw/{name}"]
        new = medians[f"judge/{name}" if symmetric else f"public_keys/judge_new_key/{name}"]
        rows.append([name, span(ours), span(raw), number(ours / raw), span(new)])
    own = [["our own key", "a token signed", "aws-lc-rs alone", "×", "verified with its claims", "aws-lc-rs alone", "×"]]
    for name in ("HS256", "RS256", "RS256-3072", "PS256", "ES256", "ES384", "ES512", "EdDSA"):
        sign, raw_sign, verify, raw_verify = (
            medians[f"own_keys/{path}/{name}"] for path in ("sign", "sign_raw", "verify", "verify_raw"))
        own.append([name, span(sign), span(raw_sign), number(sign / raw_sign),
                    span(verify), span(raw_verify), number(verify / raw_verify)])
    closed = [["closed sessions", "a check", "resident MiB of the set"]]
    for size in sorted(memory):
        closed.append([f"{size:,}", span(medians[f"closed/refuses/{size}"]), f"{memory[size]:.1f}"])
    waiting = [["inserts that wait", "until all are on disk, in one commit", "a commit for each", "×"]]
    for waiters in (1, 8, 64, 512):
        each, group = (medians[f"{name}/{waiters}"] for name in ("commit_each", "group_commit"))
        waiting.append([waiters, span(group), span(each), number(each / group)])
    return "\n\n".join([
        table(rows), table(own), table(closed), table(waiting),
        "Medians of `cargo bench -p keyward-bench` with few samples. A token is taken apart, its header and its claims' "
        "form are checked, then its signature."])


def number(value):
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


def span(seconds):
    """A time in the unit that suits it."""
    for unit, scale in (("ns", 1e9), ("µs", 1e6)):
        if seconds * scale < 1000:
            return f"{seconds * scale:.{1 if seconds * scale < 10 else 0}f} {unit}"
    return f"{seconds * 1e3:.1f} ms"


def table(rows):
    """Markdown."""
    head, *body = rows
    lines = [head, ["---"] * len(head), *body]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
