import { expect, test } from 'vitest';
import { meanLoss, sampleLoss } from '../../plan/criterion.js';

const rows = [
  [0.7, 0.2, 0.1],
  [0.1, 0.1, 0.8],
  [0.25, 0.5, 0.25],
];
const labels = [0, 1, 1];

// torch.nn.CrossEntropyLoss(weight=…, label_smoothing=…)(torch.log(torch.tensor(rows)),
// torch.tensor(labels)), in float64.
test.each([
  [0, null, 1.1174690725],
  [0, [0.5, 2, 1.25], 1.3710671154],
  [0.1, null, 1.1453082496],
  [0.1, [0.5, 2, 1.25], 1.3533911174],
])('with smoothing %d and weights %j the mean is PyTorch’s', (labelSmoothing, classWeights, expected) => {
  const losses = rows.map((row, k) => sampleLoss(row, labels[k]!, { labelSmoothing, classWeights }));
  expect(meanLoss(losses, labels, classWeights)).toBeCloseTo(expected, 8);
});

test('of nothing there is no mean', () => {
  expect(meanLoss([], [], null)).toBeNaN();
});
