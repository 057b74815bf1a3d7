/**
 * The options of commands that belong to a cluster.
 *
 * @module
 */
import type { Command } from "commander";
import type { MemberOptions } from "../orchestration/cluster/member.ts";
import { parseSize } from "./parse_size.ts";

/** The options for reaching a cluster. */
export interface ClusterFlags {
  cluster?: string;
  clusterName?: string;
  natsCreds?: string;
  natsCa?: string;
  artifacts?: string;
  cache?: number;
}

/** Adds the options. */
export function addClusterOptions(command: Command): Command {
  return command
    .option(
      "--cluster <servers>",
      "Belong to the cluster of these NATS servers: nats://a:4222,b:4222",
    )
    .option("--cluster-name <name>", "Prefix of all names in NATS (default: graft)")
    .option("--nats-creds <file>", "Credentials of a NATS user")
    .option("--nats-ca <file>", "Certificate of the authority for TLS to the NATS servers")
    .option(
      "--artifacts <dir>",
      "Folder that all members share, for files; default: in NATS",
    )
    .option(
      "--cache <size>",
      "Most that fetched models, data sets and reports may take on the disk",
      parseSize,
    );
}

/** The settings for joining the named cluster; `undefined` if none is named. */
export function memberOptions(
  { cluster, clusterName, natsCreds, natsCa, artifacts, cache }: ClusterFlags,
): Omit<MemberOptions, "runsDir"> & { servers: string } | undefined {
  return cluster === undefined ? undefined : {
    servers: cluster,
    name: clusterName,
    credentialsFile: natsCreds,
    tlsCaFile: natsCa,
    artifactsDir: artifacts,
    cacheBytes: cache,
  };
}
