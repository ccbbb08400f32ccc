"""What is measured. Every answer is checked before it is timed."""

import contextlib
import json
import statistics
import subprocess
import threading
import time
import traceback
import urllib.parse
from dataclasses import dataclass, field

from . import build, data, generator, machine, servers

KEYWARD, CEILING, FLASK = "Keyward", "bare hyper", "Flask + gunicorn"
TABLE = "/api/v1/customers/customers"
SENTENCE = {"sentence": "This is a sample sentence"}
CUSTOMER = {"name": "Ada Lovelace", "dob": "1815-12-10"}


@dataclass
class Plan:
    """How much of it all."""

    quick: bool
    only: set

    @property
    def rounds(self):
        return 3 if self.quick else 7

    @property
    def seconds(self):
        return 1 if self.quick else 3

    @property
    def rows(self):
        return 100_000 if self.quick else 1_000_000


@dataclass
class Measured:
    """One measurement: rounds by server, and single figures by name."""

    rounds: dict = field(default_factory=dict)
    paced: dict = field(default_factory=dict)
    figures: dict = field(default_factory=dict)

    def median(self, name):
        return statistics.median(one.rate for one in self.rounds[name])

    def ratios(self, name, base):
        """The ratio round by round: a round's servers met the same machine."""
        return [a.rate / b.rate for a, b in zip(self.rounds[name], self.rounds[base])]


def measure(plan):
    """Everything, or what was asked for."""
    all_of_them = {
        "verifyToken": verify, "generateToken": generate, "generate_array": array,
        "customers": customers, "refresh": refresh, "login": login, "files": files,
        "start": start, "growth": growth,
    }
    chosen = {name: work for name, work in all_of_them.items() if not plan.only or name in plan.only}
    done = {}
    for name, work in chosen.items():
        began = time.monotonic()
        try:
            done[name] = work(plan)
        except (Exception, SystemExit):  # noqa: BLE001: one that fails must not cost the others' results
            traceback.print_exc()
        print(f"{name}: {time.monotonic() - began:.0f} s, load {machine.load():.1f}", flush=True)
    return done


def alternate(plan, contestants, paced=KEYWARD):
    """Rounds in turn; `contestants` names a server and what makes its script each round."""
    measured = Measured({name: [] for name in contestants})
    for name, (server, script) in contestants.items():
        generator.run(server, script(), 1)
    for _ in range(plan.rounds):
        for name, (server, script) in contestants.items():
            measured.rounds[name].append(generator.run(server, script(), plan.seconds))
    for name in {paced} & set(contestants):
        server, script = contestants[name]
        half = measured.median(name) / 2
        measured.paced[name] = generator.run(server, generator.paced(script(), 64, half), plan.seconds + 1)
    return measured


def same(script):
    """A script that every round shares."""
    return lambda: script


def against(stack, plan, script, check, peers, length):
    """Keyward, started already, beside bare hyper and peers."""
    running = {name: stack.enter_context(servers.peer(name)) for name in peers}
    for server in running.values():
        check(server)
    contestants = {name: (server, same(script)) for name, server in running.items()}
    contestants[CEILING] = (stack.enter_context(servers.ceiling(length)), same(script))
    return contestants


def verify(plan):
    body = {"Token": data.token(), "Signing_key": data.SIGNING_KEY}

    def check(server):
        for key, verdict in ((data.SIGNING_KEY, True), ("another", False)):
            status, answer, _ = server.call("GET", "/verifyToken", body | {"Signing_key": key})
            told = json.loads(answer)
            assert status == 200 and told["Signature Verification"] is verdict, (server.name, answer)
            assert told["Claims"]["payload"]["data"] == "this is test" and told["Header"]["alg"] == "HS512", answer
        return server.call("GET", "/verifyToken", body)[1]

    peers = [FLASK, "FastAPI + uvicorn", "Node + jsonwebtoken", "axum + jsonwebtoken"]
    return of_contract(plan, "GET", "/verifyToken", body, check, peers)


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
        server = stack.enter_context(servers.keyward(data.filled("array", 0)))
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


def reads(token, rows):
    """A script that reads customers at random."""
    return f"""
math.randomseed({time.monotonic_ns() % 1_000_000})
local headers = {{ Authorization = "Bearer {token}" }}
request = function() return wrk.format("GET", "{TABLE}/" .. math.random(1, {rows}), headers) end
"""


def customers(plan):
    measured = Measured()
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(servers.keyward(data.filled("customers", plan.rows)))
        token = data.bearer(server)
        status, answer, _ = server.call("GET", f"{TABLE}/{plan.rows}", token=token)
        assert status == 200 and json.loads(answer)["name"] == f"Customer {plan.rows}", answer
        assert server.call("GET", f"{TABLE}/1")[0] == 401
        ceiling = stack.enter_context(servers.ceiling(len(answer)))
        script = lambda: reads(data.bearer(server), plan.rows)  # noqa: E731
        get = alternate(plan, {CEILING: (ceiling, script), KEYWARD: (server, script)})
        status, answer, _ = server.call("POST", TABLE, CUSTOMER, token)
        assert status == 201 and json.loads(answer)["id"] > plan.rows, answer
        script = lambda: generator.constant("POST", TABLE, CUSTOMER, data.bearer(server))  # noqa: E731
        post = alternate(plan, {CEILING: (ceiling, script), KEYWARD: (server, script)})
        alone = [generator.run(server, script(), plan.seconds, 1) for _ in range(3)]
        script = lambda: generator.constant("PUT", f"{TABLE}/7", CUSTOMER, data.bearer(server))  # noqa: E731
        put = alternate(plan, {KEYWARD: (server, script)})
        young = "/api/v1/customers/nyoungest?n=10"
        script = lambda: generator.constant("GET", young, token=data.bearer(server))  # noqa: E731
        young = alternate(plan, {KEYWARD: (server, script)})
    for name, part in (("GET", get), ("POST", post), ("PUT", put), ("nyoungest", young)):
        measured.figures[name] = part
    measured.figures["alone"] = alone
    return measured


def refreshes(server, logins=80):
    """A script whose connections trade refresh tokens, each for the next."""
    tokens = [data.login(server)["refresh_token"] for _ in range(logins)]
    listed = ", ".join(f'"{token}"' for token in tokens)
    return f"""
local tokens, first, last = {{ {listed} }}, 1, {logins}
local headers = {{}}
request = function()
  local token = tokens[first]
  tokens[first], first = nil, first + 1
  headers["Authorization"] = "Bearer " .. token
  return wrk.format("POST", "/api/v1/authentication/refresh", headers)
end
response = function(status, headers, body)
  last = last + 1
  tokens[last] = body:match('"refresh_token":"([^"]+)"')
end
"""


def refresh(plan, rows=0):
    # Logins are made for each round, and are not what is measured here.
    cheap = {"KEYWARD_PASSWORDS__MEMORY_KIB": "8192", "KEYWARD_PASSWORDS__PASSES": "3"}
    folder = data.filled(f"refresh-{rows}", rows)
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(servers.keyward(folder, cheap))
        pair = data.login(server)
        status, answer, _ = server.call("POST", "/api/v1/authentication/refresh", token=pair["refresh_token"])
        assert status == 200 and json.loads(answer)["refresh_token"] != pair["refresh_token"], answer
        assert server.call("POST", "/api/v1/authentication/refresh", token=pair["refresh_token"])[0] == 401
        contestants = {KEYWARD: (server, lambda: refreshes(server))}
        if not rows:
            plain = generator.constant("POST", "/", token=pair["refresh_token"])
            contestants[CEILING] = (stack.enter_context(servers.ceiling(len(answer))), same(plain))
        return alternate(plan, contestants)


def login(plan):
    """Logins beside the raw rate, on all cores; and what they do to an authenticated GET meanwhile."""
    measured = Measured()
    raw, rates, idle, busy = [], [], [], []
    with servers.keyward(data.filled("login", 1000), pinned=False) as server:
        token = data.bearer(server)
        script = generator.constant("POST", "/api/v1/authentication/login", data.USERS[0])
        get = generator.paced(reads(token, 1000), 4, 200)
        for _ in range(3 if plan.quick else 5):
            seconds = plan.seconds + 1
            done = subprocess.run([build.RELEASE / "raw-argon2", str(seconds)], capture_output=True, check=True)
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
        for turn in range(3):
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


def start(plan):
    """How long until `ready`, in an empty folder and on many rows, and the memory then."""
    figures = {"empty": [], "full": [], "idle MiB": []}
    for _ in range(3 if plan.quick else 5):
        with servers.keyward(servers.fresh_folder("start"), pinned=False) as server:
            figures["empty"].append(server.start_seconds)
            time.sleep(0.3)
            figures["idle MiB"].append(machine.resident_mib(server.pid))
    folder = data.filled("full", plan.rows)
    for _ in range(3 if plan.quick else 5):
        with servers.keyward(folder, pinned=False) as server:
            figures["full"].append(server.start_seconds)
            figures["full MiB"] = machine.resident_mib(server.pid)
    return Measured(figures=figures)


def growth(plan):
    """The same calls at a thousand rows and at many, in turn."""
    done, sizes = {}, (1000, plan.rows)
    cheap = {"KEYWARD_PASSWORDS__MEMORY_KIB": "8192", "KEYWARD_PASSWORDS__PASSES": "3"}
    with contextlib.ExitStack() as stack:
        running = {rows: stack.enter_context(servers.keyward(data.filled(f"growth-{rows}", rows), cheap))
                   for rows in sizes}

        def token(rows):
            return data.bearer(running[rows])

        def pair(script):
            return alternate(plan, {rows: (server, lambda rows=rows: script(rows)) for rows, server in running.items()})

        done["GET customer"] = pair(lambda rows: reads(token(rows), rows))
        done["POST customer"] = pair(lambda rows: generator.constant("POST", TABLE, CUSTOMER, token(rows)))
        young = "/api/v1/customers/nyoungest?n=10"
        done["nyoungest"] = pair(lambda rows: generator.constant("GET", young, token=token(rows)))
        done["refresh"] = pair(lambda rows: refreshes(running[rows]))
        body = {"Token": data.token(), "Signing_key": data.SIGNING_KEY}
        done["verifyToken"] = pair(lambda rows: generator.constant("GET", "/verifyToken", body))
    return Measured(figures={"sizes": sizes, "calls": done})
