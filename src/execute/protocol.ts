import type { Dtype } from '../tensor/dtype.ts'

/** What a worker thread is asked, and what comes back. Plain data: it crosses a thread border. */
export type WorkerRequest =
  | {
      readonly kind: 'open'
      readonly session: number
      readonly model: Uint8Array
      readonly externalFolder?: string
      readonly threads: number
    }
  | {
      readonly kind: 'run'
      readonly session: number
      readonly feeds: readonly WireValue[]
      readonly fetches: readonly string[]
    }
  | { readonly kind: 'release'; readonly session: number }

export type WorkerReply =
  | {
      readonly kind: 'opened'
      readonly inputs: readonly WireInput[]
      readonly outputs: readonly string[]
      readonly version: string
    }
  | { readonly kind: 'ran'; readonly values: readonly WireValue[] }
  | { readonly kind: 'released' }
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
