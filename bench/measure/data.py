"""Data folders of Keyward with as many rows as are asked for."""

import base64
import contextlib
import hashlib
import hmac
import itertools
import json
import shutil
import sqlite3
import time

from . import build, servers

PASSWORD = "a password to measure with"
USERS = [{"username": f"bench-{n}", "password": PASSWORD} for n in range(12)]
TURNS = itertools.cycle(USERS)
# The least that a policy may ask, where logins are not what is measured.
CHEAP = {"KEYWARD_PASSWORDS__MEMORY_KIB": "8192", "KEYWARD_PASSWORDS__PASSES": "3"}
# A secret as a client of the notary names it: its text is the key.
SIGNING_KEY = hashlib.sha512(b"a public key for measuring").hexdigest()


def token():
    """A token of the notary, HS512 under SIGNING_KEY, as the notary mints them."""
    claims = {"iat": 1594212949, "jti": hashlib.md5(b"a token").hexdigest(),
              "payload": {"data": "this is test", "date": "2020-07-08"}}
    parts = [encode(json.dumps(part, separators=(",", ":")).encode())
             for part in ({"typ": "JWT", "alg": "HS512"}, claims)]
    message = ".".join(parts)
    return f"{message}.{encode(hmac.digest(SIGNING_KEY.encode(), message.encode(), 'sha512'))}"


def encode(octets):
    """Base64url without padding."""
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def filled(name, rows, policy=CHEAP, root=None):
    """A folder with accounts that can log in and `rows` each of further accounts, open sessions, closed ones and
    customers. It is filled once and copied after that."""
    template = template_of(rows, policy)
    if template not in FILLED:
        servers.fresh_folder(template)
        with servers.keyward(build.WORK / "data" / template, policy) as server:
            register(server)
        FILLED.add(template)
        if rows:
            with database(build.WORK / "data" / template) as db:
                digest = db.execute("SELECT password_hash FROM accounts LIMIT 1").fetchone()[0]
                for statement in statements(rows, digest):
                    db.execute(statement)
    folder = servers.fresh_folder(name, root)
    shutil.copytree(build.WORK / "data" / template, folder)
    return folder


FILLED = set()


def template_of(rows, policy):
    return f"template-{rows}-{'cheap' if policy else 'default'}"


def register(server):
    """Makes the accounts that log in."""
    for user in USERS:
        status, answer, _ = server.call("POST", "/register", user)
        assert status == 200, answer


@contextlib.contextmanager
def database(folder):
    """The database of a server that is stopped, for writing much at once."""
    db = sqlite3.connect(next(folder.glob("*.db")))
    # The server goes back to its own journal and to synced commits.
    for pragma in ("journal_mode = off", "synchronous = off", "cache_size = -1000000"):
        db.execute(f"PRAGMA {pragma}")
    with db:
        yield db
    db.close()


def statements(rows, digest):
    """What fills the tables, in words that SQLite and PostgreSQL share. Every account has an open session and a
    closed one."""
    now, day = int(time.time() * 1e6), 86_400_000_000
    numbers = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})"
    return [
        f"{numbers} INSERT INTO accounts (realm, username, password_hash, created_at) "
        f"SELECT 'default', 'user-' || i, '{digest}', {now} FROM n",
        "INSERT INTO login_names (realm, name, account_id) SELECT realm, username, id FROM accounts "
        "WHERE username LIKE 'user-%' ORDER BY username",
        "INSERT INTO sessions (account_id, created_at, expires_at, ends_at, refresh_counter, refreshed_at, "
        f"closed_at, close_reason) SELECT id, {now}, {now + 30 * day}, {now + 365 * day}, 0, {now}, "
        f"CASE closed WHEN 1 THEN {now} END, CASE closed WHEN 1 THEN 'logout' END "
        "FROM accounts CROSS JOIN (SELECT 0 AS closed UNION ALL SELECT 1) AS both_kinds "
        "WHERE username LIKE 'user-%' ORDER BY id, closed",
        CLOSURES,
        "UPDATE meta SET value = (SELECT count(*) FROM session_closures) WHERE key = 'closures'",
        f"{numbers} INSERT INTO customers (name, born, updated_at, version) SELECT 'Customer ' || i, "
        f"(1940 + i % 79) || '-0' || (1 + i % 9) || '-' || (10 + i % 19), {now}, 1 FROM n",
    ]


CLOSURES = ("INSERT INTO session_closures (seq, session_id, closed_at) SELECT row_number() OVER (ORDER BY id), id, "
            "closed_at FROM sessions WHERE closed_at IS NOT NULL ORDER BY id")


def close_sessions(folder, number):
    """Adds so many closed sessions to a folder without any; every tenth id is one, as if the others were open. They
    lie above the epoch, as the server keeps none of those below it in memory."""
    now, day = int(time.time() * 1e6), 86_400_000_000
    with database(folder) as db:
        epoch = db.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone()[0]
        db.execute(
            f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {number}) "
            "INSERT INTO sessions (id, account_id, created_at, expires_at, ends_at, refresh_counter, refreshed_at, "
            f"closed_at, close_reason) SELECT {epoch} + 10 * i, 1, {now}, {now + 30 * day}, {now + 365 * day}, 0, {now}, {now}, "
            "'logout' FROM n")
        db.execute(CLOSURES)


def forget_customers(folder, beyond):
    """Takes the customers of the last round away."""
    with database(folder) as db:
        db.execute(f"DELETE FROM customers WHERE id > {beyond}")
        db.execute(f"UPDATE sqlite_sequence SET seq = {beyond} WHERE name = 'customers'")


def bearer(server):
    """An access token of the account whose turn it is."""
    return login(server)["access_token"]


def login(server):
    """A token pair of the account whose turn it is."""
    status, answer, _ = server.call("POST", "/api/v1/authentication/login", next(TURNS))
    assert status == 200, answer
    return json.loads(answer)
