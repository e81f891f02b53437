import type { Node } from '../../model/graph.ts'
import type { FragmentNode } from '../../onnx/program.ts'
import { numbersOf } from '../../tensor/array-value.ts'
import type { CauseLabel } from '../vocabulary.ts'
import { ACTIVATION_OPS } from './activation-ops.ts'
import {
  attributeOf,
  differingAttributes,
  editOf,
  editsOf,
  habit,
  labelOfAttribute,
  showAttribute,
} from './attribute-meanings.ts'
import { type ConstantDifference, constantDifferences } from './constant-differences.ts'
import { foreignWeight } from './foreign-weight.ts'
import { defineHypothesis, type Trial } from './hypothesis.ts'
import { labelOfReshuffle } from './moved-axes.ts'
import type { RegionContext } from './region-context.ts'
import { dataInputs } from './region-side.ts'
import { named } from './wording.ts'

/** A change of the candidate's own node towards the reference's. */
const repair = (change: Trial['change'], told: Pick<Trial, 'label' | 'detail' | 'fix'> & Partial<Trial>): Trial => ({
  side: 'candidate',
  change,
  parameters: 0,
  prior: 0.97,
  observed: true,
  ...told,
})

/** Attributes that the two files state differently, each put right alone. */
export const statedAttributes = defineHypothesis({
  id: 'stated-attributes',
  stage: 'stated',
  labels: [
    'bn-epsilon',
    'layernorm-epsilon',
    'padding',
    'stride',
    'dilation',
    'groups',
    'softmax-axis',
    'concat-order',
    'flatten-order',
    'pooling-ceil-mode',
    'pooling-count-include-pad',
    'resize-coordinates',
    'resize-mode',
    'activation-parameter',
    'activation-type',
    'clip-range',
    'sequence-order',
    'lstm-gate-order',
    'channel-order',
    'attention-scale',
    'attention-mask',
    'constant-value',
    'weight-transposed',
    'dtype-cast',
    'dropout-active',
    'pooling-type',
    'bn-statistics',
  ],
  how: "the candidate's operator runs with the reference's value of one attribute",
  trials: (context) =>
    pairs(context).flatMap(([mine, theirs]) => (mine.op === theirs.op ? attributeTrials(context, mine, theirs) : [])),
})

function attributeTrials(context: RegionContext, mine: Node, theirs: Node): Trial[] {
  // pads follow from the others, the rule of coordinates from the kernel
  const order = (name: string) =>
    ['pads', 'strides', 'dilations', 'nearest_mode', 'coordinate_transformation_mode', 'mode'].indexOf(name)
  const at = { reference: mine.outputs[0]!, candidate: theirs.outputs[0]! }
  const differing = differingAttributes(mine, theirs).sort((a, b) => order(b) - order(a))
  const trials = differing.flatMap((name): Trial[] => {
    const value = mine.attributes[name]
    const axes = Array.isArray(theirs.attributes[name]) ? theirs.attributes[name].length : undefined
    const wanted = attributeOf(mine, name, axes === undefined ? undefined : name === 'pads' ? axes / 2 : axes)
    const edit = editOf(name, value)
    if (edit === undefined) return []
    const label = contextLabel(context, mine, theirs, name)
    const has = attributeOf(
      theirs,
      name,
      Array.isArray(value) ? (name === 'pads' ? value.length / 2 : value.length) : undefined,
    )
    const detail = `${name} ${showAttribute(has)} in the candidate, ${showAttribute(wanted)} in the reference${habit(label, has)}`
    return [
      repair(
        { replace: new Map([[theirs, [{ from: theirs, attributes: { [name]: edit } }]]]) },
        { label, detail, fix: `set ${name}=${showAttribute(wanted)} in ${named(theirs)}`, at },
      ),
    ]
  })
  if (trials.length < 2) return trials
  const all = Object.fromEntries(differing.map((name) => [name, editOf(name, mine.attributes[name]) ?? null]))
  const first = trials[0]!
  return [
    ...trials,
    repair(
      { replace: new Map([[theirs, [{ from: theirs, attributes: all }]]]) },
      {
        label: first.label,
        also: trials.slice(1).map(({ label }) => label),
        prior: 0.9,
        at,
        detail: trials.map(({ detail }) => detail).join('; '),
        fix: trials.map(({ fix }) => fix).join('; '),
      },
    ),
  ]
}

function contextLabel(context: RegionContext, mine: Node, theirs: Node, name: string): CauseLabel {
  if (mine.op === 'Transpose' && name === 'perm') return labelOfReshuffle(context.reference, mine)
  if (mine.op === 'FusedConv' || mine.op === 'FusedGemm') {
    const [a, b] = [mine.attributes.activation, theirs.attributes.activation]
    if (name.startsWith('activation_') && a === 'Clip') return 'clip-range'
    if (name === 'activation' && a === undefined) return 'activation-extra'
    if (name === 'activation' && b === undefined) return 'activation-missing'
  }
  return labelOfAttribute(mine.op, name)
}

const pairs = ({ matches }: RegionContext): [Node, Node][] =>
  matches.flatMap(({ reference, candidate }) =>
    reference && candidate ? [[reference, candidate] as [Node, Node]] : [],
  )

/** Stored values that differ in the same place, each put right alone; then all of a node together. */
export const statedConstants = defineHypothesis({
  id: 'stated-constants',
  stage: 'stated',
  labels: [
    'weight-stale',
    'weight-permuted',
    'weight-transposed',
    'weight-quantised',
    'weight-swapped',
    'kernel-flipped',
    'input-channel-order',
    'bias-missing',
    'bn-statistics',
    'bn-affine',
    'lstm-gate-order',
    'position-embedding',
    'constant-value',
    'input-normalisation',
    'attention-scale',
    'attention-mask',
    'clip-range',
    'activation-parameter',
  ],
  how: "the candidate's operator runs with the reference's values in place of one stored array; the two arrays say what is wrong",
  async trials(context) {
    const trials: Trial[] = []
    for (const [mine, theirs] of pairs(context)) {
      const found = constantDifferences(context, mine, theirs)
      const told = await Promise.all(found.map((each) => constantTrial(context, each)))
      trials.push(...told)
      const names = new Set(found.map(({ name }) => name))
      if (names.size > 1) {
        const one = [...names].map((name) => found.find((each) => each.name === name)!)
        const order = [...one].sort((a, b) => numbersOf(b.found).length - numbersOf(a.found).length)
        const largest = told[found.indexOf(order[0]!)]!
        trials.push(
          repair(
            { constants: new Map(one.map(({ name, wanted }) => [name, wanted])) },
            {
              label: largest.label,
              ...(largest.also ? { also: largest.also } : {}),
              prior: 0.9,
              detail: one.map(({ what }) => what).join('; '),
              fix: `load ${one.map(({ place }) => place.word).join(', ')} of ${named(theirs)} from the reference's ${named(mine)}`,
            },
          ),
        )
      }
    }
    return trials
  },
})

async function constantTrial(context: RegionContext, found: ConstantDifference): Promise<Trial> {
  const { reference: mine, candidate: theirs, place, name, wanted, what } = found
  const foreign = found.label === 'weight-stale' && place.trained ? await foreignWeight(context, found) : undefined
  const label = foreign?.label ?? found.label
  return repair(
    { constants: new Map([[name, wanted]]) },
    {
      label,
      also: foreign ? [found.label, ...found.also] : found.also,
      detail: foreign?.what ?? what,
      fix: fixFor(
        label,
        place.word,
        mine,
        theirs,
        wanted.shape.length === 0 || numbersOf(wanted).length === 1 ? numbersOf(wanted)[0] : undefined,
      ),
    },
  )
}

function fixFor(label: CauseLabel, word: string, mine: Node, theirs: Node, value: number | undefined): string {
  const at = named(theirs)
  if (value !== undefined) return `set the ${word} to ${Number(value.toPrecision(7))} in ${at}`
  switch (label) {
    case 'kernel-flipped':
      return `rotate the ${word} of ${at} by 180 degrees before it is stored`
    case 'input-channel-order':
      return `reverse the input channels of the ${word} of ${at}, or give it the picture in the other order of colours`
    case 'weight-transposed':
      return `transpose the ${word} of ${at} as the reference's ${named(mine)} has it`
    case 'weight-permuted':
      return `store the ${word} of ${at} in the reference's order`
    case 'lstm-gate-order':
      return `re-order the gate blocks of the ${word} of ${at}`
    case 'weight-quantised':
      return `store the ${word} of ${at} without rounding to few levels`
    default:
      return `load the ${word} of ${at} from the reference's ${named(mine)}`
  }
}

/** Operators of one family that are not the same: the reference's in the candidate's place. */
export const statedOperators = defineHypothesis({
  id: 'stated-operators',
  stage: 'stated',
  labels: ['activation-type', 'pooling-type', 'resize-mode', 'constant-value', 'layer-missing', 'clip-range'],
  how: "the reference's operator runs in the place of the candidate's other one",
  trials: (context) =>
    pairs(context).flatMap(([mine, theirs]): Trial[] => {
      if (mine.op === theirs.op) return []
      const label = labelOfFamily(mine, theirs)
      const [source] = dataInputs(context.candidate, theirs)
      if (label === undefined || source === undefined) return []
      const constants = new Map(context.reference.constants)
      const inputs = mine.inputs.map((name) => (constants.has(name) ? `${name}~` : source))
      if (dataInputs(context.reference, mine).length !== 1) return []
      const node: FragmentNode = {
        op: mine.op,
        domain: mine.domain,
        inputs,
        outputs: [theirs.outputs[0]!],
        attributes: editsOf(mine),
      }
      return [
        repair(
          {
            replace: new Map([[theirs, [node]]]),
            constants: new Map(
              mine.inputs.flatMap((name) => (constants.has(name) ? [[`${name}~`, constants.get(name)!] as const] : [])),
            ),
          },
          {
            label,
            detail: `${theirs.op} in the candidate, ${mine.op} in the reference`,
            fix: `use ${mine.op} in place of ${named(theirs)}`,
          },
        ),
      ]
    }),
})

function labelOfFamily(mine: Node, theirs: Node): CauseLabel | undefined {
  if (/Pool/.test(mine.op) || /^Reduce/.test(mine.op)) return 'pooling-type'
  if (/Softmax/.test(mine.op)) return 'softmax-axis'
  return ACTIVATION_OPS.has(mine.op) && ACTIVATION_OPS.has(theirs.op) ? 'activation-type' : undefined
}

/** Inputs of an operator that come in another order, told by what they correspond to. */
export const swappedInputs = defineHypothesis({
  id: 'swapped-inputs',
  stage: 'stated',
  labels: ['concat-order', 'residual-missing', 'layer-missing'],
  how: "the operator runs with its inputs in the reference's order",
  trials: (context) =>
    pairs(context).flatMap(([mine, theirs]): Trial[] => {
      if (mine.op !== theirs.op || mine.inputs.length !== theirs.inputs.length) return []
      const wanted = mine.inputs.map((name, at) => context.partners.get(name) ?? theirs.inputs[at]!)
      if (wanted.every((name, at) => name === theirs.inputs[at])) return []
      const sameParts = [...wanted].sort().join('\n') === [...theirs.inputs].sort().join('\n')
      if (!sameParts || (mine.op !== 'Concat' && !/^(Sub|Div|MatMul|Where|Pow)$/.test(mine.op))) return []
      const order = theirs.inputs.map((name) => wanted.indexOf(name))
      return [
        repair(
          { replace: new Map([[theirs, [{ from: theirs, inputs: wanted }]]]) },
          {
            label: 'concat-order',
            detail: `the candidate ${mine.op === 'Concat' ? 'concatenates' : 'takes'} the reference's parts in the order ${order.join(', ')}`,
            fix: `give ${named(theirs)} its inputs in the reference's order: ${mine.inputs.join(', ')}`,
          },
        ),
      ]
    }),
})
