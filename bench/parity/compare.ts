import { largest } from '../../runtime/extremes.js';
import type { Figures, Reference } from './reference.js';

/** As `Figures`, with what relates them to each other. */
export interface MeasuredFigures extends Figures {
  /** Elements of the tensor. */
  readonly count: number;
}

/** The same figures as the reference's, as Rondo computes them. */
export interface Measured {
  readonly parameters: number;
  readonly labels: readonly number[];
  readonly evalLogits: readonly (readonly number[])[];
  readonly trainLoss: number;
  /** In float64. */
  readonly gradients: ReadonlyMap<string, MeasuredFigures>;
  /** Of float32's gradient from float64's, all parameters together, relative. */
  readonly gradientDistance: number;
  readonly statistics: ReadonlyMap<string, MeasuredFigures>;
  /** In float64. */
  readonly trace: readonly {
    readonly momentum: number;
    readonly lr: readonly number[];
    readonly loss: number;
  }[];
  /** The same steps in float32. */
  readonly float32Losses: readonly number[];
  /** In float64. */
  readonly parametersAfterTrace: ReadonlyMap<string, MeasuredFigures>;
}

/** The worst deviation of one kind. `where` names the element it was found at. */
export interface Deviation {
  readonly kind: string;
  readonly worst: number;
  readonly bound: number;
  readonly where: string;
  readonly met: boolean;
}

type Found = readonly [where: string, deviation: number];

/** Worst deviation of each kind against its bound. A tensor that one side lacks deviates infinitely. */
export function compare(reference: Reference, measured: Measured): Deviation[] {
  const largestLogit = largest(reference.eval_logits.flat().map(Math.abs));
  return [
    checkBound('parameter count', 0, [['', Math.abs(measured.parameters - reference.parameters)]]),
    checkBound('labels', 0, [['', measured.labels.join() === reference.labels.join() ? 0 : 1]]),
    checkBound(
      'evaluation logits / largest',
      1e-4,
      reference.eval_logits.flatMap((row, image) =>
        row.map((logit, label): Found => {
          const found = measured.evalLogits[image]?.[label] ?? Number.NaN;
          return [`image ${image}, class ${label}`, Math.abs(found - logit) / largestLogit];
        }),
      ),
    ),
    checkBound('training loss, relative', 1e-5, [['', relative(measured.trainLoss, reference.train_loss)]]),
    checkBound('gradient norm, relative', 2e-3, byName(reference.gradients, measured.gradients, norms, true)),
    checkBound(
      'gradient elements / RMS',
      2e-3,
      byName(reference.gradients, measured.gradients, elements, true),
    ),
    checkBound('float32 gradient from float64', 5e-2, [['', measured.gradientDistance]]),
    checkBound(
      'running statistics, relative',
      1e-4,
      byName(reference.running_after_one_step, measured.statistics, (a, b) =>
        Math.max(norms(a, b), elements(a, b)),
      ),
    ),
    checkBound(
      'trace losses, relative',
      1e-3,
      bySteps(reference, measured, (a, b) => relative(a.loss, b.loss)),
    ),
    checkBound(
      'float32 trace losses from float64',
      5e-2,
      measured.trace.map(({ loss }, step): Found => {
        return [`step ${step}`, relative(measured.float32Losses[step] ?? Number.NaN, loss)];
      }),
    ),
    checkBound(
      'learning rates, relative',
      1e-9,
      bySteps(reference, measured, (a, b) => largest(b.lr.map((lr, g) => relative(a.lr[g]!, lr)))),
    ),
    checkBound(
      'momentum',
      1e-9,
      bySteps(reference, measured, (a, b) => Math.abs(a.momentum - b.momentum)),
    ),
    checkBound(
      'final parameter norms, relative',
      1e-4,
      byName(reference.parameters_after_trace, measured.parametersAfterTrace, norms, true),
    ),
  ];
}

function checkBound(kind: string, bound: number, found: readonly Found[]): Deviation {
  // Not `<`: NaN must win, and be kept, for it meets no bound.
  const [where, worst] = found.reduce((a, b) => (Number.isNaN(a[1]) || b[1] <= a[1] ? a : b));
  return { kind, worst, bound, where, met: worst <= bound };
}

function byName(
  reference: Readonly<Record<string, Figures>>,
  measured: ReadonlyMap<string, MeasuredFigures>,
  deviation: (found: MeasuredFigures, expected: Figures) => number,
  complete = false,
): Found[] {
  const extra = complete ? [...measured.keys()].filter((name) => reference[name] === undefined) : [];
  return [
    ...Object.entries(reference).map(([name, expected]): Found => {
      const found = measured.get(name);
      return [name, found === undefined ? Number.POSITIVE_INFINITY : deviation(found, expected)];
    }),
    ...extra.map((name): Found => [name, Number.POSITIVE_INFINITY]),
  ];
}

type Step = Measured['trace'][number];

function bySteps(
  reference: Reference,
  measured: Measured,
  deviation: (found: Step, expected: Step) => number,
) {
  return reference.trace.map((expected, step): Found => {
    const found = measured.trace[step];
    return [`step ${step}`, found === undefined ? Number.POSITIVE_INFINITY : deviation(found, expected)];
  });
}

function norms(found: MeasuredFigures, expected: Figures): number {
  return relative(found.norm, expected.norm);
}

/** The first elements' largest deviation against the tensor's root mean square. */
function elements(found: MeasuredFigures, expected: Figures): number {
  const typical = expected.norm / Math.sqrt(found.count);
  const differences = expected.first.map((value, i) => Math.abs((found.first[i] ?? Number.NaN) - value));
  const furthest = largest(differences);
  return furthest === 0 ? 0 : furthest / typical;
}

function relative(found: number, expected: number): number {
  return found === expected ? 0 : Math.abs(found - expected) / Math.abs(expected);
}
