/**
 * The unpacked packages that `fetch.sh` leaves, and how their files are found and read.
 *
 * @module
 */

const utf8 = new TextDecoder();
const latin1 = new TextDecoder("latin1");

/** A folder of unpacked packages: `deb/`, `npm/`, `pypi/` and a few single files. */
export class Packages {
  readonly #root: string;

  /** @param root The folder that `fetch.sh` unpacked into. */
  constructor(root: string) {
    this.#root = root;
  }

  /** The path of something directly under the root. */
  path(name: string): string {
    return `${this.#root}/${name}`;
  }

  /** The `usr` folder of a Debian package. */
  debian(name: string): string {
    return this.path(`deb/${name}/usr`);
  }

  /** The names of the Debian packages that start with `prefix`. */
  debianNames(prefix: string): string[] {
    return namesIn(this.path("deb"), prefix);
  }

  /** The folder of an npm package, whose name goes on with a version. */
  npm(prefix: string): string {
    return onlyIn(this.path("npm"), prefix);
  }

  /** A folder of a PyPI wheel; wheels share one place. */
  pypi(path: string): string {
    return this.path(`pypi/${path}`);
  }

  /** The folder of a PyPI source archive, whose name goes on with a version. */
  pypiSource(prefix: string): string {
    return onlyIn(this.path("pypi"), prefix);
  }
}

/** The sorted names in a folder that start with `prefix`. */
function namesIn(folder: string, prefix: string): string[] {
  return Array.from(Deno.readDirSync(folder), (entry) => entry.name)
    .filter((name) => name.startsWith(prefix)).sort();
}

function onlyIn(folder: string, prefix: string): string {
  const [name] = namesIn(folder, prefix);
  if (name === undefined) {
    throw new Error(`Cannot find '${prefix}*' in '${folder}'`);
  }
  return `${folder}/${name}`;
}

/**
 * The files below a folder, sorted, as no output may depend on the disk.
 *
 * @param folder Where to look, at any depth.
 * @param pattern What a file's path below the folder must match.
 * @param except What that path must not match.
 */
export function* filesIn(folder: string, pattern: RegExp, except?: RegExp): Generator<string> {
  for (const path of pathsIn(folder)) {
    const below = path.slice(folder.length + 1);
    if (pattern.test(below) && !except?.test(below)) yield path;
  }
}

function* pathsIn(folder: string): Generator<string> {
  const entries = [...Deno.readDirSync(folder)].sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const entry of entries) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory) yield* pathsIn(path);
    else if (entry.isFile) yield path;
  }
}

/**
 * Reads a text file that is UTF-8 or, failing that, Latin-1. One that holds U+FFFD itself passes for
 * Latin-1, too: the base that comes with Graft learned from texts that were read so.
 */
export function readText(path: string): string {
  const bytes = Deno.readFileSync(path);
  const text = utf8.decode(bytes);
  return text.includes("\ufffd") ? latin1.decode(bytes) : text;
}
