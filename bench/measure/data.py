"""Data folders of Keyward with as many rows as are asked for."""

import base64
import hashlib
import hmac
import itertools
import json
import sqlite3
import time

from . import servers

USERS = [{"username": f"bench-{n}", "password": "a password to measure with"} for n in range(12)]
TURNS = itertools.cycle(USERS)
# A secret as a client of contract 1 names it: its text is the key.
SIGNING_KEY = hashlib.sha512(b"a public key for measuring").hexdigest()


def token():
    """A token of contract 1, HS512 under SIGNING_KEY, as the notary mints them."""
    claims = {"iat": 1594212949, "jti": hashlib.md5(b"a token").hexdigest(),
              "payload": {"data": "this is test", "date": "2020-07-08"}}
    parts = [encode(json.dumps(part, separators=(",", ":")).encode())
             for part in ({"typ": "JWT", "alg": "HS512"}, claims)]
    message = ".".join(parts)
    return f"{message}.{encode(hmac.digest(SIGNING_KEY.encode(), message.encode(), 'sha512'))}"


def encode(octets):
    """Base64url without padding."""
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def filled(name, rows):
    """A folder with accounts that can log in and `rows` of accounts, sessions, closures and customers."""
    folder = servers.fresh_folder(name)
    with servers.keyward(folder) as server:
        for user in USERS:
            status, answer, _ = server.call("POST", "/register", user)
            assert status == 200, answer
    if rows:
        insert(folder, rows)
    return folder


def insert(folder, rows):
    """Writes the rows past the server, which is stopped."""
    path = next(folder.glob("*.db"), None) or next(folder.glob("*.sqlite*"))
    now = int(time.time() * 1e6)
    db = sqlite3.connect(path)
    db.execute("PRAGMA synchronous = off")
    digits = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})"
    with db:
        first = db.execute("SELECT max(id) FROM accounts").fetchone()[0]
        digest = db.execute("SELECT password_hash FROM accounts LIMIT 1").fetchone()[0]
        db.execute(f"{digits} INSERT INTO accounts (id, realm, username, password_hash, created_at) "
                   f"SELECT {first} + i, 'default', 'user-' || i, ?, {now} FROM n", [digest])
        db.execute(f"{digits} INSERT INTO login_names SELECT 'default', 'user-' || i, {first} + i FROM n")
        sessions = db.execute("SELECT coalesce(max(id), 0) FROM sessions").fetchone()[0]
        day = 86_400_000_000
        db.execute(
            f"{digits} INSERT INTO sessions (id, account_id, created_at, expires_at, ends_at, refresh_counter, "
            "refreshed_at, closed_at, close_reason) "
            f"SELECT {sessions} + i, {first} + i, {now}, {now + 30 * day}, {now + 365 * day}, 0, {now}, "
            f"CASE i % 10 WHEN 0 THEN {now} END, CASE i % 10 WHEN 0 THEN 'logout' END FROM n")
        db.execute(f"INSERT INTO session_closures (session_id, closed_at) SELECT id, {now} FROM sessions "
                   "WHERE closed_at IS NOT NULL ORDER BY id")
        db.execute(
            f"{digits} INSERT INTO customers (name, born, updated_at, version) SELECT 'Customer ' || i, "
            f"date('1940-01-01', '+' || (i * 7919 % 29000) || ' days'), {now}, 1 FROM n")
    db.execute("PRAGMA wal_checkpoint(truncate)")
    db.execute("ANALYZE")
    db.close()


def bearer(server):
    """An access token of the account whose turn it is."""
    return login(server)["access_token"]


def login(server):
    """A token pair of the account whose turn it is."""
    status, answer, _ = server.call("POST", "/api/v1/authentication/login", next(TURNS))
    assert status == 200, answer
    return json.loads(answer)
