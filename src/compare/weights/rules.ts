import type { Entry } from './entry.ts'
import type { Draft, Matching } from './matching.ts'
import { sameShape, type Transform, transformedShape } from './transform.ts'

/** A kernel whose layout breaks the rule of its kind although the rule would have fitted its shape. */
export interface LayoutException {
  readonly draft: Draft
  /** what all others of the kind have */
  readonly rule: string
}

/** What the layouts of all pairs have in common. */
export interface LayoutRules {
  readonly exceptions: readonly LayoutException[]
  /** label of the rule for convolutions; undefined without any */
  readonly convolution?: string | undefined
}

/**
 * One layout rule per kind of kernel, over the whole model: the transform that explains most of its pairs. Kernels
 * that several transforms explain (1 x 1, symmetric) follow the rule; those that it cannot explain are exceptions.
 */
export function settleLayouts(matching: Matching): LayoutRules {
  const kinds = new Map<string, Draft[]>()
  for (const draft of matching.drafts) {
    if (Math.max(draft.reference.dims.length, draft.candidate.dims.length) < 2) continue
    const key = kindOf(draft)
    const same = kinds.get(key)
    if (same) same.push(draft)
    else kinds.set(key, [draft])
  }
  const exceptions: LayoutException[] = []
  let convolution: string | undefined
  for (const [kind, drafts] of kinds) {
    const rule = commonRule(drafts)
    if (kind.startsWith('conv 4')) convolution ??= rule?.label ?? 'unchanged'
    for (const draft of drafts) {
      if (draft.relation === 'different') continue
      const fitting = draft.options.findIndex((option) => isSameMove(option, rule, draft.reference))
      if (fitting >= 0) {
        const option = draft.options[fitting]!
        const named = option !== null && rule !== null && option.label !== rule.label ? rule : option
        draft.options = [named, ...draft.options.filter((_, at) => at !== fitting)]
      } else if (drafts.length > 1 && isPlain(draft) && wouldFit(rule, draft) && !isBenign(draft)) {
        exceptions.push({ draft, rule: rule?.label ?? 'unchanged' })
      }
      const [chosen = null] = draft.options
      if (draft.relation === 'exact' || draft.relation === 'layout')
        draft.relation =
          chosen === null || chosen.kind === 'reshape' || movesNothing(chosen, draft.reference) ? 'exact' : 'layout'
    }
  }
  return { exceptions, convolution }
}

function kindOf({ reference, candidate }: Draft): string {
  const ranks = `${reference.tensor.shape.length} -> ${candidate.tensor.shape.length}`
  const { kind } = reference.group
  if (kind === 'recurrent' || kind === 'embedding' || kind === 'attention') return `${kind} ${ranks}`
  if (reference.tensor.shape.length === 4 || candidate.tensor.shape.length === 4) {
    const depthwise = isDepthwise(reference) || isDepthwise(candidate)
    return `${depthwise ? 'depthwise' : kind === 'conv-transpose' ? 'transposed' : 'conv'} ${ranks}`
  }
  return `dense ${ranks}`
}

/** Three axes at most are wider than 1, and one of the outer ones is not: (C, 1, H, W), (1, H, W, C), (H, W, C, 1). */
function isDepthwise({ tensor, dims }: Entry): boolean {
  const { shape } = tensor
  return shape.length === 4 && dims.length === 3 && (shape[0] === 1 || shape[1] === 1 || shape[3] === 1)
}

/** The transform that explains most of the pairs; among equals the first one listed, which is the plainest. */
function commonRule(drafts: readonly Draft[]): Transform | null {
  const votes = new Map<string, { rule: Transform | null; weight: number }>()
  for (const { options, relation } of drafts) {
    if (relation === 'different') continue
    for (const [at, option] of options.entries()) {
      if (option?.kind === 'flatten') continue
      const key = option?.label ?? 'unchanged'
      const vote = votes.get(key) ?? { rule: option, weight: 0 }
      // a kernel with one explanation says more than one with several
      vote.weight += 1 / options.length + (at === 0 ? 1e-3 : 0)
      votes.set(key, vote)
    }
  }
  const [best] = [...votes.values()].sort((a, b) => b.weight - a.weight)
  return best?.rule ?? null
}

/** Whether two transforms move the values of this tensor alike, whatever they do with axes of size 1. */
function isSameMove(option: Transform | null, rule: Transform | null, { tensor }: Entry): boolean {
  if (option === null || rule === null || option.kind === 'reshape' || rule.kind === 'reshape') {
    return isStill(option, tensor.shape) && isStill(rule, tensor.shape)
  }
  if (option.label === rule.label) return true
  const moved = wideOrder(option, tensor.shape)
  const ruled = wideOrder(rule, tensor.shape)
  return moved !== undefined && ruled !== undefined && moved === ruled
}

const isStill = (transform: Transform | null, shape: readonly number[]) =>
  transform === null || transform.kind === 'reshape' || movesNothingIn(transform, shape)

const movesNothing = (transform: Transform, { tensor }: Entry) => movesNothingIn(transform, tensor.shape)

function movesNothingIn(transform: Transform, shape: readonly number[]): boolean {
  const order = wideOrder(transform, shape)
  return order?.split(',').every((axis, at, all) => at === 0 || Number(all[at - 1]) < Number(axis)) ?? false
}

/** Order of the axes wider than 1; undefined for more than a permutation of the tensor's own axes. */
function wideOrder(transform: Transform, shape: readonly number[]): string | undefined {
  const { permutation, view, reversed, reorder } = transform
  if (permutation?.length !== shape.length || reversed || reorder || (view && !sameShape(view, shape))) return undefined
  return permutation.filter((axis) => shape[axis]! > 1).join()
}

/** Other orders of axes only: what is turned, reversed or shuffled is a fault of its own. */
function isPlain({ options }: Draft): boolean {
  const kind = options[0]?.kind ?? 'reshape'
  return kind === 'reshape' || kind === 'permutation'
}

function wouldFit(rule: Transform | null, { reference, candidate }: Draft): boolean {
  const from = reference.tensor.shape
  const to = candidate.tensor.shape
  if (rule === null) return sameShape(from, to)
  if (rule.permutation?.length !== from.length || rule.view) return false
  return sameShape(transformedShape(from, rule), to)
}

/** The graph itself says that this kernel is stored the other way (Gemm with and without transB). */
function isBenign({ reference, candidate, options }: Draft): boolean {
  if (options.some((option) => option?.kind === 'flatten')) return true
  const [from, to] = [reference.layout, candidate.layout]
  if (!from || !to) return false
  return options.some((option) => {
    const order = option?.permutation
    if (order === undefined) return from === to
    return order.length === from.length && order.map((axis) => from[axis]).join('') === to
  })
}
