import type { sendUnaryData } from '@grpc/grpc-js';
import {
  type Certificate,
  type CoordinatorServer,
  type EnrolmentServer,
  EnrolmentService,
} from '../../proto/gen/coordinator.js';
import { RondoError } from '../../runtime/errors.js';
import { callerOf } from '../../runtime/grpc/caller.js';
import type { AnonymousService } from '../../runtime/grpc/server.js';
import type { Authority } from './authority.js';

/** A token and a signing request are less than 1 KiB. */
const maxReceiveBytes = 16 << 10;

type Answer = sendUnaryData<Certificate>;

/** What is served to those that have no certificate yet. */
export function enrolmentService({ enrol }: Authority): AnonymousService {
  const service: EnrolmentServer = {
    enrol: ({ request }, callback) => void answer(enrol(request), callback),
  };
  return { maxReceiveBytes, register: (server) => server.addService(EnrolmentService, service) };
}

/** The handler of Coordinator.Renew; `authority` is null where there are no certificates. */
export function renewalHandler(authority: Authority | null): CoordinatorServer['renew'] {
  return (call, callback) => {
    const caller = callerOf(call);
    const renewed =
      authority === null || caller === null
        ? Promise.reject(new RondoError('failed-precondition', 'this run has no certificates'))
        : authority.renew(caller, call.request.signingRequest);
    void answer(renewed, callback);
  };
}

function answer(certificate: Promise<Certificate>, callback: Answer): Promise<void> {
  return certificate.then(
    (value) => callback(null, value),
    (thrown: unknown) => callback(RondoError.from(thrown).toGrpc()),
  );
}
