/**
 * Works around a race between threads that share a WebAssembly memory; import it before onnxruntime.
 *
 * Deno's V8 checks the bounds of each access against a size that a thread learns late when another
 * thread grows the memory: a thread of onnxruntime's pool that gets work in fresh memory dies of
 * `memory access out of bounds`, and the run that waits for it never ends. A shared memory with its
 * full size from the start never grows. The system backs its pages only as they are touched.
 *
 * @module
 */

WebAssembly.Memory = new Proxy(WebAssembly.Memory, {
  construct(Memory, [descriptor]: [WebAssembly.MemoryDescriptor]) {
    if (!descriptor.shared) return new Memory(descriptor);
    try {
      // One page short of 4 GiB, which onnxruntime could not count in 32 bits.
      return new Memory({ ...descriptor, initial: descriptor.maximum! - 1 });
    } catch {
      // A system that does not overcommit memory may refuse that much.
      return new Memory(descriptor);
    }
  },
});
