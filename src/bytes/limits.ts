/**
 * What a reader will believe and hold. Each limit has a reason; every one can be raised by the caller and none is
 * checked after the allocation that it guards.
 */
export interface Limits {
  /** a header, index, directory or other part that is parsed as a whole. Largest seen: 27 MB (TF graph of a detector) */
  maxHeaderBytes: number
  /** one string in a file (CWE-770). Keras keeps a whole model_config in one: 4 MB seen */
  maxStringBytes: number
  /** records in one file: tensors, nodes, archive entries, pickle opcodes count a tenth */
  maxItems: number
  /** nesting of messages, groups, pickles, graphs */
  maxDepth: number
  /** dimensions of one tensor; numpy stops at 64 */
  maxRank: number
  /** bytes that one compressed entry may inflate to, and all that a reader keeps decompressed at once */
  maxInflatedBytes: number
}

export const DEFAULT_LIMITS: Limits = {
  maxHeaderBytes: 256 * 1024 * 1024,
  maxStringBytes: 64 * 1024 * 1024,
  maxItems: 2_000_000,
  maxDepth: 100,
  maxRank: 64,
  maxInflatedBytes: 2 ** 31 - 1,
}
