/** What a job is given beside its request. */
export interface JobContext {
  /** How far it is, for the person who waits. */
  progress(done: number, total: number): void;
  /** One of many results, as soon as it is known. */
  item(value: object): void;
  /** Aborts when the result is no longer wanted. */
  readonly signal: AbortSignal;
}

/**
 * Work on a trained network outside of a run. The request is what the coordinator's command sent, as JSON;
 * large results go to files that it names. Throws RondoError for what the user can cause.
 */
export type Job<Request = never> = (request: Request, context: JobContext) => Promise<object>;
