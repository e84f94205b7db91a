import { connect } from 'node:net';
import { Gauge, Registry } from 'prom-client';
import { afterEach, expect, it } from 'vitest';
import { type HealthServer, serveHealth } from '../../runtime/health.js';

const open: HealthServer[] = [];

afterEach(() => {
  for (const server of open.splice(0)) server.close();
});

async function serve(waitsFor: () => string | null, metrics = new Registry()): Promise<string> {
  const server = await serveHealth('127.0.0.1:0', { waitsFor, metrics });
  open.push(server);
  return server.address;
}

it('is alive always, and ready when nothing is waited for', async () => {
  let waiting: string | null = 'the images';
  const address = await serve(() => waiting);
  const get = async (path: string, method = 'GET') => {
    const response = await fetch(`http://${address}${path}`, { method });
    return [response.status, await response.text()];
  };
  expect(await get('/healthz')).toEqual([200, 'alive\n']);
  expect(await get('/readyz')).toEqual([503, 'the images\n']);
  waiting = null;
  expect(await get('/readyz?verbose')).toEqual([200, 'ready\n']);
  expect(await get('/')).toMatchObject([404, expect.stringContaining('/metrics')]);
  expect(await get('/healthz', 'POST')).toMatchObject([405, expect.anything()]);
});

it('tells what cannot be measured instead of ending the program', async () => {
  const metrics = new Registry();
  const collect = () => {
    throw new Error('there is no figure');
  };
  new Gauge({ name: 'rondo_broken', help: 'Broken.', registers: [metrics], collect });
  const address = await serve(() => null, metrics);
  const response = await fetch(`http://${address}/metrics`);
  expect([response.status, await response.text()]).toEqual([500, 'there is no figure\n']);
  expect((await fetch(`http://${address}/healthz`)).status).toBe(200);
});

it('says where it cannot be served', async () => {
  const taken = await serve(() => null);
  await expect(serveHealth(taken, { waitsFor: () => null, metrics: new Registry() })).rejects.toMatchObject({
    code: 'failed-precondition',
    message: expect.stringContaining(taken),
  });
});

it('answers no request beyond its bounds, and goes on', async () => {
  const address = await serve(() => null);
  const [host, port] = address.split(':');
  const answered = await new Promise<string>((resolve) => {
    let text = '';
    const socket = connect(Number(port), host);
    socket.on('data', (data) => {
      text += data;
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(text));
    socket.write(`GET /healthz HTTP/1.1\r\nhost: x\r\nlong: ${'x'.repeat(20_000)}\r\n\r\n`);
  });
  expect(answered).toMatch(/^HTTP\/1.1 431 /);
  expect((await fetch(`http://${address}/healthz`)).status).toBe(200);
});
