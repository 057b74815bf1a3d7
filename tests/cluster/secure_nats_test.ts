import { deepStrictEqual, match, rejects } from "node:assert";
import { join } from "node:path";
import { UserError } from "../../lib/user_error.ts";
import { Cluster, type ClusterOptions } from "../../orchestration/cluster/connection.ts";
import { graft } from "../support/graft.ts";
import { clusterTest, NatsServers } from "./nats_servers.ts";
import { natsUsers } from "./nats_users.ts";

/** A certificate authority, and its certificate for this machine. */
const CERTIFICATES = `
new="-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
openssl req -x509 $new -subj /CN=authority -keyout authority.key -out authority.pem
openssl req -x509 $new -subj /CN=stranger -keyout stranger.key -out stranger.pem
openssl req $new -subj /CN=nats -keyout nats.key -out nats.csr
printf subjectAltName=DNS:localhost > names
openssl x509 -req -in nats.csr -CA authority.pem -CAkey authority.key -CAcreateserial -days 2 \
  -extfile names -out nats.pem
`;

Deno.test({
  ...clusterTest,
  name: "members reach NATS over TLS with a user's credentials, and are told at once what is wrong",
  fn: async () => {
    const dir = await Deno.makeTempDir();
    const shell = new Deno.Command("sh", { args: ["-ec", CERTIFICATES], cwd: dir });
    const { success, stderr } = await shell.output();
    deepStrictEqual(success, true, new TextDecoder().decode(stderr));
    const [users, strangers] = [natsUsers(), natsUsers()];
    const file = (name: string) => join(dir, name);
    const tls = `tls { cert_file: "${file("nats.pem")}", key_file: "${file("nats.key")}" }`;
    await Deno.writeTextFile(file("nats.conf"), `${users.config}\n${tls}\n`);
    await Deno.writeTextFile(file("user.creds"), users.credentials);
    await Deno.writeTextFile(file("stranger.creds"), strangers.credentials);
    await using nats = await NatsServers.start(1, file("nats.conf"));
    // A certificate is issued for a name.
    const servers = nats.servers.replaceAll("127.0.0.1", "localhost");
    const right = { tlsCaFile: file("authority.pem"), credentialsFile: file("user.creds") };
    {
      await using cluster = await Cluster.connect({ servers, ...right });
      deepStrictEqual(await cluster.queue(), "graft_queue");
    }
    const wrong: [Partial<ClusterOptions>, RegExp][] = [
      [{ credentialsFile: undefined }, /Authorization Violation$/],
      [{ credentialsFile: file("stranger.creds") }, /Authorization Violation$/],
      [{ credentialsFile: file("names") }, /unable to parse credentials$/],
      [{ credentialsFile: file("none") }, /^Cannot read '.*none': /],
      [{ tlsCaFile: undefined }, /certificate$/],
      [{ tlsCaFile: file("stranger.pem") }, /certificate$/],
      [{ tlsCaFile: file("none") }, /^Cannot read '.*none': /],
    ];
    const waiting = AbortSignal.timeout(15_000);
    for (const [change, message] of wrong) {
      const connecting = Cluster.connect({ servers, ...right, ...change });
      await rejects(connecting, (error: Error) => {
        match(error.message, message);
        return error instanceof UserError && !waiting.aborted;
      });
    }
    const flags = ["--nats-ca", right.tlsCaFile, "--nats-creds", file("stranger.creds")];
    const command = ["cluster", "status", "--cluster", servers, ...flags];
    const { code, stderr: said } = await graft(dir, command, { permissions: ["--allow-net"] });
    deepStrictEqual(
      [code, said],
      [1, `error: Cannot reach the cluster at '${servers}': Authorization Violation\n`],
    );
    await Deno.remove(dir, { recursive: true });
  },
});
