/**
 * Users of NATS with keys of their own, as its tool `nsc` makes them.
 *
 * @module
 */
import { nkeys } from "@nats-io/transport-node";

/** A server's configuration with one account, and a user of that account. */
export interface NatsUsers {
  /** A part of the server's configuration. */
  config: string;
  /** The file of the user's credentials. */
  credentials: string;
}

/** Makes an operator, an account and a user. */
export function natsUsers(): NatsUsers {
  const operator = nkeys.createOperator();
  // JetStream needs one for itself.
  const system = nkeys.createAccount();
  const account = nkeys.createAccount();
  const user = nkeys.createUser();
  const unlimited = Object.fromEntries(
    ["subs", "data", "payload", "imports", "exports", "conn", "leaf", "mem_storage", "disk_storage"]
      .map((limit) => [limit, -1]),
  );
  const operatorToken = token(operator, operator, { type: "operator" });
  const accountToken = token(operator, account, { type: "account", limits: unlimited });
  const systemToken = token(operator, system, { type: "account" });
  const userToken = token(account, user, { type: "user", subs: -1, data: -1, payload: -1 });
  const seed = new TextDecoder().decode(user.getSeed());
  return {
    config: `operator: ${operatorToken}
system_account: ${system.getPublicKey()}
resolver: MEMORY
resolver_preload: {
  ${system.getPublicKey()}: ${systemToken}
  ${account.getPublicKey()}: ${accountToken}
}
`,
    credentials: `-----BEGIN NATS USER JWT-----
${userToken}
------END NATS USER JWT------

-----BEGIN USER NKEY SEED-----
${seed}
------END USER NKEY SEED------
`,
  };
}

/** A signed token with an issuer's claims about a subject. */
function token(issuer: nkeys.KeyPair, subject: nkeys.KeyPair, nats: object): string {
  const base64 = (bytes: Uint8Array) =>
    bytes.toBase64({ alphabet: "base64url", omitPadding: true });
  const encoded = (value: object) => base64(new TextEncoder().encode(JSON.stringify(value)));
  const sub = subject.getPublicKey();
  const claims = {
    ...{ jti: crypto.randomUUID(), iat: Math.floor(Date.now() / 1000) },
    ...{ iss: issuer.getPublicKey(), sub, name: sub, nats: { ...nats, version: 2 } },
  };
  const signed = `${encoded({ typ: "JWT", alg: "ed25519-nkey" })}.${encoded(claims)}`;
  return `${signed}.${base64(issuer.sign(new TextEncoder().encode(signed)))}`;
}
