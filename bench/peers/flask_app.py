"""A peer: the calls of the notary and the vector generator as a small Flask service with PyJWT makes them."""

import random
import time
import uuid

import jwt
from flask import Flask, jsonify, request

app = Flask(__name__)
KEY = "k" * 64


@app.get("/verifyToken")
def verify():
    body = request.get_json()
    token, verified = body["Token"], True
    try:
        jwt.decode(token, body["Signing_key"], algorithms=["HS512"], options={"verify_exp": False})
    except jwt.InvalidSignatureError:
        verified = False
    claims = jwt.decode(token, options={"verify_signature": False})
    header = jwt.get_unverified_header(token)
    return jsonify({"Header": header, "Claims": claims, "Signature Verification": verified})


@app.post("/generateToken")
def generate():
    claims = {
        "iat": int(time.time()),
        "jti": uuid.uuid4().hex,
        "payload": {"data": request.get_json()["user_data"], "date": time.strftime("%Y-%m-%d")},
    }
    return jsonify({"JWT Token": jwt.encode(claims, KEY, algorithm="HS512")})


@app.post("/generate_array")
def array():
    token = request.headers["Authorization"].removeprefix("Bearer ")
    jwt.decode(token, KEY, algorithms=["HS256"])
    request.get_json()["sentence"]
    return jsonify([random.random() for _ in range(500)])
