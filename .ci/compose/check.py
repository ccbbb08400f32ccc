#!/usr/bin/env python3
"""Tries the running deploy/compose.yaml: the README's tour through nginx, then writes during crashes, of which no acknowledged one
may be lost.

    .ci/compose/check.py docker|podman [--url https://localhost:8443] [--again]

The tour needs a database that is new; with --again it is left out.
"""

import argparse
import http.client
import json
import random
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[2]
CUSTOMERS = "/api/v1/customers/customers"
WRITERS = 8
# What the one who runs the machine does meanwhile: seconds from the beginning, command, service.
PLAN = [
    (5, ["kill", "--signal=KILL"], "keyward-1"),
    (12, ["start"], "keyward-1"),
    (20, ["restart", "--time=20"], "postgres"),
    (32, ["kill", "--signal=KILL"], "keyward-2"),
    (34, ["kill", "--signal=KILL"], "postgres"),
    (37, ["start"], "postgres"),
    (39, ["start"], "keyward-2"),
]
SECONDS = 55


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engine", choices=["docker", "podman"])
    parser.add_argument("--url", default="https://localhost:8443")
    parser.add_argument("--again", action="store_true")
    options = parser.parse_args()
    engine, url = options.engine, options.url
    trust = ssl.create_default_context(cadata=run(engine, "exec", container(engine, "nginx"), "cat", "/run/secrets/fullchain.pem"))
    accounts = [("email", "user1@gmail.com", "password"), ("email", "user2@gmail.com", "password"), ("username", "test", "test")]
    # Each writer has an account, because the limits are for each account.
    accounts += [("username", f"writer{number}", "test") for number in range(WRITERS)]
    server = container(engine, "keyward-1")
    for kind, name, password in accounts:
        command = [engine, "exec", "-i", server, "/usr/bin/keyward", "account", "add", f"--{kind}", name, "--password-stdin"]
        added = subprocess.run(command, input=password, capture_output=True, text=True)
        expect(added.returncode == 0 or "taken" in added.stderr or "exists" in added.stderr, added.stderr)
    if not options.again:
        tour(url)
    crashes(engine, url, trust)


def tour(url):
    """Each example of the README, against this server."""
    text = (ROOT / "README.md").read_text().replace("http://127.0.0.1:5000", url)
    examples = re.findall(r"^\$ (.*)\n((?:(?!\$ |```).*\n)*)", "".join(re.findall(r"^```console\n(.*?)^```", text, re.M | re.S)), re.M)
    mark = "-- next --"
    script = "cd $(mktemp -d)\ncurl() { command curl --insecure \"$@\"; }\n" + "".join(
        f"{command}\necho; echo '{mark}'\n" for command, _ in examples
    )
    printed = run("bash", "-c", script).split(f"\n{mark}\n")
    for (command, pattern), output in zip(examples, printed, strict=False):
        wanted = ".*".join(re.escape(part) for part in pattern.strip().split("…"))
        expect(re.fullmatch(wanted, output.strip(), re.S), f"{command}\nprinted {output!r}\ninstead of {pattern!r}")
    expect(len(examples) > 15, "the README has no tour")
    print(f"the tour: {len(examples)} examples as the README has them")


def crashes(engine, url, trust):
    """Writes through nginx while servers and the database are killed, and then reads what was acknowledged."""
    began = time.monotonic()
    acknowledged, refused, lock = {}, {}, threading.Lock()

    def write(number):
        client = Client(url, trust)
        token = None
        while time.monotonic() - began < SECONDS:
            name = f"{number} {random.getrandbits(64):x}"
            status = None
            try:
                token = token or client.login(number)
                status, body = client.call("POST", CUSTOMERS, token, {"name": name, "dob": "1990-01-01", "updated_at": "2020-07-08T12:55:49.930Z"})
                if status in (200, 201):
                    with lock:
                        acknowledged[body["id"]] = name
                    continue
            except (OSError, http.client.HTTPException, Refused) as error:
                status = str(error) if isinstance(error, Refused) else type(error).__name__
                client.close()
            with lock:
                refused[status] = refused.get(status, 0) + 1
            time.sleep(0.05)

    writers = [threading.Thread(target=write, args=[number]) for number in range(WRITERS)]
    for writer in writers:
        writer.start()
    for moment, command, service in PLAN:
        time.sleep(max(0, began + moment - time.monotonic()))
        with lock:
            so_far = len(acknowledged)
        print(f"{time.monotonic() - began:5.1f} s, {so_far} acknowledged: {command[0]} {service}", flush=True)
        run(engine, *command, container(engine, service))
        print(f"{time.monotonic() - began:5.1f} s: done", flush=True)
    for writer in writers:
        writer.join()
    print(f"{len(acknowledged)} writes were acknowledged; not: {refused}")
    expect(len(acknowledged) > 100, "too few to judge by")
    expect(500 not in refused, "a crash was answered as a fault of the server")

    client = Client(url, trust)
    token, stored, last = client.login(0), {}, 0
    while True:
        status, page = client.call("GET", f"{CUSTOMERS}?limit=1000&after={last}", token)
        expect(status == 200, f"a list is answered with {status}")
        if not page:
            break
        stored.update((customer["id"], customer["name"]) for customer in page)
        last = page[-1]["id"]
    lost = sum(stored.get(id) != name for id, name in acknowledged.items())
    print(f"{lost} of {len(acknowledged)} acknowledged writes are lost")
    expect(lost == 0, "acknowledged writes are lost")


class Refused(Exception):
    """A login that was not answered with 200."""


class Client:
    """A connection to nginx, which is opened again after a failure."""

    def __init__(self, url, trust):
        self.host, self.trust, self.connection = urlsplit(url).netloc, trust, None

    def call(self, method, path, token, body=None):
        if self.connection is None:
            self.connection = http.client.HTTPSConnection(self.host, timeout=20, context=self.trust)
            self.connection.connect()
            self.connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        headers = {"content-type": "application/json"}
        if token:
            headers["authorization"] = f"Bearer {token}"
        self.connection.request(method, path, json.dumps(body) if body else None, headers)
        response = self.connection.getresponse()
        content = response.read()
        is_json = response.headers.get_content_type() == "application/json"
        return response.status, json.loads(content) if is_json else None

    def login(self, number):
        status, body = self.call("POST", "/api/v1/authentication/login", None, {"username": f"writer{number}", "password": "test"})
        if status != 200:
            raise Refused(f"login {status}")
        return body["access_token"]

    def close(self):
        if self.connection:
            self.connection.close()
        self.connection = None


def container(engine, service):
    labels = [f"label=com.docker.compose.{key}={value}" for key, value in (("project", "keyward"), ("service", service))]
    found = run(engine, "ps", "--all", "--quiet", *(part for label in labels for part in ("--filter", label))).split()
    expect(len(found) == 1, f"{len(found)} containers of {service}")
    return found[0]


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    expect(done.returncode == 0, f"{' '.join(command)[:200]}: {done.stderr}")
    return done.stdout


def expect(truth, complaint):
    if not truth:
        sys.exit(complaint)


main()
