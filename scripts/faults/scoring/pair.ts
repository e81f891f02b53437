/** One row of a corpus' index.json: paths are relative to the corpus. */
export interface Pair {
  readonly id: string
  readonly reference: string
  readonly candidate: string
  readonly inputs: readonly { readonly file: string; readonly candidateFile?: string }[]
}

/** Where one planted fault shows: what counts as the right place, and the labels that count as its cause. */
export interface Planted {
  readonly faultClass: string
  readonly causesAccepted: readonly string[]
  readonly subtle: boolean
  readonly first: { readonly referenceTensor: string; readonly candidateTensor: string }
  readonly accept: { readonly referenceTensors: readonly string[]; readonly candidateTensors: readonly string[] }
  readonly near: { readonly referenceTensors: readonly string[]; readonly candidateTensors: readonly string[] }
}

/** truth.json of a pair that is the same: what was changed. */
export interface BenignTruth {
  readonly faulty: false
  readonly architecture: string
  readonly variant: string
  readonly split?: Split
  readonly change: string
}

/** truth.json of a pair with one fault, or with more in `further`, in the reference's order. */
export interface FaultyTruth extends Planted {
  readonly faulty: true
  readonly architecture: string
  readonly variant: string
  readonly split?: Split
  readonly further?: readonly Planted[]
}

export type Truth = BenignTruth | FaultyTruth

/** development: thresholds may be tuned on it; held-out: architecture and class of fault both unseen; mixed: one of them. */
export type Split = 'development' | 'held-out' | 'mixed'

/** A cause as a comparison named it. */
export interface NamedCause {
  readonly label: string
  readonly proved: boolean
}

/** A place that a comparison calls faulty. */
export interface NamedPlace {
  readonly referenceTensor: string | null
  readonly candidateTensor: string | null
  readonly causes: readonly NamedCause[]
}

/** What a comparison answered, cut down to what is scored. */
export interface Answer {
  readonly verdict: 'match' | 'mismatch' | 'not-compared' | 'error'
  /** why it failed, or the one sentence of the report */
  readonly summary: string
  readonly first: NamedPlace | null
  /** every region judged different, in the reference's order */
  readonly regions: readonly NamedPlace[]
  readonly coverage: { readonly total: number; readonly compared: number; readonly skipped: number }
  /** skipped values that the report names */
  readonly listed: number
  readonly milliseconds: number
}
