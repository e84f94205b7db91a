// Holds the network, its gradients, the optimizer and the schedule against figures that PyTorch computed, in
// files that make_parity.py wrote (any architecture, image size and batch). Exit code 1 when a bound is
// missed.
import { RondoError } from '../../runtime/errors.js';
import { runParity } from './command.js';
import { measure } from './measure.js';

try {
  const met = await runParity(process.argv.slice(2), { measure, print: (text) => console.log(`${text}\n`) });
  process.exitCode = met ? 0 : 1;
} catch (thrown) {
  const { message, remedy, exitCode } = RondoError.from(thrown);
  console.error(remedy === undefined ? message : `${message}\n${remedy}`);
  process.exitCode = exitCode;
}
