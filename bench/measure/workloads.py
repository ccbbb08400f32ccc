"""The calls beside ceiling and peers, on SQLite. Every answer is checked before it is timed."""

import contextlib
import json
import subprocess
import threading
import time
import urllib.parse

from . import build, data, generator, machine, scripts, servers
from .contest import CEILING, FLASK, KEYWARD, Measured, alternate, same

SENTENCE = {"sentence": "This is a sample sentence"}
CUSTOMER = {"name": "Ada Lovelace", "dob": "1815-12-10"}
JUDGED = {"Token": data.token(), "Signing_key": data.SIGNING_KEY}


def against(stack, plan, script, check, peers, length):
    """Keyward, started already, beside bare hyper and peers."""
    running = {name: stack.enter_context(servers.peer(name)) for name in peers}
    for server in running.values():
        check(server)
    contestants = {name: (server, same(script)) for name, server in running.items()}
    contestants[CEILING] = (stack.enter_context(servers.ceiling(length)), same(script))
    return contestants


def verify(plan):
    def check(server):
        for key, verdict in ((data.SIGNING_KEY, True), ("another", False)):
            status, answer, _ = server.call("GET", "/verifyToken", JUDGED | {"Signing_key": key})
            told = json.loads(answer)
            assert status == 200 and told["Signature Verification"] is verdict, (server.name, answer)
            assert told["Claims"]["payload"]["data"] == "this is test" and told["Header"]["alg"] == "HS512", answer
        return server.call("GET", "/verifyToken", JUDGED)[1]

    peers = [FLASK, "FastAPI + uvicorn", "Node + jsonwebtoken", "axum + jsonwebtoken"]
    return of_contract(plan, "GET", "/verifyToken", JUDGED, check, peers)


def generate(plan):
    body = {"user_data": "this is test"}

    def check(server):
        status, answer, _ = server.call("POST", "/generateToken", body)
        token = json.loads(answer)["JWT Token"]
        assert status == 200 and token.count(".") == 2, (server.name, answer)
        return answer

    peers = [FLASK, "axum + jsonwebtoken"] + ([] if plan.quick else ["FastAPI + uvicorn", "Node + jsonwebtoken"])
    return of_contract(plan, "POST", "/generateToken", body, check, peers)


def of_contract(plan, method, path, body, check, peers):
    """A call without a credential, of Keyward and of peers."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(servers.keyward(servers.fresh_folder("calls")))
        script = generator.constant(method, path, body)
        idle = machine.resident_mib(server.pid)
        contestants = against(stack, plan, script, check, peers, len(check(server)))
        contestants[KEYWARD] = (server, same(script))
        measured = alternate(plan, contestants)
        measured.figures["idle MiB"] = idle
        measured.figures["loaded MiB"] = max(one.rss for one in measured.rounds[KEYWARD])
        return measured


def array(plan):
    def check(server, token):
        status, answer, _ = server.call("POST", "/generate_array", SENTENCE, token)
        numbers = json.loads(answer)
        assert status == 200 and len(numbers) == 500 and all(0 <= one < 1 for one in numbers), (server.name, answer)
        return answer

    with contextlib.ExitStack() as stack:
        server = stack.enter_context(servers.keyward(data.filled("array", 0), data.CHEAP))
        own = data.bearer(server)
        peers_token = foreign_bearer()
        length = len(check(server, own))
        script = generator.constant("POST", "/generate_array", SENTENCE, peers_token)
        peers = [FLASK, "axum + jsonwebtoken"]
        contestants = against(stack, plan, script, lambda peer: check(peer, peers_token), peers, length)
        contestants[KEYWARD] = (
            server, lambda: generator.constant("POST", "/generate_array", SENTENCE, data.bearer(server)))
        return alternate(plan, contestants)


def foreign_bearer():
    """A login token as the peers know it: HS256 under 64 times k."""
    import hmac
    claims = {"sub": "1", "exp": int(time.time()) + 86400}
    parts = [data.encode(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims)]
    message = ".".join(parts)
    return f"{message}.{data.encode(hmac.digest(b'k' * 64, message.encode(), 'sha256'))}"


def customers(plan):
    measured = Measured()
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(servers.keyward(data.filled("customers", plan.rows), data.CHEAP))
        token = data.bearer(server)
        status, answer, _ = server.call("GET", f"{scripts.TABLE}/{plan.rows}", token=token)
        assert status == 200 and json.loads(answer)["name"] == f"Customer {plan.rows}", answer
        assert server.call("GET", f"{scripts.TABLE}/1")[0] == 401
        ceiling = stack.enter_context(servers.ceiling(len(answer)))

        def beside(script):
            return alternate(plan, {CEILING: (ceiling, script), KEYWARD: (server, script)})

        measured.figures["GET"] = beside(lambda: scripts.reads(data.bearer(server), plan.rows))
        young = lambda: generator.constant("GET", scripts.YOUNGEST, token=data.bearer(server))  # noqa: E731
        measured.figures["nyoungest"] = alternate(plan, {KEYWARD: (server, young)})
        put = lambda: scripts.updates(data.bearer(server), plan.rows)  # noqa: E731
        measured.figures["PUT"] = alternate(plan, {KEYWARD: (server, put)})
        status, answer, _ = server.call("POST", scripts.TABLE, CUSTOMER, token)
        assert status == 201 and json.loads(answer)["id"] > plan.rows, answer
        # Born at random, as in life: rows born on one day share the pages of the index by birth.
        measured.figures["POST"] = beside(lambda: scripts.inserts(data.bearer(server)))
        # No server can write more rows with a commit for each than its store does alone.
        measured.figures["commit each"] = [raw_commits(plan.seconds, 1) for _ in range(plan.rounds)]
    return measured


def raw_commits(seconds, writes_per_commit, root=None):
    """How many rows a second the store alone takes from 64 clients, on the server's core."""
    folder = servers.fresh_folder("commits", root)
    folder.mkdir()
    command = ["taskset", "-c", machine.SERVER_CORE, build.PROGRAMS / "raw-commits", str(seconds),
               str(writes_per_commit), folder]
    return float(subprocess.run(command, capture_output=True, check=True).stdout)


def refresh(plan):
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(servers.keyward(data.filled("refresh", 0), data.CHEAP))
        pair = data.login(server)
        status, answer, _ = server.call("POST", scripts.REFRESH, token=pair["refresh_token"])
        assert status == 200 and json.loads(answer)["refresh_token"] != pair["refresh_token"], answer
        assert server.call("POST", scripts.REFRESH, token=pair["refresh_token"])[0] == 401
        plain = generator.constant("POST", "/", token=pair["refresh_token"])
        ceiling = stack.enter_context(servers.ceiling(len(answer)))
        return alternate(plan, {CEILING: (ceiling, same(plain)),
                                KEYWARD: (server, lambda: scripts.refreshes(server))})


def login(plan):
    """Logins beside the raw rate, on all cores; and what they do to an authenticated GET meanwhile."""
    measured = Measured()
    raw, rates, idle, busy = [], [], [], []
    with servers.keyward(data.filled("login", 1000, {}), pinned=False) as server:
        token = data.bearer(server)
        script = generator.constant("POST", scripts.LOGIN, data.USERS[0])
        get = generator.paced(scripts.reads(token, 1000), 4, 200)
        for _ in range(plan.rounds):
            seconds = plan.seconds + 1
            done = subprocess.run([build.PROGRAMS / "raw-argon2", str(seconds)], capture_output=True, check=True)
            raw.append(float(done.stdout))
            rates.append(generator.run(server, script, seconds, 16).rate)
            idle.append(generator.run(server, get, seconds, 4).p99)
            load = threading.Thread(target=generator.run, args=(server, script, seconds + 2, 16))
            load.start()
            time.sleep(1)
            busy.append(generator.run(server, get, seconds, 4).p99)
            load.join()
    measured.figures = {"raw": raw, "rates": rates, "idle": idle, "busy": busy}
    return measured


def files(plan):
    """A large file up and down, beside `dd … conv=fsync` and nginx."""
    size = (128 << 20) if plan.quick else (1 << 30)
    source = build.WORK / "data" / "large.bin"
    source.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["dd", "if=/dev/urandom", f"of={source}", "bs=1M", f"count={size >> 20}", "status=none"], check=True)
    figures = {name: [] for name in ("dd", "up", "nginx", "down", "memory")}
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(servers.keyward(servers.fresh_folder("files"), pinned=False))
        nginx = stack.enter_context(servers.nginx(source.parent))
        tokens = {}
        for realm in ("ops", "client"):
            status, answer, _ = server.call("POST", f"/{realm}/signup", data.USERS[0])
            assert status in (200, 201), answer
            status, answer, _ = server.call("POST", f"/{realm}/login", data.USERS[0])
            assert status == 200, answer
            tokens[realm] = answer.decode()
        quiet = machine.resident_mib(server.pid)
        for turn in range(1 if plan.quick else 3):
            copy = build.WORK / "data" / "copy.bin"
            copy.unlink(missing_ok=True)
            figures["dd"].append(size / timed("dd", f"if={source}", f"of={copy}", "bs=1M", "conv=fsync", "status=none"))
            copy.unlink()
            url = f"http://127.0.0.1:{server.port}"
            name = f"large-{turn}.bin"
            form = f"request_file=@{source};filename={name};type=application/zip"
            figures["up"].append(size / timed("curl", "-sSf", "-o", "/dev/null", "-H", "Expect:", "-H",
                                              f"Authorization: Bearer {tokens['ops']}", "-F", form, f"{url}/ops/upload"))
            figures["memory"].append(machine.resident_mib(server.pid) - quiet)
            figures["nginx"].append(size / timed("curl", "-sSf", "-o", "/dev/null",
                                                 f"http://127.0.0.1:{nginx.port}/large.bin"))
            path = f"/client/files/{urllib.parse.quote(data.USERS[0]['username'])}/{name}"
            figures["down"].append(size / timed("curl", "-sSf", "-o", "/dev/null", "-H",
                                                f"Authorization: Bearer {tokens['client']}", url + path))
            figures["memory"].append(machine.resident_mib(server.pid) - quiet)
    source.unlink()
    return Measured(figures=figures)


def timed(*command):
    """How long a command takes, in seconds."""
    began = time.monotonic()
    subprocess.run(command, check=True)
    return time.monotonic() - began
