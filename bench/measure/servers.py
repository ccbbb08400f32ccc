"""The servers that are measured: started on the server's core, stopped by their own process id."""

import contextlib
import functools
import http.client
import json
import re
import select
import shutil
import socket
import subprocess
import time

from . import build, machine


@functools.cache
def high_limits(program):
    """No limit of Keyward is off. Each that the program knows is higher than a round reaches: one account's by taking
    another account each round, the notary's by its number."""
    example = subprocess.run([program, "config", "example"], capture_output=True, text=True, check=True).stdout
    limits = example.partition("[limits]")[2].partition("\n[")[0]
    names = re.findall(r"^#?(\w+_per_\w+) = ", limits, re.MULTILINE)
    high = {"notary_per_address": "1000000000"}
    return {f"KEYWARD_LIMITS__{name.upper()}": high.get(name, "1000000") for name in names}


class Server:
    """A process that listens on a port of its own."""

    def __init__(self, name, command, environment=None, pinned=True, announces=False):
        self.name, self.port = name, free_port()
        command = [str(part).replace("{port}", str(self.port)) for part in command]
        pin = ["taskset", "-c", machine.SERVER_CORE] if pinned else []
        build.WORK.joinpath("logs").mkdir(parents=True, exist_ok=True)
        # Where the access log goes: a file, as a supervisor would have it.
        self.log = open(build.WORK / "logs" / f"{name}.log", "wb")
        started = time.monotonic()
        self.process = subprocess.Popen(
            pin + command, env=build.clean_environment() | (environment or {}),
            stdout=subprocess.PIPE if announces else subprocess.DEVNULL, stderr=self.log,
            cwd=build.ROOT / "bench" / "peers")
        self.pid = self.process.pid
        self.start_seconds = self.wait_for_word(started) if announces else self.wait(started)

    def wait_for_word(self, started):
        """Waits until the server says that it is ready."""
        readable, _, _ = select.select([self.process.stdout], [], [], 120)
        if readable and self.process.stdout.readline().startswith(b"ready "):
            return time.monotonic() - started
        self.stop()
        raise SystemExit(f"{self.name} did not start: {build.WORK}/logs/{self.name}.log")

    def wait(self, started):
        """Waits until the port answers."""
        while time.monotonic() - started < 60:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return time.monotonic() - started
            if self.process.poll() is not None:
                break
            time.sleep(0.002)
        self.stop()
        raise SystemExit(f"{self.name} did not start: {build.WORK}/logs/{self.name}.log")

    def call(self, method, path, body=None, token=None):
        """One request: status, body and headers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        if body is not None:
            headers["Content-Type"], body = "application/json", json.dumps(body)
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        content = response.read()
        connection.close()
        return response.status, content, response.headers

    def stop(self):
        """Asks it to stop, and waits."""
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def free_port():
    """A port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def keyward(folder, environment=None, pinned=True, program=build.PROGRAMS / "keyward"):
    """Keyward on a data folder, everything switched on."""
    settings = {"KEYWARD_DATA_DIR": str(folder)} | high_limits(program) | (environment or {})
    command = [program, "serve", "--listen", "127.0.0.1:{port}"]
    return Server("keyward", command, settings, pinned, announces=True)


def ceiling(length):
    """Bare hyper that sends a fixed body of `length` bytes."""
    return Server("bare hyper", [build.PROGRAMS / "ceiling", "{port}", length])


def peer(name):
    """One of the peers, by name."""
    python = build.PYTHON
    commands = {
        "Flask + gunicorn": [python / "gunicorn", "-w2", "-k", "gthread", "--threads", "8", "--log-level", "error",
                             "--keep-alive", "75", "-b", "127.0.0.1:{port}", "flask_app:app"],
        "FastAPI + uvicorn": [python / "uvicorn", "--port", "{port}", "--log-level", "error", "--no-access-log",
                              "fastapi_app:app"],
        "Node + jsonwebtoken": ["node", "node_server.js", "{port}"],
        "axum + jsonwebtoken": [build.PROGRAMS / "peer-axum", "{port}"],
    }
    return Server(name, commands[name], {"NODE_PATH": str(build.NODE / "node_modules")})


def fresh_folder(name, root=None):
    """A place for a data folder, on the disk where no other is named."""
    folder = (root or build.WORK / "data") / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    return folder


def nginx(folder):
    """nginx that serves the files of a folder."""
    port = free_port()
    scratch = fresh_folder("nginx")
    scratch.mkdir()
    settings = scratch / "nginx.conf"
    settings.write_text(f"""
worker_processes 1; daemon off; pid {scratch}/pid; error_log stderr; user root;
events {{ worker_connections 256; }}
http {{
    access_log off; sendfile on; default_type application/octet-stream;
    server {{ listen 127.0.0.1:{port}; root {folder}; }}
}}
""")
    server = Server.__new__(Server)
    server.name, server.port = "nginx", port
    server.log = open(build.WORK / "logs" / "nginx.log", "wb")
    server.process = subprocess.Popen(["nginx", "-c", settings], stdout=subprocess.DEVNULL, stderr=server.log)
    server.pid = server.process.pid
    server.start_seconds = server.wait(time.monotonic())
    return server
