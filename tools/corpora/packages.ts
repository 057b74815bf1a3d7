/**
 * The packages that `fetch.sh` unpacked, and how to find and read their files.
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

  /** The folder of an npm package, named with its version. */
  npm(prefix: string): string {
    return onlyIn(this.path("npm"), prefix);
  }

  /** A folder of a PyPI wheel; all wheels share one place. */
  pypi(path: string): string {
    return this.path(`pypi/${path}`);
  }

  /** The folder of a PyPI source archive, named with its version. */
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
 * The files below a folder, sorted, so that no output depends on the disk.
 *
 * @param folder The folder to search, at any depth.
 * @param pattern A file's path below the folder must match it.
 * @param except The path must not match it.
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
 * Reads a text file in UTF-8 or, failing that, Latin-1. A file that contains U+FFFD is also read as
 * Latin-1, as it was for the base that comes with Graft.
 */
export function readText(path: string): string {
  const bytes = Deno.readFileSync(path);
  const text = utf8.decode(bytes);
  return text.includes("\ufffd") ? latin1.decode(bytes) : text;
}
