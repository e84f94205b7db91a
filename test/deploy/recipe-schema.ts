import { dashed } from '../../coordinator/options/option.js';
import { startTable } from '../../coordinator/options/start-schema.js';

/** Options that the chart gives the coordinator itself, by values of other names. */
const ofChart = [
  ...[
    'data',
    'workers',
    'localWorkers',
    'minWorkers',
    'maxWorkers',
    'listen',
    'advertise',
    'insecure',
    'nats',
  ],
  ...[
    'cacheGib',
    'runDir',
    'name',
    'resume',
    'json',
    'config',
    'health',
    'kubernetes',
    'joinTokenFile',
    'natsPort',
    'supervised',
  ],
];

/** What values.schema.json says of `recipe`: every other option of `coordinator start`. */
export function recipeSchema(): object {
  const properties = Object.entries(startTable)
    .filter(([key]) => !ofChart.includes(key))
    .map(([key, { text, type }]) => [dashed(key), { description: text, ...typeOf(type.expected) }]);
  return { type: 'object', additionalProperties: false, properties: Object.fromEntries(properties) };
}

function typeOf(expected: string): object {
  const [, choices] = /^one of (.+)$/.exec(expected) ?? [];
  if (choices !== undefined) return { enum: choices.split(', ') };
  const [, least, most] = /^a whole number from (\d+) to (\d+)/.exec(expected) ?? [];
  if (least !== undefined) return { type: 'integer', minimum: Number(least), maximum: Number(most) };
  if (expected === 'true or false') return { type: 'boolean' };
  return { type: ['string', 'number'] };
}
