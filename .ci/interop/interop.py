"""Exchanges tokens of every algorithm between Keyward's command line and other libraries.

Usage: interop.py PROGRAM JOSE_MJS FOLDER. Each library makes the keys of its round and a token for each; Keyward
verifies it, refuses it when it is changed, and signs with the same key, which the library verifies and refuses alike.
"""

import json
import subprocess
import sys
import warnings
from pathlib import Path

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from joserfc import jwt as joserfc_jwt
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, KeySet, OctKey, OKPKey, RSAKey

PROGRAM, JOSE, FOLDER = sys.argv[1], sys.argv[2], Path(sys.argv[3])
ALGORITHMS = ["HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512",
              "EdDSA", "Ed25519"]
BITS = {"HS256": 256, "HS384": 384, "HS512": 512}
CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}
CLAIMS = {"iss": "https://id.example", "sub": "Ada Lovelace \u2013 \U0001f600", "aud": ["api", "web"], "exp": 4000000000,
          "iat": 1500000000, "n": {"a": [1, 2.5, None, True]}}
EXPECTED = ["--issuer", CLAIMS["iss"], "--audience", "web"]

# EdDSA is deprecated in favour of Ed25519 (RFC 9864). Both names are in use.
warnings.simplefilter("ignore", SecurityWarning)
passed, failed = 0, []


def check(what, good):
    global passed
    if good:
        passed += 1
    else:
        failed.append(what)
        print(f"failed: {what}", file=sys.stderr)


def keyward(*arguments, text=""):
    command = [PROGRAM, "token", *map(str, arguments)]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False, cwd=FOLDER)


def write(name, content):
    (FOLDER / name).write_text(content if isinstance(content, str) else json.dumps(content))
    return name


def changed(token):
    """The token with another first character of its signature."""
    message, _, signature = token.rpartition(".")
    return f"{message}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}"


def theirs(what, token, *key):
    """Keyward verifies a token of a library, and refuses it when it is changed."""
    verified = keyward("verify", *key, *EXPECTED, text=token)
    check(f"{what}: verified here", verified.returncode == 0 and json.loads(verified.stdout) == CLAIMS)
    refused = keyward("verify", *key, *EXPECTED, text=changed(token))
    check(f"{what}: refused here when changed", refused.returncode == 1 and "signature" in refused.stderr)


def ours(*key):
    """A token of Keyward with a private key."""
    minted = keyward("mint", "--claims", "-", "--type", "at+jwt", *key, text=json.dumps(CLAIMS))
    if minted.returncode:
        print(minted.stderr, file=sys.stderr)
    return minted.stdout.strip()


def verified_there(what, token, verify, refusal):
    """A library verifies a token of Keyward, and refuses it when it is changed."""
    try:
        claims = verify(token)
    except Exception as error:
        claims = error
    check(f"{what}: verified there ({claims})", claims == CLAIMS)
    try:
        verify(changed(token))
        check(f"{what}: refused there when changed", False)
    except refusal:
        check(f"{what}: refused there when changed", True)


def pyjwt(algorithm):
    """Keys in PEM, and secrets as text, which have no name and no algorithm."""
    if algorithm == "Ed25519":
        return  # A name that PyJWT does not know.
    if algorithm in BITS:
        private = public = "a secret of 64 characters ".ljust(64, "x")
        name = public_name = write("secret.txt", private + "\n")
    else:
        if algorithm == "EdDSA":
            key = ed25519.Ed25519PrivateKey.generate()
        elif algorithm in CURVES:
            curve = {"ES256": ec.SECP256R1, "ES384": ec.SECP384R1, "ES512": ec.SECP521R1}[algorithm]
            key = ec.generate_private_key(curve())
        else:
            key = rsa.generate_private_key(65537, 2048)
        # The older formats of RSA and curve keys are read too.
        older = PrivateFormat.PKCS8 if algorithm == "EdDSA" else PrivateFormat.TraditionalOpenSSL
        format = older if algorithm.endswith("512") else PrivateFormat.PKCS8
        private = key.private_bytes(Encoding.PEM, format, NoEncryption()).decode()
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        name, public_name = write("private.pem", private), write("public.pem", public)
    options = ["--algorithm", algorithm]
    token = jwt.encode(CLAIMS, private, algorithm, headers={"kid": "theirs"})
    theirs(f"PyJWT {algorithm}", token, "--key", public_name, *options)
    verify = lambda token: jwt.decode(token, public, algorithms=[algorithm], audience="web", issuer=CLAIMS["iss"])
    verified_there(f"PyJWT {algorithm}", ours("--key", name, *options), verify, jwt.InvalidSignatureError)


def joserfc(algorithm):
    """Keys as JWK, and sets of them."""
    parameters = {"alg": algorithm, "use": "sig"}
    if algorithm in BITS:
        key = OctKey.generate_key(BITS[algorithm], parameters)
    elif algorithm in CURVES:
        key = ECKey.generate_key(CURVES[algorithm], parameters)
    elif algorithm.startswith("Ed"):
        key = OKPKey.generate_key("Ed25519", parameters)
    else:
        key = RSAKey.generate_key(2048, parameters)
    thumbprint = key.thumbprint()
    private = key.as_dict(private=True)
    private.pop("kid", None)
    name = write("private.jwk", private)
    token = ours("--key", name)
    # Keyward names a key without a name by its thumbprint.
    check(f"joserfc {algorithm}: thumbprint", jwt.get_unverified_header(token)["kid"] == thumbprint)
    verify = lambda token: joserfc_jwt.decode(token, key, algorithms=[algorithm]).claims
    verified_there(f"joserfc {algorithm}", token, verify, Exception)
    key.ensure_kid()
    token = joserfc_jwt.encode({"alg": algorithm, "kid": key.kid}, CLAIMS, key, algorithms=[algorithm])
    if algorithm in BITS:
        theirs(f"joserfc {algorithm}", token, "--key", write("named.jwk", key.as_dict(private=True)))
    else:
        others = [ECKey.generate_key("P-256", {"alg": "ES256"}, auto_kid=True)]
        keys = KeySet([*others, key]).as_dict(private=False)
        theirs(f"joserfc {algorithm}", token, "--jwks", write("set.json", keys))


def jose(action, *arguments):
    command = ["node", JOSE, action, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=FOLDER)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout)


def npm_jose():
    """As joserfc, all algorithms in one process each way."""
    made = jose("make", json.dumps(ALGORITHMS), json.dumps(CLAIMS))
    tokens = {}
    for algorithm, one in made.items():
        name = write("private.jwk", one["private"])
        key = ["--key", name] if algorithm in BITS else ["--jwks", write("set.json", {"keys": [one["public"]]})]
        theirs(f"jose {algorithm}", one["token"], *key)
        token = ours("--key", name)
        check(f"jose {algorithm}: thumbprint", jwt.get_unverified_header(token)["kid"] == one["thumbprint"])
        tokens[algorithm] = {"public": one["public"], "good": token, "changed": changed(token)}
    check("jose makes a token of every algorithm", list(made) == ALGORITHMS)
    for algorithm, verdict in jose("check", json.dumps(tokens)).items():
        check(f"jose {algorithm}: verified there ({verdict})", verdict["good"] == CLAIMS)
        check(f"jose {algorithm}: refused there when changed",
              verdict["changed"] == "ERR_JWS_SIGNATURE_VERIFICATION_FAILED")


for each in ALGORITHMS:
    pyjwt(each)
    joserfc(each)
npm_jose()
print(f"{passed} passed, {len(failed)} failed")
sys.exit(bool(failed))
