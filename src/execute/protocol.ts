import type { Dtype } from '../tensor/dtype.ts'
import type { ValueSketch } from '../tensor/sketch.ts'

/** What a worker thread is asked, and what comes back. Plain data: it crosses a thread border. */
export type WorkerRequest = OpenRequest | RunRequest | StepRequest | PutRequest | DropRequest | ReleaseRequest

export interface OpenRequest {
  readonly kind: 'open'
  readonly session: number
  readonly model: Uint8Array
  readonly externalFolder?: string
  readonly threads: number
}

/** One forward pass, values given and results sent back. */
export interface RunRequest {
  readonly kind: 'run'
  readonly session: number
  readonly feeds: readonly WireValue[]
  readonly fetches: readonly string[]
}

/** One forward pass on values that the thread keeps; results stay with it but where they are asked for. */
export interface StepRequest {
  readonly kind: 'step'
  readonly session: number
  readonly feeds: readonly StepFeed[]
  readonly fetches: readonly StepFetch[]
}

export interface StepFeed {
  readonly name: string
  /** key of the kept value */
  readonly kept: string
}

export interface StepFetch {
  readonly name: string
  /** keep the value under this key */
  readonly keep?: string
  readonly sketch: boolean
  /** send the value back */
  readonly send: boolean
}

/** Keeps values that later steps take. */
export interface PutRequest {
  readonly kind: 'put'
  /** `name` is the key */
  readonly values: readonly WireValue[]
}

export interface DropRequest {
  readonly kind: 'drop'
  readonly keys: readonly string[]
}

export interface ReleaseRequest {
  readonly kind: 'release'
  readonly session: number
}

export type WorkerReply =
  | {
      readonly kind: 'opened'
      readonly inputs: readonly WireInput[]
      readonly outputs: readonly string[]
      readonly version: string
      /** the memory of the model, to be used again */
      readonly memory: ArrayBuffer
    }
  | { readonly kind: 'ran'; readonly values: readonly WireValue[] }
  | { readonly kind: 'stepped'; readonly results: readonly StepResult[] }
  | { readonly kind: 'done' }
  | { readonly kind: 'failed'; readonly code: 'MISSING_PEER' | 'CANNOT_RUN'; readonly message: string }

export interface StepResult {
  readonly name: string
  readonly dtype: Dtype
  readonly shape: readonly number[]
  /** absent for text, which has no numbers */
  readonly sketch?: ValueSketch
  readonly value?: WireValue
}

export interface WireInput {
  readonly name: string
  readonly dtype: string
  readonly shape: readonly (number | string)[]
}

export interface WireValue {
  readonly name: string
  readonly dtype: Dtype
  readonly shape: readonly number[]
  readonly bytes: Uint8Array
  /** text elements, which have no fixed width */
  readonly text?: readonly string[]
}
