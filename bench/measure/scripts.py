"""What wrk sends: scripts that make each request from a random number or from an earlier answer."""

import time

from . import data

TABLE = "/api/v1/customers/customers"
YOUNGEST = "/api/v1/customers/nyoungest?n=10"
LOGIN = "/api/v1/authentication/login"
REFRESH = "/api/v1/authentication/refresh"


def opening(token=None):
    """The seed and the headers that a random script begins with."""
    bearer = f'Authorization = "Bearer {token}", ' if token else ""
    return f"""
math.randomseed({time.monotonic_ns() % 1_000_000})
local headers = {{ {bearer}["Content-Type"] = "application/json" }}
"""


def reads(token, rows):
    """Reads customers at random."""
    return opening(token) + f"""
request = function() return wrk.format("GET", "{TABLE}/" .. math.random(1, {rows}), headers) end
"""


CUSTOMER = """
local function customer()
  local born = string.format("%d-%02d-%02d", math.random(1940, 2018), math.random(1, 12), math.random(1, 28))
  return '{"name":"Ada Lovelace","dob":"' .. born .. '"}'
end
"""


def inserts(token):
    """Inserts customers born at random."""
    return opening(token) + CUSTOMER + f"""
request = function() return wrk.format("POST", "{TABLE}", headers, customer()) end
"""


def updates(token, rows):
    """Updates customers at random, so that their place among the births changes too."""
    return opening(token) + CUSTOMER + f"""
request = function() return wrk.format("PUT", "{TABLE}/" .. math.random(1, {rows}), headers, customer()) end
"""


def logins(rows):
    """Logs accounts in at random."""
    return opening() + f"""
request = function()
  local name = "user-" .. math.random(1, {rows})
  return wrk.format("POST", "{LOGIN}", headers, '{{"username":"' .. name .. '","password":"{data.PASSWORD}"}}')
end
"""


def refreshes(server, logins=80):
    """Connections trade refresh tokens, each for the next."""
    tokens = [data.login(server)["refresh_token"] for _ in range(logins)]
    listed = ", ".join(f'"{token}"' for token in tokens)
    return f"""
local tokens, first, last = {{ {listed} }}, 1, {logins}
local headers = {{}}
request = function()
  local token = tokens[first]
  tokens[first], first = nil, first + 1
  headers["Authorization"] = "Bearer " .. token
  return wrk.format("POST", "{REFRESH}", headers)
end
response = function(status, headers, body)
  last = last + 1
  tokens[last] = body:match('"refresh_token":"([^"]+)"')
end
"""
