import { z } from 'zod';
import { checkTraining, checkValidation } from './check-training.js';
import type { Settled, TrainingOption } from './option.js';
import { type ParsedStart, type PlannedName, startTable, type TrainingOptions } from './start-schema.js';

const trainingTable = Object.entries(startTable).flatMap(([name, option]) =>
  option.kind === 'training' ? [[name, option as TrainingOption<unknown>] as const] : [],
);

/**
 * All training options: those given, and defaults for the rest. Throws invalid-argument for what cannot be
 * together.
 */
export function resolveTraining(parsed: ParsedStart): TrainingOptions {
  const training = settle(parsed) as TrainingOptions;
  checkTraining(training);
  checkValidation(parsed);
  return Object.freeze(training);
}

const ungiven = settle({});

/**
 * Training options as run.json holds them. Those that the run was recorded without, because they were not
 * there yet, have their defaults.
 */
export const recordedTraining = z.record(z.string(), z.unknown()).transform((recorded, context) => {
  const settled: Record<string, unknown> = {};
  for (const [name, option] of trainingTable) {
    const value = recorded[name];
    if (value === undefined) settled[name] = defaultOf(option, settled);
    // An option that was not given may stand for nothing.
    else if (value === null && ungiven[name] === null) settled[name] = null;
    else settled[name] = option.type.read(value);
    if (settled[name] !== undefined) continue;
    context.issues.push({
      code: 'custom',
      input: value,
      path: [name],
      message: `must be ${option.type.expected}`,
    });
  }
  return Object.freeze(settled as TrainingOptions);
});

/** Those of the options given that a resumed run has recorded. */
export function givenTraining(parsed: ParsedStart): Partial<TrainingOptions> {
  const given: Readonly<Record<string, unknown>> = parsed;
  return Object.fromEntries(
    trainingTable.filter(([name]) => given[name] !== undefined).map(([name]) => [name, given[name]]),
  );
}

/** What the run's configuration takes over as it is. */
export function plannedOptions(training: TrainingOptions): Pick<TrainingOptions, PlannedName> {
  const planned = trainingTable.filter(([, option]) => option.planned).map(([name]) => name as PlannedName);
  return Object.fromEntries(planned.map((name) => [name, training[name]])) as Pick<
    TrainingOptions,
    PlannedName
  >;
}

/** The recipe, as reports and model cards show it. Options that the run was recorded without are left out. */
export function describeTraining(training: TrainingOptions): [title: string, value: string][] {
  const recorded: Readonly<Record<string, unknown>> = training;
  return trainingTable.flatMap(([name, option]): [string, string][] => {
    const value = recorded[name];
    if (option.title === undefined || value === undefined) return [];
    const shown = option.show === undefined ? String(value) : option.show(value);
    return shown === null ? [] : [[option.title, shown]];
  });
}

/** The values given, and defaults for the rest. */
function settle(given: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const settled: Record<string, unknown> = {};
  for (const [name, option] of trainingTable) {
    settled[name] = given[name] === undefined ? defaultOf(option, settled) : given[name];
  }
  return settled;
}

/** `settled` holds what stands before the option in the table. */
function defaultOf({ default: value }: TrainingOption<unknown>, settled: object): unknown {
  return typeof value === 'function' ? value(settled as Settled) : value;
}
