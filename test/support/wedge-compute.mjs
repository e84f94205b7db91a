// Loaded into a worker by `node --import`: the operation that RONDO_TEST_WEDGE names never comes back from
// native code, as with a broken device, when it is called for the RONDO_TEST_WEDGE_AT-th time, counted from
// 0.
import { writeSync } from 'node:fs';
import { isMainThread, parentPort } from 'node:worker_threads';
import koffi from 'koffi';

const { RONDO_TEST_WEDGE: operation, RONDO_TEST_WEDGE_AT: at = '0' } = process.env;
if (!isMainThread && operation !== undefined) {
  const sleep = koffi.load('libc.so.6').func('unsigned int sleep(unsigned int)');
  let calls = 0;
  const { on } = parentPort;
  parentPort.on = function (name, listener) {
    if (name !== 'message') return on.call(this, name, listener);
    return on.call(this, name, (message) => {
      if (message.name === operation && calls++ === Number(at)) {
        writeSync(2, 'the compute thread hangs\n');
        for (;;) sleep(1_000);
      }
      listener(message);
    });
  };
}
