import { readFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { findToken } from '../../coordinator/run-store/join-tokens.js';
import { hasGo } from '../support/go-programs.js';
import {
  chart,
  find,
  here,
  type KubernetesObject,
  obtainPrograms,
  readObjects,
  valuesFiles,
} from './chart.js';
import { recipeSchema } from './recipe-schema.js';

// A cold build of helm's libraries takes three minutes of processor time.
const buildMs = 1_500_000;
const minorVersions = ['1.35', '1.36', '1.37'];
/** Where there is no Go the chart cannot be checked; what lands was checked. */
const checks = describe.skipIf(!(await hasGo()) && process.env.CI === undefined);

checks('the chart', () => {
  let programs: Awaited<ReturnType<typeof obtainPrograms>>;
  beforeAll(async () => {
    programs = await obtainPrograms();
  }, buildMs);

  const valuesFile = (name: string) => path.join(here, 'values', name);
  const rendered = new Map<string, string>();
  /** Each only once, but for what is drawn anew: see `renderAnew`. */
  async function render(...args: string[]): Promise<string> {
    const known = rendered.get(args.join(' '));
    if (known !== undefined) return known;
    const manifests = await renderAnew(...args);
    rendered.set(args.join(' '), manifests);
    return manifests;
  }
  async function renderAnew(...args: string[]): Promise<string> {
    const { code, output } = await programs.deploy(['template', 'pets', chart, '--namespace', 'ml', ...args]);
    expect(code, output).toBe(0);
    return output;
  }
  const refusal = async (...args: string[]) => {
    const { code, output } = await programs.deploy(['template', 'pets', chart, ...args]);
    expect(code, output).not.toBe(0);
    return output;
  };

  describe.each(valuesFiles)('with %s', (file) => {
    it('passes helm lint', async () => {
      const { code, output } = await programs.deploy(['lint', chart, '--values', valuesFile(file)]);
      expect(code, output).toBe(0);
    });

    // `npx vitest run test/deploy --update` writes them anew.
    it('makes the objects that test/deploy/golden holds', async () => {
      const manifests = await render('--values', valuesFile(file), '--kube-version', '1.37.0');
      await expect(maskSecrets(manifests)).toMatchFileSnapshot(`golden/${file}`);
    });

    it.each(minorVersions)(
      'makes objects that Kubernetes %s takes, without unknown fields',
      async (version) => {
        const manifests = await render('--values', valuesFile(file), '--kube-version', `${version}.0`);
        const location = `${here}schemas/v${version}/{{.ResourceKind}}{{.KindSuffix}}.json`;
        const skipped = 'JobSet,PodMonitor,HorizontalPodAutoscaler';
        const args = ['-strict', '-summary', '-schema-location', location, '-skip', skipped];
        const { code, output } = await programs.kubeconform(args, manifests);
        expect(code, output).toBe(0);
        expect(output).toMatch(/Valid: [1-9]\d+, Invalid: 0, Errors: 0, Skipped: [01]\b/);
      },
    );

    it('makes pods of the restricted security standard', async () => {
      const { code, output } = await programs.deploy(['pods'], await render('--values', valuesFile(file)));
      expect(code, output).toBe(0);
      expect(output).toMatch(/^[3-9] pods, 0 refused/);
    });

    it('grants rights in the namespace alone, but for asking whose a token is', async () => {
      const objects = readObjects(await render('--values', valuesFile(file)));
      const clusterWide = objects.filter(
        ({ kind }) => kind.startsWith('Cluster') || kind === 'CustomResourceDefinition',
      );
      const byPod = find(objects, 'StatefulSet', 'pets-coordinator').spec.template.spec.volumes.every(
        ({ name }: { name: string }) => name !== 'token',
      );
      expect(clusterWide.map(({ kind, roleRef }) => [kind, roleRef?.name])).toEqual(
        byPod ? [['ClusterRoleBinding', 'system:auth-delegator']] : [],
      );
    });
  });

  it('is refused by the check of pod security when a pod may gain privileges', async () => {
    const manifests = (await render()).replace(
      'allowPrivilegeEscalation: false',
      'allowPrivilegeEscalation: true',
    );
    const { code, output } = await programs.deploy(['pods'], manifests);
    expect(code).toBe(1);
    expect(output).toContain('allowPrivilegeEscalation');
  });

  it('is refused by kubeconform with a field that Kubernetes does not know', async () => {
    const manifests = (await render()).replace('backoffLimit:', 'backofLimit:');
    const location = `${here}schemas/v1.37/{{.ResourceKind}}{{.KindSuffix}}.json`;
    const { code, output } = await programs.kubeconform(['-strict', '-schema-location', location], manifests);
    expect(code).toBe(1);
    expect(output).toContain('backofLimit');
  });

  it.each([
    [['--set', 'wrokers=3'], 'wrokers'],
    [['--set', 'worker.gpuPerPod=8'], 'gpuPerPod'],
    [['--set', 'recipe.epoch=3'], 'epoch'],
    [['--set', 'recipe.arch=resnet35'], 'resnet34'],
    [['--set', 'nats.mode=sidecar'], 'statefulset'],
    [['--set', 'workers=12,worker.gpusPerPod=8'], 'give a multiple'],
    [['--set', 'nats.mode=url'], 'nats.url is needed'],
    [['--set', 'worker.kind=StatefulSet,kueue.queue=team'], 'Kueue does not resize'],
    [['--set', 'worker.kind=StatefulSet,job.suspend=true'], 'give workers=0 instead'],
    [['--set', 'worker.kind=StatefulSet,job.activeDeadlineSeconds=60'], 'no deadline'],
  ])('refuses %j and says why', async (args, reason) => {
    expect(await refusal(...args)).toContain(reason);
  });

  it('makes a token that the coordinator takes, a new one for each release', async () => {
    const tokenOf = async () => {
      const { data } = find(readObjects(await renderAnew()), 'Secret', 'pets-token');
      return Buffer.from(data.token, 'base64').toString();
    };
    const [one, other] = [await tokenOf(), await tokenOf()];
    expect(one).toMatch(/^[a-z0-9]{6}\.[\w-]{32}$/);
    expect(one).not.toBe(other);
    expect(findToken([], one)).toBeUndefined();
  });

  it('puts N workers into a pod, each with a GPU, and all with the same /dev/shm', async () => {
    const objects = readObjects(await render('--set', 'workers=16,worker.gpusPerPod=8,recipe.arch=resnet50'));
    const { spec } = find(objects, 'Job', 'pets-workers');
    expect([spec.completions, spec.parallelism]).toEqual([2, 2]);
    const pod = spec.template.spec;
    expect(pod.containers).toHaveLength(8);
    for (const { resources, volumeMounts } of pod.containers as KubernetesObject[]) {
      expect(resources.limits['nvidia.com/gpu']).toBe(1);
      expect(volumeMounts).toContainEqual({ name: 'shm', mountPath: '/dev/shm' });
    }
    // CHANGELOG: 8 workers of ResNet50 take about 1.1 GiB.
    const [shm] = pod.volumes.filter(({ name }: { name: string }) => name === 'shm');
    const mib = Number(/^(\d+)Mi$/.exec(shm.emptyDir.sizeLimit)?.[1]);
    expect(mib).toBeGreaterThan(1126);
    expect(mib).toBeLessThan(2048);
  });

  it('makes workers a StatefulSet that `kubectl scale` resizes, and whose pods the coordinator cannot change', async () => {
    const args = 'worker.kind=StatefulSet,workers=16,worker.gpusPerPod=8';
    const objects = readObjects(await render('--set', args, '--kube-version', '1.37.0'));
    const { spec } = find(objects, 'StatefulSet', 'pets-workers');
    expect(spec).toMatchObject({ replicas: 2, podManagementPolicy: 'Parallel' });
    expect(spec.template.spec.restartPolicy).toBe('Always');
    for (const container of spec.template.spec.containers as KubernetesObject[]) {
      expect(Object.keys(container).filter((key) => key.startsWith('restart'))).toEqual([]);
    }
    const [coordinator] = find(objects, 'StatefulSet', 'pets-coordinator').spec.template.spec.containers;
    expect(coordinator.env).toContainEqual({
      ...{ name: 'RONDO_KUBERNETES_WORKERS', value: 'StatefulSet/pets-workers' },
    });
    const rights = (find(objects, 'Role', 'pets-coordinator').rules as KubernetesObject[]).filter(
      ({ apiGroups }) => apiGroups.includes('apps') || apiGroups.includes('batch'),
    );
    expect(rights.map(({ resources, verbs }) => [resources, verbs])).toEqual([
      [['statefulsets'], ['get', 'list', 'watch']],
      [['statefulsets/scale', 'statefulsets/status'], ['patch']],
    ]);
    for (const { resourceNames } of rights) expect(resourceNames).toEqual(['pets-workers']);
  });

  it.each([
    ['1.34.0', false],
    ['1.35.0', true],
  ])('on Kubernetes %s starts a worker that failed again in its pod: %s', async (version, restarts) => {
    for (const perPod of [1, 2]) {
      const objects = readObjects(
        await render('--kube-version', version, '--set', `workers=2,worker.gpusPerPod=${perPod}`),
      );
      const { spec } = find(objects, 'Job', 'pets-workers');
      // Not what cannot help: done, wrong input, a refused credential. The Job ends for the last two.
      const rule = { action: 'Restart', exitCodes: { operator: 'NotIn', values: [0, 2, 4] } };
      for (const { restartPolicyRules } of spec.template.spec.containers as KubernetesObject[]) {
        expect(restartPolicyRules).toEqual(restarts ? [rule] : undefined);
      }
      expect(spec.podFailurePolicy.rules.at(-1).onExitCodes.values).toEqual([2, 4]);
    }
  });

  it.each([
    ['nats.mode=url,nats.url=nats://nats-0', 4222],
    ['nats.mode=url,nats.url=nats://10.0.0.5', 4222],
    ['nats.mode=url,nats.url=tls://user:s3cret@nats.example:4443', 4443],
    ['data.source=https://data.example/packed', 443],
    ['data.source=http://minio:9000/packed', 9000],
    ['data.source=https://user:word@data.example:8443/packed?signed', 8443],
    ['data.source=s3://photos/packed', 443],
  ])('lets workers reach what %s names', async (set, port) => {
    const objects = readObjects(await render('--set', set));
    const { spec } = find(objects, 'NetworkPolicy', 'pets-workers');
    const beyond = (spec.egress as KubernetesObject[]).filter(({ to }) => to === undefined);
    expect(beyond.map(({ ports }) => ports[0].port)).toEqual([port]);
  });

  it('has nats-server take any token as a text', async () => {
    const objects = readObjects(await render('--set', 'nats.mode=statefulset,nats.existingSecret=login'));
    const [container] = find(objects, 'StatefulSet', 'pets-nats').spec.template.spec.containers;
    expect(container.env).toEqual([
      { name: 'TOKEN', valueFrom: { secretKeyRef: { name: 'login', key: 'token' } } },
      // Without quotes it is what nats-server makes of its first letters: 1k a number, ab#c the token ab.
      { name: 'NATS_TOKEN', value: "'$(TOKEN)'" },
    ]);
  });

  it('has Prometheus read the pods that have metrics', async () => {
    const objects = readObjects(
      await render('--set', 'metrics.podMonitor.enabled=true,nats.mode=statefulset'),
    );
    const { selector } = find(objects, 'PodMonitor', 'pets').spec;
    expect(selector.matchExpressions).toEqual([
      { key: 'app.kubernetes.io/component', operator: 'In', values: ['coordinator', 'worker'] },
    ]);
  });

  it.each(['Job', 'StatefulSet'])(
    'does not touch the coordinator when the number of workers of a %s changes',
    async (kind) => {
      const of = async (workers: number) => {
        const objects = readObjects(await render('--set', `worker.kind=${kind},workers=${workers}`));
        return objects.filter((object) => object.kind !== 'Secret');
      };
      const [two, six] = [await of(2), await of(6)];
      const changed = two.filter((object, index) => JSON.stringify(object) !== JSON.stringify(six[index]));
      expect(changed.map((object) => `${object.kind}/${object.metadata.name}`)).toEqual([
        `${kind}/pets-workers`,
      ]);
    },
  );

  it('gives a recipe that is the same for workers of the same CPUs', async () => {
    const recipeOf = async (...args: string[]) =>
      find(readObjects(await render(...args)), 'ConfigMap', 'pets-recipe').data['recipe.yaml'];
    expect(await recipeOf('--set', 'recipe.epochs=3')).toContain('threads: 1');
    expect(await recipeOf('--set', 'worker.resources.limits.cpu=3')).toContain('threads: 3');
    expect(await recipeOf('--set', 'worker.resources.limits.cpu=2500m')).not.toContain('threads');
  });
});

describe('values.schema.json', () => {
  const file = path.join(chart, 'values.schema.json');
  const schema = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;

  it('takes the options of `coordinator start`, and no others, for a recipe', async () => {
    const { properties } = schema as { properties: Record<string, unknown> };
    const current = { ...schema, properties: { ...properties, recipe: recipeSchema() } };
    await expect(`${JSON.stringify(current, null, 2)}\n`).toMatchFileSnapshot(file);
  });

  it('refuses unknown names wherever it knows any', () => {
    const open: string[] = [];
    const look = (value: unknown, place: string) => {
      if (typeof value !== 'object' || value === null) return;
      if (
        'properties' in value &&
        (value as { additionalProperties?: unknown }).additionalProperties !== false
      )
        open.push(place);
      for (const [key, inner] of Object.entries(value)) look(inner, `${place}/${key}`);
    };
    look(schema, '');
    // The schema's own map of names is no schema.
    expect(open.filter((place) => !place.endsWith('/properties'))).toEqual([]);
  });
});

/** Tokens are drawn anew each time. */
function maskSecrets(manifests: string): string {
  return manifests.replace(/^( {2}token: )[\w+/=]+$/gm, '$1DRAWN');
}
