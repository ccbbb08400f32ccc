// The side of npm's jose. `make ALGORITHMS CLAIMS` prints keys and a token for each algorithm; `check TOKENS` prints what
// it says of tokens.
import { calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK, jwtVerify, SignJWT } from "jose";
import { randomBytes } from "node:crypto";

const bits = { HS256: 256, HS384: 384, HS512: 512 };

async function keys(alg) {
  if (alg in bits) {
    const key = { kty: "oct", k: randomBytes(bits[alg] / 8).toString("base64url"), alg };
    return { private: key, public: key };
  }
  const pair = await generateKeyPair(alg, { extractable: true });
  const jwk = async (key) => ({ ...(await exportJWK(key)), alg, use: "sig" });
  return { private: await jwk(pair.privateKey), public: await jwk(pair.publicKey) };
}

async function make(algorithms, claims) {
  const made = {};
  for (const alg of algorithms) {
    const pair = await keys(alg);
    const thumbprint = await calculateJwkThumbprint(pair.public);
    const header = { alg, typ: "JWT", kid: thumbprint };
    const token = await new SignJWT(claims).setProtectedHeader(header).sign(await importJWK(pair.private, alg));
    made[alg] = { ...pair, thumbprint, token };
  }
  return made;
}

async function verdict(token, key, alg) {
  const options = { algorithms: [alg], issuer: "https://id.example", audience: "web", typ: "at+jwt" };
  try {
    return (await jwtVerify(token, key, options)).payload;
  } catch (error) {
    return error.code ?? String(error);
  }
}

async function check(tokens) {
  const verdicts = {};
  for (const [alg, one] of Object.entries(tokens)) {
    const key = await importJWK(one.public, alg);
    verdicts[alg] = { good: await verdict(one.good, key, alg), changed: await verdict(one.changed, key, alg) };
  }
  return verdicts;
}

const [action, ...values] = process.argv.slice(2);
const done = await { make, check }[action](...values.map((value) => JSON.parse(value)));
console.log(JSON.stringify(done));
