// A peer: the calls of the notary as Node's http and jsonwebtoken make them: node_server.js PORT.
"use strict";
const http = require("http");
const crypto = require("crypto");
const jwt = require("jsonwebtoken");

const keys = new Map();
const keyOf = (text) => {
  let key = keys.get(text);
  if (!key) keys.set(text, (key = crypto.createSecretKey(Buffer.from(text))));
  return key;
};
const own = keyOf("k".repeat(64));

const calls = {
  "/verifyToken": (body) => {
    const { header, payload } = jwt.decode(body.Token, { complete: true });
    let verified = true;
    try {
      jwt.verify(body.Token, keyOf(body.Signing_key), { algorithms: ["HS512"], ignoreExpiration: true });
    } catch {
      verified = false;
    }
    return { Header: header, Claims: payload, "Signature Verification": verified };
  },
  "/generateToken": (body) => {
    const claims = {
      jti: crypto.randomBytes(16).toString("hex"),
      payload: { data: body.user_data, date: new Date().toISOString().slice(0, 10) },
    };
    return { "JWT Token": jwt.sign(claims, own, { algorithm: "HS512" }) };
  },
};

http
  .createServer((request, response) => {
    const parts = [];
    request.on("data", (part) => parts.push(part));
    request.on("end", () => {
      const answer = JSON.stringify(calls[request.url](JSON.parse(Buffer.concat(parts))));
      response.writeHead(200, { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(answer) });
      response.end(answer);
    });
  })
  .listen(Number(process.argv[2]), "127.0.0.1");
