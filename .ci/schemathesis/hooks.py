"""Who calls, and what is there: a token of the right realm for each operation, a file, and a token to verify."""

import datetime
import json
import os
import re
import threading
import urllib.request

import schemathesis

URL = os.environ["KEYWARD_URL"]
NAME, ENDING_NAME, PASSWORD, FILE = "schemathesis", "ending", "a password of the check", "report.txt"
# What may end a session or use a token up: these get a token for each request, of another account.
ENDING = ("/logout", "/api/v1/authentication/", "/api/v1/sessions", "/api/v1/account/password")

_tokens: dict[str, str] = {}
_lock = threading.Lock()


def _post(path: str, **members: str) -> str:
    request = urllib.request.Request(
        URL + path, json.dumps(members).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as answer:
        return answer.read().decode()


def _log_in(path: str) -> str:
    """A new token for the operation at `path`."""
    if path.startswith("/ops/"):
        return _post("/ops/login", username=NAME, password=PASSWORD)
    if path.startswith("/client/"):
        return _post("/client/login", username=NAME, password=PASSWORD)
    name = ENDING_NAME if path.startswith(ENDING) else NAME
    pair = json.loads(_post("/api/v1/authentication/login", username=name, password=PASSWORD))
    return pair["refresh_token" if path.endswith("/refresh") else "access_token"]


for sign_up in ("/register", "/ops/signup", "/client/signup"):
    _post(sign_up, username=NAME, password=PASSWORD)
_post("/register", username=ENDING_NAME, password=PASSWORD)

# A file to list and to fetch.
_form = (
    f'--x\r\nContent-Disposition: form-data; name="request_file"; filename="{FILE}"\r\n'
    "Content-Type: text/plain\r\n\r\nten bytes.\r\n--x--\r\n"
)
urllib.request.urlopen(
    urllib.request.Request(
        f"{URL}/ops/upload",
        _form.encode(),
        {
            "Content-Type": "multipart/form-data; boundary=x",
            "Authorization": f"Bearer {_log_in('/ops/')}",
        },
    )
).close()


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    """Every other time the operator, the file or the customer that is there."""
    if path_parameters and sum(map(len, map(str, path_parameters.values()))) % 2:
        known = {"ops_username": NAME, "file_name": FILE, "id": 1}
        path_parameters = {name: known.get(name, value) for name, value in path_parameters.items()}
    return path_parameters


@schemathesis.auth(refresh_interval=None)
class Tokens:
    def get(self, case, context):
        path = case.operation.path
        if path.startswith(ENDING):
            return _log_in(path)
        realm = path.split("/")[1] if path.startswith(("/ops/", "/client/")) else "default"
        with _lock:
            if realm not in _tokens:
                _tokens[realm] = _log_in(path)
            return _tokens[realm]

    def set(self, case, data, context):
        if case.operation.path == "/users":
            case.headers["x-access-token"] = data
        else:
            case.headers["Authorization"] = f"Bearer {data}"


_minted = json.loads(_post("/generateToken", user_data="this is test"))["JWT Token"]


@schemathesis.hook
def map_body(context, body):
    """What JSON Schema cannot say: a token that the notary verifies, a past date of birth, the parts of a form."""
    born = body.get("dob") if isinstance(body, dict) else None
    if isinstance(born, str) and re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", born, re.ASCII):
        if born > datetime.datetime.now(datetime.UTC).date().isoformat():
            # Four centuries are a period of the calendar, so the day before them exists as well.
            return {**body, "dob": f"{int(born[:4]) % 400 + 1600:04}{born[4:]}"}
    if context.operation.path == "/ops/upload" and isinstance(body, dict) and len(body) <= 16:
        # At most 16 parts in all, of which a field that comes several times makes several.
        return {name: part[:1] if isinstance(part, list) else part for name, part in body.items()}
    token = body.get("Token") if isinstance(body, dict) else None
    if context.operation.path == "/verifyToken" and isinstance(token, str) and token:
        return {**body, "Token": _minted}
    return body
