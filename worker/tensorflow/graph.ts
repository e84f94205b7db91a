import assert from 'node:assert/strict';
import type { DType, FedDType } from './dtype.js';
import type { Shape } from './shape.js';

/** A value on an edge of the graph: output `index` of `node`. */
export interface Tensor<D extends DType = DType> {
  readonly node: Node;
  readonly index: number;
  readonly dtype: D;
  readonly shape: Shape;
}

/** The kinds of tensorflow/core/framework/attr_value.proto that Rondo's operations use. */
export type Attribute =
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'int'; readonly value: number }
  | { readonly kind: 'float'; readonly value: number }
  | { readonly kind: 'bool'; readonly value: boolean }
  | { readonly kind: 'type'; readonly value: DType }
  | { readonly kind: 'shape'; readonly value: Shape }
  | { readonly kind: 'tensor'; readonly dtype: DType; readonly shape: Shape; readonly bytes: Uint8Array }
  /** A tensor of strings. */
  | { readonly kind: 'strings'; readonly shape: Shape; readonly values: readonly Uint8Array[] }
  | { readonly kind: 'ints'; readonly value: readonly number[] }
  | { readonly kind: 'types'; readonly value: readonly DType[] }
  | { readonly kind: 'shapes'; readonly value: readonly Shape[] }
  /** The name of one of the graph's functions. */
  | { readonly kind: 'function'; readonly value: string };

/** A graph that operations of another one call by name. */
export interface GraphFunction {
  readonly name: string;
  readonly body: Graph;
  /** Placeholders of the body. */
  readonly inputs: readonly Tensor[];
  readonly output: Tensor;
}

export interface Node {
  readonly graph: Graph;
  readonly name: string;
  readonly op: string;
  readonly inputs: readonly Tensor[];
  /** Nodes that must have run before this one. */
  readonly controls: readonly Node[];
  readonly attributes: Readonly<Record<string, Attribute>>;
  readonly device: string;
  readonly outputs: readonly Tensor[];
}

export interface NodeSpec {
  readonly op: string;
  /** Last part of the node's name; the operation's name if absent. */
  readonly name?: string;
  readonly inputs?: readonly Tensor[];
  readonly attributes?: Readonly<Record<string, Attribute>>;
  readonly device?: string;
  readonly outputs: readonly { readonly dtype: DType; readonly shape: Shape }[];
}

const hostDevice = '/device:CPU:0';

/** A TensorFlow graph under construction. Nodes are listed in an order in which they could run. */
export class Graph {
  readonly nodes: Node[] = [];
  /** What its nodes call. */
  readonly functions: GraphFunction[] = [];
  /**
   * What runs are given, by name, and the placeholder that takes it, `fed` as another type
   * (ops/placeholder.ts).
   */
  readonly given = new Map<
    string,
    {
      readonly dtype: FedDType;
      readonly shape: Shape;
      readonly fed: FedDType;
      readonly placeholder: string;
    }
  >();
  private readonly uses = new Map<string, number>();
  /** By what tells them apart. */
  private readonly constants = new Map<string, Node>();
  private scopes: readonly string[] = [];
  private controls: readonly Node[] = [];
  private device = '';

  /** Adds a node; operations in `ops/` do so after they have checked shapes and dtypes. */
  add(spec: NodeSpec): Node {
    for (const input of spec.inputs ?? []) {
      assert(
        input.node.graph === this,
        `${this.locate(spec.op)}: ${input.node.name} belongs to another graph`,
      );
    }
    const outputs: Tensor[] = [];
    const node: Node = {
      graph: this,
      name: this.uniqueName([...this.scopes, spec.name ?? spec.op].join('/')),
      op: spec.op,
      inputs: spec.inputs ?? [],
      controls: this.controls,
      attributes: spec.attributes ?? {},
      device: spec.device ?? this.device,
      outputs,
    };
    spec.outputs.forEach(({ dtype, shape }, index) => {
      outputs.push({ node, index, dtype, shape });
    });
    this.nodes.push(node);
    return node;
  }

  /**
   * A node without inputs, which is shared by all that need the same one on the same device, where it need not wait
   * for others: TensorFlow looks at each node of the graph for every run that it prepares. `key` tells it from others.
   */
  addConstant(key: string, spec: () => NodeSpec): Node {
    if (this.controls.length > 0) return this.add(spec());
    const place = `${this.device} ${key}`;
    const found = this.constants.get(place) ?? this.add(spec());
    this.constants.set(place, found);
    return found;
  }

  /** Names of nodes added by `build` begin with `name/`. */
  scope<T>(name: string, build: () => T): T {
    const before = this.scopes;
    this.scopes = [...before, name];
    try {
      return build();
    } finally {
      this.scopes = before;
    }
  }

  /** Nodes added by `build` run after `nodes` have. */
  after<T>(nodes: readonly Node[], build: () => T): T {
    const before = this.controls;
    this.controls = [...before, ...nodes];
    try {
      return build();
    } finally {
      this.controls = before;
    }
  }

  /** Nodes added by `build` run on the CPU, with their memory in the host's. */
  onHost<T>(build: () => T): T {
    const before = this.device;
    this.device = hostDevice;
    try {
      return build();
    } finally {
      this.device = before;
    }
  }

  /** How a message about an operation begins: its type and where in the graph it is being added. */
  locate(op: string): string {
    return this.scopes.length === 0 ? op : `${op} in ${this.scopes.join('/')}`;
  }

  private uniqueName(wanted: string): string {
    const used = this.uses.get(wanted) ?? 0;
    this.uses.set(wanted, used + 1);
    return used === 0 ? wanted : this.uniqueName(`${wanted}_${used}`);
  }
}

/** Output `index` of a node, of the dtype that the operation is known to give. */
export function output<D extends DType>(node: Node, index = 0): Tensor<D> {
  return node.outputs[index] as Tensor<D>;
}
