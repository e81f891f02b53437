import type { ByteSource } from '../bytes/byte-source.ts'
import type { JsonValue } from '../encoding/json-value.ts'
import type { Tensor } from '../tensor/tensor.ts'
import type { Graph } from './graph.ts'

/**
 * What every reader returns: one format-neutral, plain description of a stored model. Opening it costs the header;
 * values stay in the file until a tensor is streamed.
 */
export interface Model {
  /** id of the format, e.g. `onnx`; a row of `formats/registry.ts` */
  readonly format: string
  /** variant within the format as people call it, e.g. `TorchScript archive`, `legacy torch (before 1.6)` */
  readonly variant?: string
  /** every file that belongs to the model, the one that was opened first */
  readonly files: readonly ModelFile[]
  readonly metadata: Metadata
  /** in file order; names are unique */
  readonly tensors: readonly Tensor[]
  /** the main graph first, then functions; empty where the file stores weights only */
  readonly graphs: readonly Graph[]
  /** what is known of training, where the file is a checkpoint */
  readonly training?: TrainingState
  /** what a pickle inside would import or call; nothing of it was executed */
  readonly references?: readonly CodeReference[]
  /** source code inside the file (TorchScript), for reading only */
  readonly listings?: readonly CodeListing[]
  /** things a person should know; the model is readable in spite of them */
  readonly warnings: readonly Problem[]
}

/** A file on disk, or an entry inside an archive. */
export interface ModelFile {
  readonly name: string
  /** in bytes */
  readonly bytes: number
  readonly role: 'main' | 'weights' | 'shard' | 'index' | 'config'
  readonly source: ByteSource
}

/** Frameworks under one spelling each. A converter or runtime is no framework: TFLite and TensorFlow.js are TensorFlow's. */
export type Framework =
  | 'caffe'
  | 'caffe2'
  | 'cntk'
  | 'darknet'
  | 'flax'
  | 'keras'
  | 'matlab'
  | 'mlx'
  | 'ncnn'
  | 'paddlepaddle'
  | 'pytorch'
  | 'scikit-learn'
  | 'tensorflow'

export interface Metadata {
  /** framework whose model it is */
  readonly framework?: Framework
  readonly frameworkVersion?: string
  /** program that wrote the file, e.g. `pytorch`, `tf2onnx` */
  readonly producer?: string
  readonly producerVersion?: string
  /** version of the file format itself, e.g. ONNX `IR 9`, TFLite schema `3` */
  readonly formatVersion?: string
  /** operator sets by domain; the default ONNX domain is `ai.onnx` */
  readonly opsets?: Readonly<Record<string, number>>
  readonly name?: string
  readonly description?: string
  /** everything else the file says, under the format's own names */
  readonly properties?: Readonly<Record<string, JsonValue>>
}

export interface TrainingState {
  readonly epoch?: number
  readonly step?: number
  readonly optimizer?: OptimizerState
  readonly scheduler?: Readonly<Record<string, JsonValue>>
  /** command line or configuration stored with the checkpoint */
  readonly arguments?: Readonly<Record<string, JsonValue>>
  readonly metrics?: Readonly<Record<string, JsonValue>>
  /** loss and metrics of a compiled Keras model, and whatever else has no field here */
  readonly other?: Readonly<Record<string, JsonValue>>
}

export interface OptimizerState {
  /** class, where the file says it or its state keys give it away (`exp_avg` -> Adam family); see `inferred` */
  readonly name?: string
  readonly inferred?: boolean
  /** one entry per parameter group: `{lr, momentum, weight_decay, ...}` */
  readonly groups: readonly Readonly<Record<string, JsonValue>>[]
}

/** A global that a pickle names. */
export interface CodeReference {
  /** `module.qualified.name` */
  readonly name: string
  /** `known`: on the list of harmless globals; `unknown`: not on it; `dangerous`: can run code or touch the system */
  readonly kind: 'known' | 'unknown' | 'dangerous'
  /** how often it is referred to */
  readonly count: number
  readonly file: string
  /** of the first reference, in `file` */
  readonly byteOffset: number
}

export interface CodeListing {
  readonly name: string
  readonly bytes: number
  read(): Promise<string>
}

/** A remark of a reader; `code` is stable, in capitals as those of errors. */
export interface Problem {
  readonly code: string
  readonly message: string
  /** tensor, node or file that it is about */
  readonly subject?: string
}
