import type { Dtype } from '../tensor/dtype.ts'

/** What the session asks its worker thread, and what comes back. Plain data: it crosses a thread border. */
export type WorkerRequest =
  | { readonly kind: 'open'; readonly model: Uint8Array; readonly externalFolder?: string; readonly threads: number }
  | { readonly kind: 'run'; readonly feeds: readonly WireValue[]; readonly fetches: readonly string[] }

export type WorkerReply =
  | {
      readonly kind: 'opened'
      readonly inputs: readonly WireInput[]
      readonly outputs: readonly string[]
      readonly version: string
    }
  | { readonly kind: 'ran'; readonly values: readonly WireValue[] }
  | { readonly kind: 'failed'; readonly code: 'MISSING_PEER' | 'CANNOT_RUN'; readonly message: string }

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
