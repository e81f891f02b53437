import type { FoundDifference } from '../compare/accounted/expected.ts'
import type { UnpairedTensor, WeightCause, WeightComparison, WeightPair } from '../compare/weights/comparison.ts'
import type { Layer } from '../layers/layer.ts'
import type { Node } from '../model/graph.ts'
import type { Comparison } from '../report/comparison.ts'
import type { RegionReport } from '../report/regions.ts'
import { BELOW_ROUNDING } from './hidden-differences.ts'

/** The two halves of a comparison and what the files say, to give every difference all its names. */
export interface DifferenceSources {
  readonly weights: WeightComparison
  readonly report: Pick<Comparison, 'regions' | 'outputs' | 'behaviour'>
  readonly layers: readonly [readonly Layer[], readonly Layer[]]
  readonly nodes: readonly [readonly Node[], readonly Node[]]
  /** of the reference's and the candidate's value, where they were observed */
  readonly shapes: (reference: string, candidate: string) => FoundDifference['shapes'] | undefined
}

/** A found difference and the thing that it was made of. */
export type Difference = FoundDifference &
  (
    | { readonly of: 'cause'; readonly cause: WeightCause; readonly at: number }
    | { readonly of: 'pair'; readonly pair: WeightPair }
    | { readonly of: 'tensor'; readonly side: 'reference' | 'candidate'; readonly tensor: UnpairedTensor }
    | { readonly of: 'region'; readonly region: RegionReport }
    | { readonly of: 'output'; readonly output: Comparison['outputs'][number] }
  )

/**
 * Every difference of a comparison, harmless ones too: an expected difference may be one of them. Where both models
 * ran, regions and outputs decide, and of the files only what runs cannot show.
 */
export function foundDifferences(sources: DifferenceSources): Difference[] {
  const { weights, report } = sources
  const ran = report.behaviour.verdict !== 'not-compared'
  const owners = sources.layers.map(ownersOf) as [Owners, Owners]
  const labels = (names: readonly string[]) =>
    weights.causes
      .filter((cause) => placesOf(cause).some(({ all }) => all.some((name) => names.includes(name))))
      .map(({ label }) => label)
  const causes = weights.causes.flatMap((cause) =>
    placesOf(cause).map(
      ({ reference, candidate }, at): Difference => ({
        of: 'cause',
        cause,
        at,
        reference,
        candidate,
        kinds: [cause.label],
        ...(cause.values ? { values: cause.values } : {}),
        decides: cause.decides && (!ran || BELOW_ROUNDING.has(cause.label)),
        text: cause.detail,
      }),
    ),
  )
  const pairs = weights.pairs
    .filter(({ accepted }) => !accepted)
    .map((pair): Difference => {
      const reference = withOwners(pair.referenceTensors, owners[0])
      const candidate = withOwners(pair.candidateTensors, owners[1])
      const named = labels([...reference, ...candidate])
      return {
        of: 'pair',
        pair,
        reference,
        candidate,
        kinds: named.length > 0 ? named : ['weight-stale'],
        decides: !ran,
        text: `values of "${pair.reference}" and "${pair.candidate}" differ (relative ${pair.maxRel.toPrecision(3)})`,
      }
    })
  return [...causes, ...pairs, ...loneTensors(weights, owners, ran), ...regions(sources), ...outputs(sources)]
}

type Owners = ReadonlyMap<string, readonly string[]>

/** Tensor name -> names of the layers that hold it. */
function ownersOf(layers: readonly Layer[]): Owners {
  const owners = new Map<string, string[]>()
  for (const { name, weights } of layers)
    for (const { tensor } of weights) owners.set(tensor, [...(owners.get(tensor) ?? []), name])
  return owners
}

const withOwners = (tensors: readonly string[], owners: Owners) => [
  ...new Set(tensors.flatMap((name) => [name, ...(owners.get(name) ?? [])])),
]

function placesOf(cause: WeightCause) {
  const { referenceLayer, candidateLayer, referenceTensor, candidateTensor, alsoIn = [] } = cause
  const names = (...all: (string | undefined)[]) => all.filter((name) => name !== undefined && name !== '') as string[]
  const place = (reference: string[], candidate: string[]) => ({
    reference,
    candidate,
    all: [...reference, ...candidate],
  })
  return [
    place(names(referenceLayer, referenceTensor), names(candidateLayer, candidateTensor)),
    ...alsoIn.map((layers) => place(names(layers.reference), names(layers.candidate))),
  ]
}

/**
 * Tensors without partner. Two of them that are alike but for one or two sizes are one difference of shape as well:
 * a head for another number of classes has no values in common with the old one.
 */
function loneTensors({ unpaired }: WeightComparison, owners: readonly [Owners, Owners], ran: boolean): Difference[] {
  const free = unpaired.candidate.filter(({ matters }) => matters)
  const partners = new Map<UnpairedTensor, UnpairedTensor>()
  for (const tensor of unpaired.reference.filter(({ matters }) => matters)) {
    const alike = free.filter((other) => isResized(tensor.shape, other.shape))
    const partner = alike.find(({ name }) => name === tensor.name) ?? alike[0]
    if (partner === undefined) continue
    free.splice(free.indexOf(partner), 1)
    partners.set(tensor, partner).set(partner, tensor)
  }
  return (['reference', 'candidate'] as const).flatMap((side) =>
    unpaired[side].map((tensor): Difference => {
      const partner = partners.get(tensor)
      const names = (own: UnpairedTensor | undefined, at: 0 | 1) => (own ? withOwners([own.name], owners[at]) : [])
      const [left, right] = side === 'reference' ? [tensor, partner] : [partner, tensor]
      return {
        of: 'tensor',
        side,
        tensor,
        reference: names(left, 0),
        candidate: names(right, 1),
        kinds: [...(left && right ? ['shape'] : []), side === 'reference' ? 'removed' : 'new'],
        ...(left && right ? { shapes: [left.shape, right.shape] as const } : {}),
        decides: tensor.matters && !ran,
        text:
          left && right
            ? `"${left.name}" [${left.shape.join(', ')}] against "${right.name}" [${right.shape.join(', ')}]`
            : `"${tensor.name}" [${tensor.shape.join(', ')}] is in the ${side} only`,
      }
    }),
  )
}

/** As many axes, and at least half of the sizes (none of a vector's one) the same, in any order. */
function isResized(reference: readonly number[], candidate: readonly number[]): boolean {
  if (reference.length !== candidate.length || reference.length === 0) return false
  const rest = [...candidate]
  for (const size of reference) if (rest.includes(size)) rest.splice(rest.indexOf(size), 1)
  return rest.length > 0 && rest.length <= Math.ceil(reference.length / 2)
}

function regions({ report, nodes, weights, shapes }: DifferenceSources): Difference[] {
  const inputs = nodes.map((list) => new Map(list.map((node) => [node.name, node.inputs])))
  return report.regions
    .filter(({ state }) => state === 'different' || state === 'suspicious')
    .map((region): Difference => {
      const names = (side: 0 | 1) => {
        const own = side === 0 ? region.referenceNodes : region.candidateNodes
        const end = side === 0 ? region.reference : region.candidate
        const cut = new Set(region.cut.map((pair) => (side === 0 ? pair.reference : pair.candidate)))
        const taken = own
          .flatMap(({ name }) => inputs[side]!.get(name) ?? [])
          .filter((name) => !cut.has(name) && name !== '')
        return [...new Set([end, ...own.map(({ name }) => name), ...taken])]
      }
      const [reference, candidate] = [names(0), names(1)]
      const sizes = shapes(region.reference, region.candidate)
      const isResizedHere = sizes !== undefined && sizes[0].join() !== sizes[1].join() && region.relL2 === null
      const proved = region.causes.filter((cause) => cause.proved)
      const likely = (proved.length > 0 ? proved : region.causes.slice(0, 1)).map(({ label }) => label)
      const stated = weights.causes.find(
        (cause) =>
          likely.includes(cause.label) &&
          placesOf(cause).some(({ all }) => all.some((name) => [...reference, ...candidate].includes(name))),
      )
      return {
        of: 'region',
        region,
        reference,
        candidate,
        kinds: [...likely, ...(isResizedHere ? ['shape'] : []), ...structuralKinds(region)],
        ...(stated?.values ? { values: stated.values } : {}),
        ...(isResizedHere && sizes ? { shapes: sizes } : {}),
        decides: true,
        text: region.causes[0]?.detail ?? region.reason ?? `"${region.reference}" differs when computed alone`,
      }
    })
}

/** Operators that say nothing about what is computed. */
const MOVING = new Set(['Identity', 'Transpose', 'Reshape', 'Squeeze', 'Unsqueeze', 'Cast', 'Dropout', 'Constant'])

function structuralKinds({ referenceNodes, candidateNodes }: RegionReport): string[] {
  const count = (nodes: readonly { op: string }[], op: string) => nodes.filter((node) => node.op === op).length
  const ops = [...new Set([...referenceNodes, ...candidateNodes].map(({ op }) => op))].filter((op) => !MOVING.has(op))
  const isNew = ops.some((op) => count(candidateNodes, op) > count(referenceNodes, op))
  const isRemoved = ops.some((op) => count(candidateNodes, op) < count(referenceNodes, op))
  return [...(isNew ? ['new'] : []), ...(isRemoved ? ['removed'] : [])]
}

function outputs({ report }: DifferenceSources): Difference[] {
  return report.outputs
    .filter(({ status }) => status === 'different')
    .map((output): Difference => {
      const { reference, candidate, referenceShape, candidateShape } = output
      const resized = candidateShape !== null && candidateShape.join() !== referenceShape.join()
      return {
        of: 'output',
        output,
        reference: [reference],
        candidate: candidate === null ? [] : [candidate],
        kinds: candidate === null ? ['removed'] : resized ? ['shape'] : [],
        ...(resized ? { shapes: [referenceShape, candidateShape] as const } : {}),
        decides: true,
        text: resized
          ? `output "${reference}" [${referenceShape.join(', ')}] against [${candidateShape.join(', ')}]`
          : `output "${reference}" differs`,
      }
    })
}
