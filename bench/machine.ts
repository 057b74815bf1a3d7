/**
 * The machine of a measurement.
 *
 * @module
 */
import { cpus } from "node:os";

/** A machine, and how many of its threads were used. */
export interface Machine {
  cpu: string;
  logical_cores: number;
  os: string;
  threads: number;
}

/** This machine. */
export function machine(threads: number): Machine {
  const cores = cpus();
  return {
    cpu: cores[0]?.model.trim() ?? "unknown",
    logical_cores: cores.length,
    os: Deno.build.os,
    threads,
  };
}
