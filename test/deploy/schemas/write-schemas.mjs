// Writes the schemas of the kinds that the chart makes, for each version of Kubernetes named on the command line
// (`node test/deploy/schemas/write-schemas.mjs 1.35.4 1.36.3 1.37.2`), from the API description in its Go module.
// Unknown fields are refused, as by a server that validates strictly; descriptions are left out, for size.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const kinds = [
  'io.k8s.api.apps.v1.StatefulSet',
  'io.k8s.api.batch.v1.Job',
  'io.k8s.api.core.v1.ConfigMap',
  'io.k8s.api.core.v1.Secret',
  'io.k8s.api.core.v1.Service',
  'io.k8s.api.core.v1.ServiceAccount',
  'io.k8s.api.networking.v1.NetworkPolicy',
  'io.k8s.api.policy.v1.PodDisruptionBudget',
  'io.k8s.api.rbac.v1.ClusterRoleBinding',
  'io.k8s.api.rbac.v1.Role',
  'io.k8s.api.rbac.v1.RoleBinding',
];
const here = fileURLToPath(new URL('.', import.meta.url));

for (const version of process.argv.slice(2)) {
  const { Dir } = JSON.parse(
    execFileSync('go', ['mod', 'download', '-json', `k8s.io/kubernetes@v${version}`], { encoding: 'utf8' }),
  );
  const { definitions } = JSON.parse(readFileSync(`${Dir}/api/openapi-spec/swagger.json`, 'utf8'));
  const folder = `${here}v${version.split('.').slice(0, 2).join('.')}`;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  for (const kind of kinds) {
    const {
      group,
      version: apiVersion,
      kind: name,
    } = definitions[kind]['x-kubernetes-group-version-kind'][0];
    const needed = new Map();
    const root = strict(kind, definitions, needed);
    const schema = {
      ...root,
      definitions: Object.fromEntries([...needed].sort(([a], [b]) => (a < b ? -1 : 1))),
    };
    const file = [name, ...(group === '' ? [] : [group.split('.')[0]]), apiVersion].join('-').toLowerCase();
    writeFileSync(`${folder}/${file}.json`, `${JSON.stringify(schema)}\n`);
  }
}

/**
 * The schema of a definition; those that it refers to are put into `needed`.
 *
 * @param {string} name
 * @param {Record<string, any>} definitions
 * @param {Map<string, unknown>} needed
 */
function strict(name, definitions, needed) {
  /** @param {any} schema @returns {any} */
  const convert = (schema) => {
    if (schema.$ref !== undefined) {
      const target = schema.$ref.split('/').at(-1);
      if (!needed.has(target)) {
        needed.set(target, null);
        needed.set(target, strict(target, definitions, needed));
      }
      return { $ref: `#/definitions/${target}` };
    }
    if (schema.format === 'int-or-string') return { type: ['string', 'integer'] };
    const result = /** @type {any} */ ({});
    if (schema.type !== undefined) result.type = schema.type === 'object' ? ['object', 'null'] : schema.type;
    for (const key of ['enum', 'required']) if (schema[key] !== undefined) result[key] = schema[key];
    if (schema.items !== undefined) result.items = convert(schema.items);
    if (schema.properties !== undefined) {
      result.properties = Object.fromEntries(
        Object.entries(schema.properties).map(([property, value]) => [property, convert(value)]),
      );
      result.additionalProperties = false;
    } else if (schema.additionalProperties !== undefined) {
      result.additionalProperties = convert(schema.additionalProperties);
    }
    return result;
  };
  if (name.endsWith('.resource.Quantity')) return { type: ['string', 'number'] };
  return convert(definitions[name]);
}
