import type { AttributeValue, Node } from '../../../model/graph.ts'
import type { AttributeEdit } from '../../../onnx/program.ts'
import type { CauseLabel } from '../../vocabulary.ts'
import { integers } from '../arrays.ts'
import { editsOf } from '../attribute-meanings.ts'
import { type Change, defineHypothesis, type Trial } from '../hypothesis.ts'
import { counterpart, type RegionContext } from '../region-context.ts'
import { dataInputs, type RegionSide, shapeOf } from '../region-side.ts'
import { changeInput, withAttributes } from '../sketch.ts'
import { named, whereInCandidate } from '../wording.ts'

const CONV = /^(Fused|Nhwc)?Conv$/
const POOL = /^(Max|Average|Lp)Pool$/

/** Number of spatial axes of a windowed operator's input. */
const axesOf = (side: RegionSide, node: Node): number => (shapeOf(side, node.inputs[0]!)?.length ?? 4) - 2

const list = (value: AttributeValue | undefined, length: number, fill: number): number[] =>
  Array.isArray(value) ? value.map(Number) : new Array<number>(length).fill(fill)

/** One trial: the reference's operator with other attributes. */
function told(
  context: RegionContext,
  node: Node,
  change: Change,
  label: CauseLabel,
  detail: string,
  fix: string,
  prior = 0.93,
): Trial {
  const other = counterpart(context, node)
  const [own, theirs] = [node.outputs[0], other?.outputs[0]]
  return {
    side: 'reference',
    change,
    label,
    parameters: 0,
    prior,
    detail: `${detail} (${named(node)})`,
    fix: `${fix} ${whereInCandidate(other, context.candidate.output)}`,
    ...(own && theirs ? { at: { reference: own, candidate: theirs } } : {}),
  }
}

const ints = (values: readonly number[]): AttributeEdit => ({ ints: values })
const show = (values: readonly number[]) => `[${values.join(', ')}]`

/** Padding at another side, of another amount, or filled in another way. */
export const padding = defineHypothesis({
  id: 'padding',
  stage: 'exact',
  labels: ['padding'],
  how: 'the operator runs with its padding at the end only, at the start only, per side, none, one less and one more; mirrored, repeated and circular in place of zeros',
  trials: (context) =>
    context.reference.nodes
      .filter(({ op }) => CONV.test(op) || POOL.test(op) || op === 'ConvTranspose')
      .flatMap((node) => padTrials(context, node)),
})

function padTrials(context: RegionContext, node: Node): Trial[] {
  const { reference } = context
  const axes = axesOf(reference, node)
  if (axes < 1 || axes > 3) return []
  const own = list(node.attributes.pads, 2 * axes, 0)
  const window = {
    kernel: kernelOf(reference, node),
    dilations: list(node.attributes.dilations, axes, 1),
    strides: list(node.attributes.strides, axes, 1),
    pads: own,
  }
  const begin = own.slice(0, axes)
  const end = own.slice(axes)
  const total = begin.map((value, axis) => value + end[axis]!)
  const none = new Array<number>(axes).fill(0)
  const both = (values: readonly number[]) => [...values, ...values]
  const choices = [
    [...none, ...total],
    [...total, ...none],
    both(none),
    [...total.map((value) => Math.floor(value / 2)), ...total.map((value) => Math.ceil(value / 2))],
    [...total.map((value) => Math.ceil(value / 2)), ...total.map((value) => Math.floor(value / 2))],
    [...begin.map((value) => Math.max(0, value - 1)), ...end.map((value) => value + 1)],
    [...begin.map((value) => value + 1), ...end.map((value) => Math.max(0, value - 1))],
    [...begin.map((value) => Math.max(0, value - 1)), ...end],
    [...begin, ...end.map((value) => Math.max(0, value - 1))],
    [...begin, ...end.map((value) => value + 1)],
    [...begin.map((value) => value + 1), ...end],
    both(begin.map((value) => value + 1)),
    both(begin.map((value) => Math.max(0, value - 1))),
    both(begin.map((value) => value + 2)),
    ...own.flatMap((value, side) => (value > 0 ? [own.map((each, at) => (at === side ? 0 : each))] : [])),
    own.map((_, at) => own[(at + 1) % own.length]!),
  ]
  const seen = new Set([own.join()])
  const trials = choices.flatMap((pads): Trial[] => {
    if (seen.has(pads.join()) || !worthTrying(context, node, { ...window, pads }, window)) return []
    seen.add(pads.join())
    return [
      told(
        context,
        node,
        withAttributes(node, { pads: ints(pads), auto_pad: null }),
        'padding',
        `pads ${show(pads)} in the candidate, ${show(own)} in the reference`,
        `set pads=${show(own)}`,
      ),
    ]
  })
  if (CONV.test(node.op) && own.some((value) => value > 0)) {
    const opset = reference.program.opsets.get('ai.onnx') ?? 17
    const pads = [0, 0, ...begin, 0, 0, ...end]
    for (const mode of opset >= 19 ? ['reflect', 'edge', 'wrap'] : ['reflect', 'edge'])
      trials.push(
        told(
          context,
          node,
          replacePadding(reference, node, pads, mode, axes),
          'padding',
          `padding by "${mode}" in the candidate, by zeros in the reference`,
          'pad with zeros',
        ),
      )
  }
  return trials
}

function replacePadding(side: RegionSide, node: Node, pads: readonly number[], mode: string, axes: number): Change {
  const opset = side.program.opsets.get('ai.onnx') ?? 17
  const change = changeInput(side, node, 0, (sketch, value) =>
    opset >= 11
      ? sketch.add('Pad', [value, sketch.constant(integers(pads))], { mode: { string: mode } })
      : sketch.add('Pad', [value], { mode: { string: mode }, pads: ints(pads) }),
  )
  const nodes = change.replace!.get(node)!
  const last = nodes.at(-1)!
  const edited = { ...last, attributes: { pads: ints(new Array<number>(2 * axes).fill(0)), auto_pad: null } }
  return { replace: new Map([[node, [...nodes.slice(0, -1), edited]]]) }
}

/** Other strides, also exchanged between convolutions of one block, and other dilations. */
export const strides = defineHypothesis({
  id: 'strides-and-dilations',
  stage: 'wide',
  labels: ['stride', 'dilation', 'groups'],
  how: 'the operator runs with strides and dilations of 1 to 4 with fitting pads, strides exchanged between two operators, other group counts',
  trials: (context) => {
    const { reference } = context
    const windowed = reference.nodes.filter(({ op }) => CONV.test(op) || POOL.test(op) || op === 'ConvTranspose')
    const single = windowed.flatMap((node) => {
      const axes = axesOf(reference, node)
      if (axes < 1 || axes > 3) return []
      const own = list(node.attributes.strides, axes, 1)
      const apart = list(node.attributes.dilations, axes, 1)
      const pads = list(node.attributes.pads, 2 * axes, 0)
      const repeated = (value: number) => new Array<number>(axes).fill(value)
      const trials: Trial[] = []
      const kernel = kernelOf(reference, node)
      const window = { kernel, dilations: apart, strides: own, pads }
      for (const stride of [1, 2, 3, 4].map(repeated)) {
        if (stride.join() === own.join() || !worthTrying(context, node, { ...window, strides: stride }, window))
          continue
        const change = withAttributes(node, { strides: ints(stride) })
        trials.push(
          told(
            context,
            node,
            change,
            'stride',
            `strides ${show(stride)} in the candidate, ${show(own)} in the reference`,
            `set strides=${show(own)}`,
          ),
        )
      }
      if (axes === 2 && own[0] !== own[1]) {
        const turned = [own[1]!, own[0]!]
        trials.push(
          told(
            context,
            node,
            withAttributes(node, { strides: ints(turned) }),
            'stride',
            `strides ${show(turned)} in the candidate, ${show(own)} in the reference`,
            `set strides=${show(own)}`,
          ),
        )
      }
      if (kernel.every((size) => size === 1) || node.op === 'AveragePool') return trials
      for (const dilation of [1, 2, 3, 4].map(repeated)) {
        if (dilation.join() === apart.join()) continue
        // pads that keep the size, and the pads as they are
        const grown = pads.map(
          (value, at) =>
            value + Math.floor(((dilation[at % axes]! - apart[at % axes]!) * ((kernel[at % axes] ?? 1) - 1)) / 2),
        )
        for (const fitting of grown.join() === pads.join() ? [pads] : [grown, pads]) {
          if (fitting.some((value) => value < 0)) continue
          if (!worthTrying(context, node, { ...window, dilations: dilation, pads: fitting }, window)) continue
          const change = withAttributes(node, { dilations: ints(dilation), pads: ints(fitting), auto_pad: null })
          trials.push(
            told(
              context,
              node,
              change,
              'dilation',
              `dilations ${show(dilation)} in the candidate, ${show(apart)} in the reference`,
              `set dilations=${show(apart)}`,
            ),
          )
        }
      }
      return trials
    })
    const exchanged = windowed.flatMap((first, at) =>
      windowed.slice(at + 1).flatMap((second): Trial[] => {
        const [a, b] = [
          list(first.attributes.strides, axesOf(reference, first), 1),
          list(second.attributes.strides, axesOf(reference, second), 1),
        ]
        if (a.join() === b.join() || a.length !== b.length) return []
        return [
          told(
            context,
            first,
            {
              replace: new Map([
                [first, [{ from: first, attributes: { strides: ints(b) } }]],
                [second, [{ from: second, attributes: { strides: ints(a) } }]],
              ]),
            },
            'stride',
            `strides ${show(a)} and ${show(b)} of ${named(first)} and ${named(second)} are exchanged in the candidate`,
            `move the stride to ${a.some((value) => value > 1) ? named(first) : named(second)}`,
          ),
        ]
      }),
    )
    return [...single, ...exchanged]
  },
})

interface Window {
  readonly kernel: readonly number[]
  readonly dilations: readonly number[]
  readonly strides: readonly number[]
  readonly pads: readonly number[]
}

/**
 * Whether it is worth running the operator with this window: it fits the padded picture, and the result's sizes stay as
 * they are, or sizes differ at the region's end anyway, or something behind takes any size.
 */
function worthTrying(context: RegionContext, node: Node, tried: Window, own: Window): boolean {
  const { reference, expected, actual } = context
  if (/Pool$/.test(node.op) && tried.pads.some((pad, at) => pad >= tried.kernel[at % tried.kernel.length]!))
    return false
  const sizes = shapeOf(reference, node.inputs[0]!)?.slice(2) ?? []
  const [before, after] = [own, tried].map(({ kernel, dilations, strides, pads }) =>
    sizes.map((size, axis) => {
      const room = size + pads[axis]! + pads[axis + sizes.length]! - dilations[axis]! * (kernel[axis]! - 1) - 1
      return room < 0 ? -1 : Math.floor(room / strides[axis]!) + 1
    }),
  ) as [number[], number[]]
  if (after.includes(-1)) return false
  if (node.op === 'ConvTranspose' || after.join() === before.join()) return true
  return (
    expected[0]?.shape.join() !== actual[0]?.shape.join() ||
    node.outputs[0] === reference.output ||
    reference.nodes.some(({ op }) => /^(Global|Reduce|Resize)/.test(op))
  )
}

function kernelOf(side: RegionSide, node: Node): number[] {
  const stated = node.attributes.kernel_shape
  if (Array.isArray(stated)) return stated.map(Number)
  return [...(side.constants.get(node.inputs[1] ?? '')?.shape.slice(2) ?? [])]
}

/** Poolings over everything, and their opposites. */
const WHOLE_POOLS: Readonly<Record<string, string>> = {
  GlobalMaxPool: 'GlobalAveragePool',
  GlobalAveragePool: 'GlobalMaxPool',
  ReduceMax: 'ReduceMean',
  ReduceMean: 'ReduceMax',
}

/** Another kind of pooling, or one that counts and rounds differently. */
export const pooling = defineHypothesis({
  id: 'pooling',
  stage: 'exact',
  labels: ['pooling-type', 'pooling-ceil-mode', 'pooling-count-include-pad'],
  how: 'the pooling runs as maximum and as average, counting padding or not, rounding its size up or down, with a window one larger or smaller',
  trials: (context) =>
    context.reference.nodes.flatMap((node): Trial[] => {
      const { op } = node
      const whole = WHOLE_POOLS[op]
      if (whole !== undefined)
        return [
          told(
            context,
            node,
            as(node, whole),
            'pooling-type',
            `${whole} in the candidate, ${op} in the reference`,
            `use ${op}`,
          ),
        ]
      if (!/^(Max|Average)Pool$/.test(op)) return []
      const other = op === 'MaxPool' ? 'AveragePool' : 'MaxPool'
      const ceil = Number(node.attributes.ceil_mode ?? 0)
      const counts = Number(node.attributes.count_include_pad ?? 0)
      const trials = [
        told(
          context,
          node,
          withAttributes(node, { ceil_mode: { int: 1 - ceil } }),
          'pooling-ceil-mode',
          `ceil_mode=${1 - ceil} in the candidate, ${ceil} in the reference`,
          `set ceil_mode=${ceil}`,
        ),
        ...[0, 1].map((include) =>
          told(
            context,
            node,
            as(node, other, other === 'AveragePool' ? { count_include_pad: { int: include } } : {}),
            'pooling-type',
            `${other} in the candidate, ${op} in the reference`,
            `use ${op}`,
          ),
        ),
      ]
      if (op === 'AveragePool')
        trials.push(
          told(
            context,
            node,
            withAttributes(node, { count_include_pad: { int: 1 - counts } }),
            'pooling-count-include-pad',
            `count_include_pad=${1 - counts} in the candidate, ${counts} in the reference`,
            `set count_include_pad=${counts}`,
          ),
        )
      return trials
    }),
})

/** The node under another operator, with the attributes that both know. */
function as(node: Node, op: string, more: Record<string, AttributeEdit> = {}): Change {
  const attributes = { ...editsOf(node), ...more }
  if (op === 'MaxPool') delete attributes.count_include_pad
  if (op === 'AveragePool') {
    delete attributes.storage_order
    if (!('dilations' in node.attributes) || list(node.attributes.dilations, 0, 1).every((value) => value === 1))
      delete attributes.dilations
  }
  return { replace: new Map([[node, [{ op, inputs: node.inputs, outputs: node.outputs.slice(0, 1), attributes }]]]) }
}

const COORDINATES = ['half_pixel', 'pytorch_half_pixel', 'asymmetric', 'align_corners', 'half_pixel_symmetric'] as const
const MODES = ['nearest', 'linear', 'cubic'] as const
const ROUNDING = ['floor', 'round_prefer_floor', 'round_prefer_ceil', 'ceil'] as const

/** Resize under other rules. */
export const resizing = defineHypothesis({
  id: 'resizing',
  stage: 'exact',
  labels: ['resize-mode', 'resize-coordinates'],
  how: 'the resize runs with each rule of coordinates, each kernel (nearest with four roundings, linear, cubic with -0.5 and -0.75, antialiased)',
  applies: ({ reference }) => reference.nodes.some(({ op }) => op === 'Resize'),
  trials: (context) =>
    context.reference.nodes
      .filter(({ op }) => op === 'Resize')
      .flatMap((node) => {
        const mode = String(node.attributes.mode ?? 'nearest')
        const coordinates = String(node.attributes.coordinate_transformation_mode ?? 'half_pixel')
        const rounding = String(node.attributes.nearest_mode ?? 'round_prefer_floor')
        const trials: Trial[] = []
        const opset = context.reference.program.opsets.get('ai.onnx') ?? 17
        const add = (
          attributes: Record<string, AttributeEdit>,
          label: CauseLabel,
          what: string,
          own: string,
          prior: number,
        ) =>
          trials.push(
            told(
              context,
              node,
              withAttributes(node, attributes),
              label,
              `${what} in the candidate, ${own} in the reference`,
              `use ${own}`,
              prior,
            ),
          )
        for (const rule of COORDINATES)
          if (rule !== coordinates && (rule !== 'half_pixel_symmetric' || opset >= 19))
            add({ coordinate_transformation_mode: { string: rule } }, 'resize-coordinates', rule, coordinates, 0.94)
        for (const kernel of MODES) {
          for (const rule of COORDINATES.slice(0, 4)) {
            const roundings = kernel === 'nearest' ? ROUNDING : [rounding]
            for (const nearest of roundings) {
              if (kernel === mode && (kernel !== 'nearest' || nearest === rounding)) continue
              add(
                {
                  mode: { string: kernel },
                  coordinate_transformation_mode: { string: rule },
                  nearest_mode: { string: nearest },
                },
                'resize-mode',
                `${kernel}${kernel === 'nearest' ? ` (${nearest})` : ''}, ${rule}`,
                `${mode}, ${coordinates}`,
                rule === coordinates ? 0.93 : 0.9,
              )
            }
          }
        }
        if (mode === 'cubic') {
          const own = Number(node.attributes.cubic_coeff_a ?? -0.75)
          add(
            { cubic_coeff_a: { float: own === -0.5 ? -0.75 : -0.5 } },
            'resize-mode',
            'another cubic coefficient',
            show([own]),
            0.93,
          )
        }
        if (opset >= 18) {
          const own = Number(node.attributes.antialias ?? 0)
          add({ antialias: { int: 1 - own } }, 'resize-mode', `antialias=${1 - own}`, `antialias=${own}`, 0.92)
        }
        return trials
      }),
})

/** Softmax, and what normalises like it, over another axis. */
export const softmaxAxis = defineHypothesis({
  id: 'softmax-axis',
  stage: 'exact',
  labels: ['softmax-axis', 'activation-type'],
  how: 'the softmax runs over every axis, and as its logarithm',
  applies: ({ reference, candidate }) => [...reference.nodes, ...candidate.nodes].some(({ op }) => /Softmax$/.test(op)),
  trials: (context) =>
    (['reference', 'candidate'] as const).flatMap((role) =>
      context[role].nodes
        .filter(({ op }) => op === 'Softmax' || op === 'LogSoftmax')
        .flatMap((node) => {
          const side = context[role]
          const [source] = dataInputs(side, node)
          const rank = shapeOf(side, source ?? '')?.length ?? 0
          const axis = Number(node.attributes.axis ?? -1)
          const own = axis < 0 ? axis + rank : axis
          const axes = Array.from({ length: rank }, (_, at) => at).filter((at) => at !== own)
          return axes.map((other): Trial => {
            const [mine, theirs] = role === 'reference' ? [own, other] : [other, own]
            return {
              side: role,
              change: withAttributes(node, { axis: { int: other } }),
              label: 'softmax-axis',
              parameters: 0,
              prior: role === 'reference' ? 0.95 : 0.94,
              detail: `softmax over axis ${theirs} in the candidate, over axis ${mine} in the reference (of ${rank})`,
              fix:
                role === 'reference'
                  ? `set axis=${own} ${whereInCandidate(counterpart(context, node), context.candidate.output)}`
                  : `set axis=${other} in ${named(node)}`,
            }
          })
        }),
    ),
})
