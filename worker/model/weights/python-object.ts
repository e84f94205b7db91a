/**
 * A Python object or class that Rondo does not know, as its pickle describes it: nothing was looked up, and
 * nothing was run.
 */
export class PythonObject {
  /** What the pickle sets as its attributes: a Map for most classes. */
  state: unknown = null;
  /** What it holds as a subclass of dict. */
  readonly items = new Map<unknown, unknown>();

  /** @param name of its class or function, such as "argparse.Namespace" */
  constructor(readonly name: string) {}
}
