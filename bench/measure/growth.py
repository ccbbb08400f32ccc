"""What more rows cost: the same calls on few and on many, and a start."""

import contextlib
import time

from . import data, generator, machine, scripts, servers, workloads
from .contest import Measured, alternate


def growth(plan):
    """The same calls on every number of rows, in turn; those that add rows last."""
    done = {}
    folders = {rows: data.filled(f"growth-{rows}", rows) for rows in plan.sizes}
    with contextlib.ExitStack() as stack:
        running = {rows: stack.enter_context(servers.keyward(folder, data.CHEAP))
                   for rows, folder in folders.items()}

        def turns(script, clients=64):
            contestants = {rows: (server, lambda rows=rows: script(rows)) for rows, server in running.items()}
            return alternate(plan, contestants, None, clients, 1 if plan.quick else 2)

        def token(rows):
            return data.bearer(running[rows])

        done["`GET` of a customer"] = turns(lambda rows: scripts.reads(token(rows), rows))
        done["`nyoungest`"] = turns(lambda rows: generator.constant("GET", scripts.YOUNGEST, token=token(rows)))
        done["`verifyToken`"] = turns(lambda _: generator.constant("GET", "/verifyToken", workloads.JUDGED))
        done["`PUT` of a customer"] = turns(lambda rows: scripts.updates(token(rows), rows))
        done["refresh"] = turns(lambda rows: scripts.refreshes(running[rows]))
        done[LOGIN] = turns(scripts.logins, 1)
    done["`POST` of customers"] = inserts(plan, folders)
    return Measured(figures=done)


LOGIN = "login, one client"


def inserts(plan, folders):
    """A second of inserts each round; what the round before has added is taken away first."""
    measured = Measured({rows: [] for rows in folders})
    for _ in range(plan.rounds):
        for rows, folder in folders.items():
            data.forget_customers(folder, rows)
            with servers.keyward(folder, data.CHEAP) as server:
                token = data.bearer(server)
                server.call("GET", f"{scripts.TABLE}/1", token=token)
                measured.rounds[rows].append(generator.run(server, scripts.inserts(token), 1))
    return measured


def start(plan):
    """How long until `ready`, in an empty folder and on many rows, and the memory then."""
    figures = {"empty": [], "full": [], "idle MiB": [], "full MiB": []}
    for _ in range(plan.rounds):
        with servers.keyward(servers.fresh_folder("start"), pinned=False) as server:
            figures["empty"].append(server.start_seconds)
            time.sleep(0.3)
            figures["idle MiB"].append(machine.resident_mib(server.pid))
    figures["full"], figures["full MiB"] = starts(plan, data.filled("full", plan.rows))
    folder, figures["closed"] = data.filled("closed", 0), plan.closed
    began = time.monotonic()
    data.close_sessions(folder, plan.closed)
    print(f"filled with {plan.closed:,} closed sessions in {time.monotonic() - began:.0f} s", flush=True)
    figures["closed start"], figures["closed MiB"] = starts(plan, folder)
    return Measured(figures=figures)


def starts(plan, folder):
    """Seconds until `ready` and MiB then, of several starts on a folder."""
    seconds, mib = [], []
    for _ in range(plan.rounds):
        with servers.keyward(folder, pinned=False) as server:
            seconds.append(server.start_seconds)
            time.sleep(0.3)
            mib.append(machine.resident_mib(server.pid))
    return seconds, mib
