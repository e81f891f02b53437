import type { Job } from './explore.ts'

/** Memory that worker and pool share: two counters, then the case that runs. */
export interface Window {
  /** [case number, length of the encoded case]; the number is odd while a case runs */
  readonly counters: Int32Array
  readonly content: Uint8Array
}

const WINDOW_BYTES = 4 << 20

export function createWindow(): SharedArrayBuffer {
  return new SharedArrayBuffer(8 + WINDOW_BYTES)
}

export function openWindow(shared: SharedArrayBuffer): Window {
  return { counters: new Int32Array(shared, 0, 2), content: new Uint8Array(shared, 8) }
}

/** What the pool asks: a job, or one case again. */
export type Request = { kind: 'job'; job: Job } | { kind: 'case'; encoded: Uint8Array }

/** Counts since the last report. */
export interface Counts {
  inputs: number
  read: number
  refused: number
  other: number
  slowestMs: number
  peakBytes: number
}

export type FailureKind = 'crash' | 'hang' | 'memory'

export interface Failure {
  readonly kind: FailureKind
  readonly format: string
  readonly signature: string
  readonly detail: string
  readonly encoded: Uint8Array
}

export type Reply =
  | { kind: 'ready' }
  | { kind: 'counts'; counts: Counts }
  | { kind: 'failure'; failure: Failure }
  | { kind: 'done'; found: number; covered: number; signatures: readonly string[] }
  | { kind: 'case-done'; milliseconds: number }

/** A case that takes longer hangs, when it does so again in a fresh thread. */
export const DEADLINE_MS = 1000
