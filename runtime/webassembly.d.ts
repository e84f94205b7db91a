/** The part of WebAssembly that Rondo uses; neither TypeScript's es libraries nor Node's types declare it. */
declare namespace WebAssembly {
  class Memory<Shared extends boolean = true> {
    constructor(
      descriptor: { initial: number; maximum: number } & (Shared extends true
        ? { shared: true }
        : { shared?: false }),
    );
    readonly buffer: Shared extends true ? SharedArrayBuffer : ArrayBuffer;
    grow(pages: number): number;
  }
  class Module {
    constructor(bytes: Uint8Array<ArrayBuffer>);
  }
  class Instance {
    constructor(module: Module, imports: Readonly<Record<string, Readonly<Record<string, unknown>>>>);
    readonly exports: Readonly<Record<string, unknown>>;
  }
}
