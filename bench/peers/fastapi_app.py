"""A peer: the calls of the notary as a small FastAPI service with PyJWT makes them."""

import time
import uuid

import jwt
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()
KEY = "k" * 64


class Judge(BaseModel):
    Token: str
    Signing_key: str


class Text(BaseModel):
    user_data: str


@app.get("/verifyToken")
async def verify(body: Judge):
    verified = True
    try:
        jwt.decode(body.Token, body.Signing_key, algorithms=["HS512"], options={"verify_exp": False})
    except jwt.InvalidSignatureError:
        verified = False
    claims = jwt.decode(body.Token, options={"verify_signature": False})
    header = jwt.get_unverified_header(body.Token)
    return {"Header": header, "Claims": claims, "Signature Verification": verified}


@app.post("/generateToken")
async def generate(body: Text):
    claims = {
        "iat": int(time.time()),
        "jti": uuid.uuid4().hex,
        "payload": {"data": body.user_data, "date": time.strftime("%Y-%m-%d")},
    }
    return {"JWT Token": jwt.encode(claims, KEY, algorithm="HS512")}
