import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { safetensorsUsage } from '../../../../coordinator/inference/usage.js';
import type { Arch, HeadKind } from '../../../../plan/run-config.js';
import { exportNetwork } from '../../../../worker/jobs/export.js';
import { initialState } from '../../../../worker/model/initialize.js';
import { volume } from '../../../../worker/model/parameters.js';
import { openProgram } from '../../../../worker/model/program.js';
import { overlayPretrained } from '../../../../worker/model/weights/load-pretrained.js';
import { readSafetensors, writeSafetensors } from '../../../../worker/model/weights/safetensors.js';
import { runPython, whyWithout } from '../../../support/python-with-torch.js';
import { randomValues } from '../../../support/tensorflow/random-values.js';
import { temporaryFolder, tinyConfig } from '../../../support/tiny-run.js';

const size = 64;
const count = 2;

/** The format in a few lines, for Pythons without the package: what the model card's code imports. */
const format = `
import json, os, struct, sys, types, torch, torchvision
def load_file(name):
    raw = open(name, 'rb').read()
    length, = struct.unpack('<Q', raw[:8])
    header = json.loads(raw[8:8 + length])
    header.pop('__metadata__', None)
    return {key: torch.frombuffer(bytearray(raw[8 + length + at['data_offsets'][0]:8 + length + at['data_offsets'][1]]),
            dtype=torch.float32).reshape(at['shape']) for key, at in header.items()}
def save_file(tensors, name):
    header, parts, offset = {}, [], 0
    for key, tensor in tensors.items():
        part = tensor.detach().contiguous().float().numpy().tobytes()
        header[key] = {'dtype': 'F32', 'shape': list(tensor.shape), 'data_offsets': [offset, offset + len(part)]}
        parts.append(part)
        offset += len(part)
    text = json.dumps(header).encode()
    text += b' ' * (-len(text) % 8)
    open(name, 'wb').write(struct.pack('<Q', len(text)) + text + b''.join(parts))
torch.set_num_threads(2)
`;

/** torchvision's network with random weights and plausible statistics, and what it makes of images. */
const publish = `${format}
arch, folder, classes = sys.argv[1], sys.argv[2], int(sys.argv[3])
torch.manual_seed(1)
network = getattr(torchvision.models, arch)(num_classes=classes).eval()
for module in network.modules():
    if isinstance(module, torch.nn.BatchNorm2d):
        module.running_mean.normal_(0, 0.1)
        module.running_var.uniform_(0.7, 1.3)
        torch.nn.init.uniform_(module.weight, 0.7, 1.1)
        torch.nn.init.normal_(module.bias, 0, 0.1)
save_file(network.state_dict(), os.path.join(folder, 'published.safetensors'))
images = load_file(os.path.join(folder, 'images.safetensors'))['images'].permute(0, 3, 1, 2)
with torch.no_grad():
    save_file({'logits': network(images)}, os.path.join(folder, 'expected.safetensors'))
`;

/** What the code of the model card, which stands between the two, makes of the images. */
const answer = (card: string) => `${format}
package = types.ModuleType('safetensors.torch')
package.load_file = load_file
sys.modules['safetensors'] = types.ModuleType('safetensors')
sys.modules['safetensors.torch'] = package
os.chdir(sys.argv[1])
${card}
images = load_file('images.safetensors')['images'].permute(0, 3, 1, 2)
with torch.no_grad():
    save_file({'logits': network(images)}, 'answered.safetensors')
`;

const without = whyWithout('torch', 'torchvision');
const cases: [Arch, HeadKind][] = [
  ['resnet34', 'fastai'],
  ['resnet50', 'fastai'],
  ['resnet18', 'linear'],
];

describe.skipIf(without !== null)(`torchvision's network${without ? ` (skipped: ${without})` : ''}`, () => {
  it.each(cases)('%s with a %s head gives the same logits there and back', async (arch, head) => {
    const folder = temporaryFolder();
    const file = (name: string) => path.join(folder, `${name}.safetensors`);
    const read = (name: string) => readSafetensors(readFileSync(file(name)));
    const images = randomValues(count * size * size * 3, 4).map((value) => 2 * value);
    const shape = [count, size, size, 3];
    writeFileSync(
      file('images'),
      Buffer.concat([...writeSafetensors([{ name: 'images', shape, values: images }])]),
    );
    const config = tinyConfig({ arch, head, size, classes: ['a', 'b', 'c', 'd', 'e'] });
    runPython(publish, arch, folder, String(config.classes.length));

    const program = openProgram({
      ...{ arch, head, size, presize: size, classes: config.classes.length, precision: 'float32' },
      ...{ dropout: [0, 0], weightDecay: 0, trainable: [], input: 'normalized' },
    });
    try {
      const { state: layout } = program;
      const state = initialState(layout, 5);
      overlayPretrained(state, layout, [{ path: '', tensors: read('published') }]);
      program.load(state);
      const logits = program.logits({ pixels: images });
      if (head === 'linear') expectClose(logits, read('expected').get('logits')!.values as Float32Array);

      const tensors = [...layout.parameters, ...layout.statistics].map(({ name, shape: own, offset }) => ({
        ...{ name, shape: own, values: state.subarray(offset, offset + volume(own)) },
      }));
      writeFileSync(file('state'), Buffer.concat([...writeSafetensors(tensors)]));
      const request = { config, state: file('state'), format: 'safetensors', directory: folder } as const;
      const context = { progress() {}, item() {}, signal: new AbortController().signal };
      await exportNetwork(request, context);
      // The exported body is the published one, bit for bit.
      const [published, exported] = [read('published'), read('model')];
      for (const [name, { values }] of published) {
        if (name.startsWith('fc.') && head === 'fastai') continue;
        if (name.endsWith('num_batches_tracked')) continue;
        const [there, back] = [values, exported.get(name)!.values].map((each) =>
          bytesOf(each as Float32Array),
        );
        expect(Buffer.compare(there!, back!), name).toBe(0);
      }
      const [, code] = /```python\n([\s\S]*?)```/.exec(safetensorsUsage(config))!;
      runPython(answer(code!), folder);
      expectClose(logits, read('answered').get('logits')!.values as Float32Array);
    } finally {
      program.close();
    }
  });
});

function bytesOf(values: Float32Array): Buffer {
  return Buffer.from(values.buffer, values.byteOffset, values.byteLength);
}

/** Within 1e-4 of the largest. */
function expectClose(found: Float32Array, wanted: Float32Array): void {
  expect(found).toHaveLength(wanted.length);
  const largest = Math.max(...wanted.map(Math.abs));
  expect(largest).toBeGreaterThan(0.01);
  const furthest = Math.max(...wanted.map((value, index) => Math.abs(found[index]! - value)));
  expect(furthest / largest).toBeLessThan(1e-4);
}
