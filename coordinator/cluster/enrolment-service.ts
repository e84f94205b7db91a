import type { handleUnaryCall, sendUnaryData, UntypedServiceImplementation } from '@grpc/grpc-js';
import { ControlService } from '../../proto/gen/control.js';
import {
  type Certificate,
  type CoordinatorServer,
  CoordinatorService,
  type EnrolmentServer,
  EnrolmentService,
} from '../../proto/gen/coordinator.js';
import { RondoError } from '../../runtime/errors.js';
import { toGrpc } from '../../runtime/grpc/answer-error.js';
import { callerOf } from '../../runtime/grpc/caller.js';
import { type AnonymousService, failCall } from '../../runtime/grpc/server.js';
import type { Authority } from './authority.js';
import type { Operators } from './operators.js';

/** A token and a signing request are less than 1 KiB. */
const maxReceiveBytes = 16 << 10;

type Answer = sendUnaryData<Certificate>;

/** What is served to those that have no certificate: yet, or ever. */
export function guestService({ enrol }: Authority, operators: Operators | null): AnonymousService {
  const service: EnrolmentServer = {
    enrol: ({ request }, callback) => void answer(enrol(request), callback),
  };
  return {
    maxReceiveBytes,
    admit: (path, metadata) => operators?.admit(path, metadata) ?? false,
    register(server) {
      server.addService(EnrolmentService, service);
      server.addService(CoordinatorService, refuseAll());
      if (operators !== null) server.addService(ControlService, operators.service);
    },
  };
}

/** The coordinator's calls, for those that show no certificate. */
function refuseAll(): UntypedServiceImplementation {
  const error = new RondoError('unauthenticated', 'the connection shows no certificate of this run', {
    remedy: 'join with a token and the hash that the coordinator prints: `worker join --token … --ca-hash …`',
  });
  const refuse: handleUnaryCall<unknown, unknown> = (call, callback?: Answer) =>
    callback === undefined ? failCall(call, error) : callback(toGrpc(error));
  return Object.fromEntries(Object.keys(CoordinatorService).map((method) => [method, refuse]));
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
    (thrown: unknown) => callback(toGrpc(thrown)),
  );
}
