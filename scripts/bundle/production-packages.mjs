/**
 * A package of package-lock.json (format 3), by its folder within the repository.
 *
 * @typedef {{ dependencies?: Record<string, string>, optionalDependencies?: Record<string, string>,
 *   peerDependencies?: Record<string, string> }} LockedPackage
 */

/**
 * The folders of all packages that the repository's own programs reach, in the order of the lock file.
 *
 * @param {Readonly<Record<string, LockedPackage>>} packages of package-lock.json; '' is the repository
 * @param {readonly string[]} apart names of packages that are taken care of elsewhere: neither they nor what
 *   only they need
 */
export function needsAtRunTime(packages, apart) {
  /** @type {Set<string>} */
  const found = new Set();
  const visit = (/** @type {string} */ folder) => {
    const { dependencies, optionalDependencies, peerDependencies } = packages[folder] ?? {};
    for (const name of Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies })) {
      const needed = apart.includes(name) ? undefined : resolve(packages, folder, name);
      if (needed === undefined || found.has(needed)) continue;
      found.add(needed);
      visit(needed);
    }
  };
  visit('');
  return Object.keys(packages).filter((folder) => found.has(folder));
}

/**
 * As Node looks for a package: in the folder's own node_modules, then in those above it.
 *
 * @param {Readonly<Record<string, LockedPackage>>} packages
 * @param {string} from
 * @param {string} name
 * @returns {string | undefined} undefined for an optional package that is locked nowhere
 */
function resolve(packages, from, name) {
  const path = from.split(/\/?node_modules\//).slice(1);
  for (let depth = path.length; depth >= 0; depth -= 1) {
    const candidate = [...path.slice(0, depth), name].map((part) => `node_modules/${part}`).join('/');
    if (candidate in packages) return candidate;
  }
  return undefined;
}
