import { Client, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';

/** What a call carries with such tokens. */
export function metadataOf(...tokens: string[]): Metadata {
  const metadata = new Metadata();
  for (const token of tokens) metadata.add('rondo-token', token);
  return metadata;
}

/** The status of a call with an empty message; of a stream, as soon as it answers anything. */
export function callRaw(
  address: string,
  path: string,
  metadata: Metadata,
  body = Buffer.alloc(0),
): Promise<ServiceError | 'answered'> {
  const client = new Client(address, credentials.createInsecure());
  const identity = (value: Buffer) => value;
  return new Promise<ServiceError | 'answered'>((resolve) => {
    const call = client.makeBidiStreamRequest(path, identity, identity, metadata);
    call.on('error', resolve);
    call.on('data', () => resolve('answered'));
    call.on('end', () => resolve('answered'));
    call.write(body);
    call.end();
  }).finally(() => client.close());
}
