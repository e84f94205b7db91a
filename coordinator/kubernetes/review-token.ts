import { z } from 'zod';
import { RondoError } from '../../runtime/errors.js';
import { log } from '../../runtime/log.js';
import type { KubernetesApi } from './api.js';
import type { WorkloadName } from './workload-kinds.js';

const audience = 'rondo';
const extra = 'authentication.kubernetes.io/pod-';

const review = z.object({
  status: z.object({
    authenticated: z.boolean().default(false),
    audiences: z.array(z.string()).default([]),
    user: z
      .object({
        username: z.string().default(''),
        extra: z.record(z.string(), z.array(z.string())).default({}),
      })
      .optional(),
  }),
});
const pod = z.object({
  metadata: z.object({
    uid: z.string(),
    ownerReferences: z.array(z.object({ kind: z.string(), name: z.string() })).default([]),
  }),
});

/** Three parts of base64url: a service account's token, and none of Rondo's own. */
export function isServiceAccountToken(token: string): boolean {
  return /^[\w-]+\.[\w-]+\.[\w-]+$/.test(token);
}

/**
 * Whose a projected service-account token is: a pod of the Job or StatefulSet, whose name is the worker's id, or begins
 * it where a pod has several workers (NAME-0, NAME-1).
 *
 * @returns what a certificate is bound to: the pod's UID.
 * @throws RondoError unauthenticated for a token that is none of such a pod, permission-denied for another's id,
 *   unavailable when the API server cannot be asked.
 */
export async function reviewToken(
  api: KubernetesApi,
  {
    token,
    workerId,
    workload: { kind, name: owner },
  }: { readonly token: string; readonly workerId: string; readonly workload: WorkloadName },
): Promise<string> {
  /** No refusal of the worker, which a server logs: so it is logged here. */
  const unable = (reason: string) => {
    log('warn', 'token not reviewed', { worker: workerId.slice(0, 255), reason });
    return new RondoError('unavailable', reason);
  };
  const asked = {
    ...{ apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview' },
    spec: { token, audiences: [audience] },
  };
  const { status } = await api
    .create('/apis/authentication.k8s.io/v1/tokenreviews', asked, review)
    .catch((thrown) => {
      // What the coordinator may not ask is no fault of the worker.
      throw unable(`the token cannot be reviewed: ${RondoError.from(thrown).message}`);
    });
  const refuse = (why: string) =>
    new RondoError('unauthenticated', `the service account's token ${why}`, {
      remedy: `project one with the audience ${audience} into the pods of ${kind} ${owner}: see deploy/chart`,
    });
  if (!status.authenticated || status.user === undefined) throw refuse('is not valid');
  if (!status.audiences.includes(audience)) throw refuse(`is not for the audience ${audience}`);
  const { username, extra: details } = status.user;
  const [name] = details[`${extra}name`] ?? [];
  const [uid] = details[`${extra}uid`] ?? [];
  if (!username.startsWith(`system:serviceaccount:${api.namespace}:`))
    throw refuse('is of another namespace');
  if (name === undefined || uid === undefined) throw refuse('is bound to no pod');
  const { metadata } = await api
    .get(`/api/v1/namespaces/${api.namespace}/pods/${name}`, pod)
    .catch((thrown) => {
      const error = RondoError.from(thrown);
      if (error.code === 'not-found') throw refuse('is of a pod that is gone');
      throw unable(`pod ${name} cannot be looked at: ${error.message}`);
    });
  const isOwned = metadata.ownerReferences.some((each) => each.kind === kind && each.name === owner);
  if (metadata.uid !== uid || !isOwned) throw refuse(`is of no pod of ${kind} ${owner}`);
  const rest = workerId.startsWith(name) ? workerId.slice(name.length) : null;
  if (rest === null || !/^(-\d{1,3})?$/.test(rest)) {
    throw new RondoError('permission-denied', `pod ${name} may not be worker ${workerId}`, {
      remedy: `give it --id ${name}, or ${name}-N where the pod has several workers`,
    });
  }
  return uid;
}
