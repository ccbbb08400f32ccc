"""The same work where the rows lie elsewhere: in memory, where a sync costs nothing, and in PostgreSQL."""

import contextlib
import os
import shutil
import subprocess
import tempfile
import urllib.parse
import uuid
from pathlib import Path

from . import build, data, scripts, servers, workloads
from .contest import Measured, alternate

MEMORY = Path("/dev/shm")
SKIPPED = "skipped: no psql, or no server that KEYWARD_TEST_POSTGRES names"
SQLITE, POSTGRES = "SQLite", "PostgreSQL"


def sync(plan):
    """`POST` of customers on disk and on a file system in memory."""
    figures, plan = {}, plan.shorter()
    with contextlib.ExitStack() as stack:
        memory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="keyward-bench-", dir=MEMORY)))
        roots = {"disk": build.WORK / "data", "memory": memory}
        running = {name: stack.enter_context(servers.keyward(data.filled("sync", 1000, root=root), data.CHEAP))
                   for name, root in roots.items()}
        contestants = {
            name: (server, lambda server=server: scripts.inserts(data.bearer(server)))
            for name, server in running.items()}
        for clients in (1, 64):
            figures[clients] = alternate(plan, contestants, None, clients)
        for writes in (1024, 1):
            figures[f"{writes} a commit"] = {name: [] for name in roots}
            for _ in range(plan.rounds):
                for name, root in roots.items():
                    rate = workloads.raw_commits(plan.seconds, writes, root)
                    figures[f"{writes} a commit"][name].append(rate)
    return Measured(figures=figures)


def postgres(plan):
    """Customers, refresh and login on PostgreSQL beside SQLite, on the same rows."""
    url, rows = os.environ.get("KEYWARD_TEST_POSTGRES"), plan.sizes[1]
    if not url or not shutil.which("psql"):
        print(SKIPPED)
        return Measured()
    figures, plan = {"rows": rows}, plan.shorter()
    with contextlib.ExitStack() as stack:
        settings = data.CHEAP | {"KEYWARD_DATABASE": stack.enter_context(filled_database(url, rows))}
        folder = servers.fresh_folder("beside-postgres")
        running = {SQLITE: servers.keyward(data.filled("beside-sqlite", rows), data.CHEAP),
                   POSTGRES: servers.keyward(folder, settings)}
        for server in running.values():
            stack.enter_context(server)
            status, answer, _ = server.call("GET", f"{scripts.TABLE}/{rows}", token=data.bearer(server))
            assert status == 200 and f"Customer {rows}".encode() in answer, answer

        def turns(script, clients=64):
            contestants = {name: (server, lambda server=server: script(server)) for name, server in running.items()}
            return alternate(plan, contestants, None, clients)

        figures["`GET` of a customer"] = turns(lambda server: scripts.reads(data.bearer(server), rows))
        figures["refresh"] = turns(scripts.refreshes)
        figures["login, one client"] = turns(lambda _: scripts.logins(rows), 1)
        figures["`POST` of customers"] = turns(lambda server: scripts.inserts(data.bearer(server)))
        figures["`POST`, one client"] = turns(lambda server: scripts.inserts(data.bearer(server)), 1)
    return Measured(figures=figures)


@contextlib.contextmanager
def filled_database(url, rows):
    """A new database with the rows of `data.filled`, dropped in the end."""
    name = f"keyward_bench_{uuid.uuid4().hex}"
    own = urllib.parse.urlsplit(url)._replace(path=f"/{name}").geturl()
    psql(url, f"CREATE DATABASE {name}")
    try:
        settings = data.CHEAP | {"KEYWARD_DATABASE": own}
        with servers.keyward(servers.fresh_folder("fills-postgres"), settings) as server:
            data.register(server)
        digest = psql(own, "SELECT password_hash FROM accounts LIMIT 1").strip()
        psql(own, *data.statements(rows, digest), "ANALYZE")
        yield own
    finally:
        psql(url, f"DROP DATABASE {name} WITH (FORCE)")


def psql(url, *statements):
    """Runs statements and gives what they print."""
    commands = [part for statement in statements for part in ("-c", statement)]
    command = ["psql", "--no-psqlrc", "--quiet", "-At", "-v", "ON_ERROR_STOP=1", url, *commands]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
