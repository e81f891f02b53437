import type { WeightCause } from './comparison.ts'
import type { Entry } from './entry.ts'
import { findEpsilonCauses } from './epsilon-causes.ts'
import { findFlattenCauses } from './flatten-causes.ts'
import { gateOrderIsExpected } from './gates.ts'
import type { Draft, Matching } from './matching.ts'
import type { LayoutRules } from './rules.ts'
import { findSwapped } from './swapped.ts'

/** Causes with notes: what explains the pairs that are not as they should be, and what is odd but harmless. */
export interface WeightFindings {
  readonly causes: WeightCause[]
  readonly notes: string[]
}

/** A cause at the layer of a pair. */
export function causeAt(
  { reference, candidate }: Pick<Draft, 'reference' | 'candidate'>,
  cause: Pick<WeightCause, 'label' | 'confidence' | 'proved' | 'detail'> & { decides?: boolean },
): WeightCause {
  return {
    decides: true,
    ...cause,
    referenceLayer: reference.group.name,
    candidateLayer: candidate.group.name,
    referenceTensor: reference.name,
    candidateTensor: candidate.name,
    order: reference.group.order,
  }
}

/**
 * Names what is wrong. Pairs whose layout is a fault (channels reversed, a kernel turned, one dense layer transposed
 * unlike the others, the wrong flatten order) lose their acceptance here.
 */
export function findWeightCauses(matching: Matching, rules: LayoutRules): WeightFindings {
  const causes: WeightCause[] = []
  const notes: string[] = []
  for (const { draft, rule } of rules.exceptions) {
    draft.accepted = false
    causes.push(
      causeAt(draft, {
        label: 'weight-transposed',
        confidence: 0.9,
        proved: true,
        detail: `kernel of "${draft.candidate.group.name}" is ${draft.options[0]?.label ?? 'unchanged'}; all others of its kind are ${rule}`,
      }),
    )
  }
  for (const draft of matching.drafts) causes.push(...layoutFaults(matching, draft))
  causes.push(
    ...valueFaults(matching),
    ...missingFaults(matching),
    ...findFlattenCauses(matching),
    ...findSwapped(matching),
  )
  const epsilon = findEpsilonCauses(matching)
  causes.push(...epsilon.causes)
  notes.push(...epsilon.notes)
  if (rules.convolution?.includes('H and W swapped'))
    notes.push(
      'every convolution kernel has height and width swapped against the reference: the same function on a transposed picture (MATLAB heritage of Caffe models)',
    )
  return { causes, notes }
}

/** What is added to tokens: (1, N, D), no kernel of a layer. */
const isPositionTable = ({ reference, candidate }: Draft) =>
  reference.tensor.shape.length === 3 &&
  reference.tensor.shape[0] === 1 &&
  [reference, candidate].some(({ group, name }) => group.kind === 'add' || /pos(ition)?(al)?[._]?emb/i.test(name))

function layoutFaults(matching: Matching, draft: Draft): WeightCause[] {
  const [transform] = draft.options
  const proved = { confidence: 0.95, proved: true }
  const refuse = (cause: Parameters<typeof causeAt>[1]) => {
    draft.accepted = false
    return [causeAt(draft, cause)]
  }
  switch (transform?.kind) {
    case 'channels-reversed':
      return isFirstKernel(matching, draft)
        ? refuse({
            label: 'input-channel-order',
            ...proved,
            detail: 'input channels of the first kernel are in reverse order (RGB for BGR)',
          })
        : refuse({ label: 'weight-permuted', ...proved, detail: `${transform.label}` })
    case 'flip':
      return refuse({ label: 'kernel-flipped', ...proved, detail: transform.label })
    case 'gates':
      return gateOrderIsExpected(matching, draft)
        ? []
        : refuse({ label: 'lstm-gate-order', ...proved, detail: `${transform.label} of the reference's` })
    case 'reorder':
      return refuse({
        label: isPositionTable(draft) ? 'position-embedding' : 'weight-permuted',
        ...proved,
        detail: transform.label,
      })
    default:
      return []
  }
}

/** Colours, or colours and opacity: what a first layer reads has no more channels in an order of its own. */
const MAX_IMAGE_CHANNELS = 4

/** A kernel that reads the picture itself: what is in reverse has at most as many entries as a picture has channels. */
function isFirstKernel({ drafts }: Matching, draft: Draft): boolean {
  const kernels = drafts.filter(({ reference }) => reference.dims.length >= 3)
  const first = kernels.every(({ reference }) => draft.reference.group.order <= reference.group.order)
  const [axis] = draft.options[0]?.reversed ?? []
  if (axis === undefined) return false
  const { layout, tensor } = draft.candidate
  const isInput = layout?.[axis] === 'I'
  return (tensor.shape[axis] ?? 9) <= MAX_IMAGE_CHANNELS || (first && isInput)
}

/** Tensors whose values differ: a bias at zero, statistics at their start, a kernel never loaded, another training. */
function valueFaults(matching: Matching): WeightCause[] {
  const wrong = matching.drafts.filter(({ relation }) => relation === 'different' || relation === 'close')
  const faulty = wrong.filter(({ accepted }) => !accepted)
  const informative = matching.drafts.filter(({ reference }) => reference.print.constant === undefined)
  const others = informative.filter(({ accepted }) => accepted).length
  if (faulty.length > 8 && others < 0.1 * faulty.length) {
    const first = [...faulty].sort((a, b) => a.reference.group.order - b.reference.group.order)[0]!
    return [
      causeAt(first, {
        label: 'weight-stale',
        confidence: 0.8,
        proved: false,
        detail: `${faulty.length} of ${matching.drafts.length} tensors differ: another training or another checkpoint`,
      }),
    ]
  }
  return faulty.map((draft) => causeAt(draft, nameFault(draft, others / Math.max(1, informative.length))))
}

function nameFault(draft: Draft, agreement: number): Parameters<typeof causeAt>[1] {
  const { reference, candidate, detail = '' } = draft
  const confidence = Math.min(0.9, 0.4 + 0.5 * agreement)
  const subject = `"${candidate.name}" against "${reference.name}"`
  const start = initialValues(candidate)
  const about = start === undefined ? detail : `${start} in the candidate`
  if (detail.startsWith('the same values'))
    return { label: 'weight-permuted', confidence: 0.7, proved: true, detail: `${subject}: ${detail}` }
  if (draft.levels !== undefined)
    return {
      label: 'weight-quantised',
      confidence: 0.8,
      proved: true,
      detail: `${subject}: ${draft.levels} distinct values only, and no scale stored; ${detail}`,
    }
  if ((candidate.role === 'bias' || reference.role === 'bias') && candidate.print.constant === 0)
    return { label: 'bias-missing', confidence: 0.95, proved: true, detail: `${subject}: all zeros in the candidate` }
  if (reference.role === 'mean' || reference.role === 'variance')
    return { label: 'bn-statistics', confidence, proved: start !== undefined, detail: `${subject}: ${about}` }
  if (reference.role === 'gamma' || reference.role === 'beta')
    return { label: 'bn-affine', confidence, proved: start !== undefined, detail: `${subject}: ${about}` }
  return { label: 'weight-stale', confidence, proved: false, detail: `${subject}: ${about}` }
}

/** What a tensor at a typical starting value looks like. */
function initialValues({ print, dims }: Entry): string | undefined {
  if (print.constant === 0) return 'all zeros'
  if (print.constant === 1) return 'all ones'
  if (print.constant !== undefined) return `all ${print.constant}`
  // a uniform distribution has kurtosis 1.8; trained kernels do not
  if (dims.length >= 2 && print.count >= 200 && Math.abs(print.kurtosis - 1.8) < 0.12)
    return 'evenly distributed as after initialisation, never loaded'
  return undefined
}

/** Biases and whole layers of the reference without a partner, although their neighbours have one. */
function missingFaults(matching: Matching): WeightCause[] {
  const causes: WeightCause[] = []
  for (const side of ['reference', 'candidate'] as const) {
    const missing = matching[side].entries.filter(
      (entry) => !matching.taken.has(entry) && entry.owned && !matching.copies.has(entry) && !addsNothing(entry),
    )
    for (const group of new Set(missing.map((entry) => entry.group))) {
      const entries = missing.filter((entry) => entry.group === group)
      const partner = matching.partners.get(group)
      const [first] = entries
      const place =
        side === 'reference'
          ? { referenceLayer: group.name, ...(partner ? { candidateLayer: partner.name } : {}), order: group.order }
          : {
              candidateLayer: group.name,
              ...(partner ? { referenceLayer: partner.name } : {}),
              order: partner?.order ?? 1e9,
            }
      const names = entries.map(({ name }) => `"${name}"`).join(', ')
      if (side === 'reference' && partner && entries.length === 1 && first!.role === 'bias') {
        causes.push({
          label: 'bias-missing',
          confidence: 0.9,
          proved: true,
          decides: true,
          detail: `the candidate has no ${names}`,
          ...place,
        })
      } else if (!partner) {
        const label = side === 'reference' ? 'layer-missing' : 'layer-extra'
        const other = side === 'reference' ? 'candidate' : 'reference'
        causes.push({
          label,
          confidence: 0.4,
          proved: false,
          decides: false,
          detail: `${names}: no counterpart in the ${other}`,
          ...place,
        })
      }
    }
  }
  return causes
}

const addsNothing = ({ print, role }: Entry) =>
  (print.constant === 0 && role !== 'variance' && role !== 'kernel') || (print.constant === 1 && role === 'gamma')
