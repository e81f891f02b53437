import { findFlag, findNumber, findNumbers } from './attributes.ts'
import type { Draft } from './draft.ts'
import { kernelAxes } from './macs.ts'
import { broadcastShapes, normalizeAxis, reshapeTo, type Shape } from './shape.ts'
import { squeezeShape, unsqueezeShape } from './shape-values.ts'
import { spatialAxes, transposedWindowShape, windowShape } from './window.ts'

/** One layer with what is known of its operands. */
export interface ShapeCall {
  readonly draft: Draft
  /** of the inputs that are no weights */
  readonly inputs: readonly Shape[]
  /** of all operands, weights included */
  readonly operands: readonly Shape[]
  /** operand values, where known */
  readonly values: readonly (readonly number[] | undefined)[]
  shapeOf(value: string): Shape
}

/** Shapes of a layer's outputs; undefined entries where the layer or an input is not understood. */
export function inferLayerShapes(call: ShapeCall): readonly Shape[] {
  const { draft, inputs, operands } = call
  // an initializer can stand where an activation is expected
  const input = inputs[0] ?? operands[0]
  const { attributes } = draft
  switch (draft.kind) {
    case 'conv':
      return [windowShape(input, withKernel(call), channelsOf(call))]
    case 'conv-transpose':
      return [attributes.shape ?? transposedWindowShape(input, withKernel(call), channelsOf(call))]
    case 'pool': {
      const shape = windowShape(input, attributes, undefined)
      return draft.outputs.map(() => shape)
    }
    case 'global-pool':
      return [globalPool(input, draft)]
    case 'dense':
      return [denseShape(input, draft, channelsOf(call))]
    case 'flatten': {
      const axis = attributes.axis ?? 1
      if (input === undefined) return [undefined]
      return [[product(input.slice(0, axis)), product(input.slice(axis))]]
    }
    case 'reshape':
      return [reshapeRule(call)]
    case 'transpose': {
      const order = attributes.permutation ?? input?.map((_, i) => input.length - 1 - i)
      return [input && order?.length === input.length ? order.map((axis) => input[axis] ?? null) : undefined]
    }
    case 'add':
    case 'multiply':
      return [broadcastShapes(operands.length > 0 ? operands : inputs)]
    case 'concat':
      return [concatShape(operands.length > 0 ? operands : inputs, attributes.axis ?? 1)]
    case 'pad':
      return [padShape(input, draft)]
    case 'resize':
      return [resizeShape(input, draft)]
    case 'embedding': {
      const width = draft.weights[0] && call.shapeOf(draft.weights[0].tensor)?.at(-1)
      return [input && width !== undefined ? [...input, width] : undefined]
    }
    case 'recurrent':
      return recurrentShapes(input, draft)
    case 'attention':
    case 'constant':
    case 'input':
      return draft.outputs.map(() => undefined)
    case 'batch-norm':
    case 'norm':
    case 'activation':
    case 'softmax':
      return [input]
    case 'dropout':
      // the second output is its mask
      return draft.outputs.map(() => input)
    case 'other':
      return otherShapes(call)
    default:
      draft.kind satisfies never
      return []
  }
}

function channelsOf({ draft, shapeOf }: ShapeCall): number | null {
  if (draft.attributes.outputSize !== undefined) return draft.attributes.outputSize
  const axes = draft.pointwise ? kernelAxes({ kernel: draft.pointwise }, shapeOf) : kernelAxes(draft, shapeOf)
  const outputs = axes?.get('O')
  if (outputs !== undefined) {
    return draft.kind === 'conv-transpose' && outputs !== null ? outputs * (draft.attributes.groups ?? 1) : outputs
  }
  const channels = axes?.get('C')
  return channels === undefined || channels === null ? null : channels * (axes?.get('M') ?? 1)
}

/** Attributes with the kernel's size taken from the kernel where the file does not repeat it. */
function withKernel({ draft, shapeOf }: ShapeCall): Draft['attributes'] {
  if (draft.attributes.kernelSize !== undefined) return draft.attributes
  const axes = kernelAxes(draft, shapeOf)
  const sizes = [...(draft.kernel?.layout ?? '')]
    .filter((letter) => 'DHW'.includes(letter))
    .map((letter) => axes?.get(letter))
  return sizes.every((size) => typeof size === 'number') ? { ...draft.attributes, kernelSize: sizes } : draft.attributes
}

function denseShape(input: Shape, { attributes: { axis } }: Draft, units: number | null): Shape {
  if (input === undefined || input.length === 0) return undefined
  const kept = axis === undefined ? input.slice(0, -1) : input.slice(0, axis)
  return [...kept, units]
}

/** Keras: [batch, steps, units], the last step alone unless asked for; ONNX: all steps, then the last state(s). */
function recurrentShapes(input: Shape, { attributes, node, outputs }: Draft): readonly Shape[] {
  const units = attributes.outputSize
  if (input?.length !== 3 || units === undefined) return outputs.map(() => undefined)
  const [first = null, second = null] = input
  if (node.attributes.hidden_size === undefined) {
    return [findFlag(node.attributes, 'return_sequences') ? [first, second, units] : [first, units]]
  }
  const directions = node.attributes.direction === 'bidirectional' ? 2 : 1
  const state = [directions, second, units]
  return outputs.map((_, i) => (i === 0 ? [first, ...state] : state))
}

function globalPool(input: Shape, { attributes, node }: Draft): Shape {
  if (input === undefined) return undefined
  const { spatial, channel } = spatialAxes(input.length, attributes.dataFormat)
  // Keras drops the axes unless keepdims; ONNX, TFLite and Caffe keep them at size one
  const isKept = findFlag(node.attributes, 'keepdims') ?? !/Pooling[123]D$/.test(node.op)
  return isKept ? input.map((size, i) => (spatial.includes(i) ? 1 : size)) : [input[0] ?? null, input[channel] ?? null]
}

function reshapeRule({ draft, inputs, operands, values }: ShapeCall): Shape {
  const input = inputs[0] ?? operands[0]
  const target = draft.attributes.shape ?? values[1]
  if (target === undefined) return undefined
  const zeroKeeps = findFlag(draft.node.attributes, 'allowzero') !== true
  return reshapeTo(input, target, zeroKeeps)
}

function concatShape(shapes: readonly Shape[], axis: number): Shape {
  const [first] = shapes
  const at = first && normalizeAxis(axis, first.length)
  if (first === undefined || at === undefined) return undefined
  let sum: number | null = 0
  for (const shape of shapes) {
    if (shape?.length !== first.length) return undefined
    const size: number | null = shape[at] ?? null
    sum = sum === null || size === null ? null : sum + size
  }
  return first.map((size, i) => (i === at ? sum : size))
}

function padShape(input: Shape, { attributes: { padding, dataFormat } }: Draft): Shape {
  if (input === undefined || typeof padding !== 'object') return undefined
  const { begin, end } = padding
  // a list as long as the rank pads every axis, a shorter one the spatial axes
  const axes = begin.length === input.length ? input.map((_, i) => i) : spatialAxes(input.length, dataFormat).spatial
  if (axes.length !== begin.length) return undefined
  const result = [...input]
  axes.forEach((axis, i) => {
    const size = input[axis] ?? null
    result[axis] = size === null ? null : size + (begin[i] ?? 0) + (end[i] ?? 0)
  })
  return result
}

function resizeShape(input: Shape, { attributes: { scales, shape, dataFormat } }: Draft): Shape {
  if (input === undefined) return undefined
  const { spatial } = spatialAxes(input.length, dataFormat)
  const list = shape ?? scales
  if (list === undefined) return undefined
  const axes = list.length === input.length ? input.map((_, i) => i) : spatial
  if (axes.length !== list.length) return undefined
  const result = [...input]
  axes.forEach((axis, i) => {
    const size = input[axis] ?? null
    result[axis] = shape ? (shape[i] ?? null) : size === null ? null : Math.floor(size * (scales?.[i] ?? 1))
  })
  return result
}

/** Axes given as an attribute or as the second operand. */
function axesOf({ draft, values }: ShapeCall): readonly number[] | undefined {
  return findNumbers(draft.node.attributes, 'axes', 'axis', 'squeeze_dims', 'dim') ?? values[1]
}

type Rule = (call: ShapeCall) => readonly Shape[]

const unchanged: Rule = ({ operands: [input] }) => [input]
const broadcast: Rule = ({ operands }) => [broadcastShapes(operands)]

const reduce: Rule = (call) => {
  const [input] = call.operands
  if (input === undefined) return [undefined]
  const axes = axesOf(call)?.map((axis) => normalizeAxis(axis, input.length)) ?? input.map((_, i) => i)
  const attributes = call.draft.node.attributes
  // ONNX keeps the axes unless told not to; TensorFlow and TFLite drop them
  const isKept = findFlag(attributes, 'keepdims', 'keep_dims') ?? call.draft.node.domain.startsWith('ai.onnx')
  return [isKept ? input.map((size, i) => (axes.includes(i) ? 1 : size)) : input.filter((_, i) => !axes.includes(i))]
}

/** Operators without a kind, by name in lower case without underscores. */
const OTHER_RULES: Readonly<Record<string, Rule>> = {
  ...Object.fromEntries(
    (
      'identity cast abs neg exp log sqrt rsqrt square reciprocal floor ceil round sign erf not quantize dequantize ' +
      'quantizelinear dequantizelinear dynamicquantizelinear fakequant fakequantwithminmaxvars lrn stopgradient copy ' +
      'qlinearsigmoid qlinearleakyrelu qlinearsoftmax channelshuffle shufflechannel silence checknumerics cos sin cumsum'
    )
      .split(' ')
      .map((name) => [name, unchanged]),
  ),
  ...Object.fromEntries(
    'sub subtract average div realdiv floordiv pow mod minimum maximum min max equal less greater lessequal greaterequal and or xor squareddifference where select selectv2 biasadd'
      .split(' ')
      .map((name) => [name, broadcast]),
  ),
  ...Object.fromEntries(
    'reducemean reducesum reducemax reducemin reduceprod reducel2 mean sum max all any prod argmax argmin'
      .split(' ')
      .filter((name) => name !== 'max' && name !== 'sum')
      .map((name) => [name, reduce]),
  ),
  sum: (call) => (call.draft.node.domain.startsWith('ai.onnx') ? broadcast(call) : reduce(call)),
  max: (call) => (call.draft.node.domain.startsWith('ai.onnx') ? broadcast(call) : reduce(call)),
  squeeze: (call) => [squeezeShape(call.operands[0], axesOf(call))],
  unsqueeze: (call) => [unsqueezeShape(call.operands[0], axesOf(call) ?? [])],
  expanddims: (call) => [unsqueezeShape(call.operands[0], axesOf(call) ?? [])],
  shape: ({ draft: { node }, operands: [input] }) => [
    input && [input.slice(findNumber(node.attributes, 'start'), findNumber(node.attributes, 'end')).length],
  ],
  gather: ({ draft, operands: [data, indices] }) => {
    const axis = data && normalizeAxis(findNumber(draft.node.attributes, 'axis') ?? 0, data.length)
    if (data === undefined || indices === undefined || axis === undefined) return [undefined]
    return [[...data.slice(0, axis), ...indices, ...data.slice(axis + 1)]]
  },
  matmul: matmulRule,
  batchmatmul: matmulRule,
  batchmatmulv2: matmulRule,
  qlinearmatmul: (call) => matmulRule({ ...call, operands: [call.operands[0], call.operands[3]] }),
  matmulinteger: matmulRule,
  // ONNX Runtime: a, its scale and zero point, then b
  qlinearadd: ({ operands: [left, , , right] }) => [broadcastShapes([left, right])],
  qlinearmul: ({ operands: [left, , , right] }) => [broadcastShapes([left, right])],
  constantofshape: ({ values: [shape] }) => [shape],
  constantfill: ({ values: [shape] }) => [shape],
  fill: ({ values: [shape] }) => [shape],
  expand: ({ operands: [input], values: [, shape] }) => [shape && broadcastShapes([input, shape])],
  tile: ({ operands: [input], values: [, repeats] }) => [
    input && repeats?.length === input.length
      ? input.map((size, i) => (size === null ? null : size * repeats[i]!))
      : undefined,
  ],
  slice: sliceRule,
  split: splitRule,
  depthtospace: (call) => [blockRule(call, -1)],
  spacetodepth: (call) => [blockRule(call, 1)],
}

function otherShapes(call: ShapeCall): readonly Shape[] {
  const key = call.draft.op.toLowerCase().replaceAll('_', '')
  return Object.hasOwn(OTHER_RULES, key) ? OTHER_RULES[key]!(call) : call.draft.outputs.map(() => undefined)
}

function matmulRule({ draft, operands: [left, right] }: ShapeCall): readonly Shape[] {
  if (left === undefined || right === undefined || left.length < 2 || right.length < 2) return [undefined]
  const { adj_x, adj_y, transpose_a, transpose_b } = draft.node.attributes
  const rows = left.at(adj_x === true || transpose_a === true ? -1 : -2) ?? null
  const columns = right.at(adj_y === true || transpose_b === true ? -2 : -1) ?? null
  const batch = broadcastShapes([left.slice(0, -2), right.slice(0, -2)])
  return [batch && [...batch, rows, columns]]
}

/** ONNX: starts, ends, axes, steps as operands (since 10) or attributes; TensorFlow: begin, size. */
function sliceRule({ draft, operands: [input], values }: ShapeCall): readonly Shape[] {
  if (input === undefined) return [undefined]
  const attributes = draft.node.attributes
  const starts = findNumbers(attributes, 'starts') ?? values[1]
  const ends = findNumbers(attributes, 'ends') ?? values[2]
  if (starts === undefined || ends === undefined) return [undefined]
  if (!draft.node.domain.startsWith('ai.onnx')) {
    return [input.map((size, i) => (ends[i] === -1 ? (size === null ? null : size - starts[i]!) : (ends[i] ?? null)))]
  }
  const axes = findNumbers(attributes, 'axes') ?? values[3] ?? starts.map((_, i) => i)
  const steps = values[4] ?? starts.map(() => 1)
  const result = [...input]
  axes.forEach((axis, i) => {
    const at = normalizeAxis(axis, input.length)
    const size = at === undefined ? null : (input[at] ?? null)
    if (at === undefined || size === null) return
    const step = Math.abs(steps[i] ?? 1)
    const clamp = (bound: number) => Math.min(Math.max(bound < 0 ? bound + size : bound, 0), size)
    const span = Math.abs(clamp(ends[i] ?? size) - clamp(starts[i] ?? 0))
    result[at] = Math.ceil(span / step)
  })
  return [result]
}

function splitRule({ draft, operands: [first, second], values }: ShapeCall): readonly Shape[] {
  const count = draft.outputs.length
  // TensorFlow's and TFLite's Split take the axis first
  const isOnnx = draft.node.domain.startsWith('ai.onnx')
  const input = isOnnx ? first : second
  const axis = isOnnx ? (findNumber(draft.node.attributes, 'axis') ?? 0) : values[0]?.[0]
  const at = input && axis !== undefined ? normalizeAxis(axis, input.length) : undefined
  if (input === undefined || at === undefined) return draft.outputs.map(() => undefined)
  const sizes = isOnnx ? (findNumbers(draft.node.attributes, 'split') ?? values[1]) : undefined
  const whole = input[at] ?? null
  return draft.outputs.map((_, k) => {
    const equal = whole === null ? null : Math.ceil(whole / count)
    return input.map((size, i) => (i === at ? (sizes?.[k] ?? equal) : size))
  })
}

function blockRule({ draft, operands: [input] }: ShapeCall, direction: 1 | -1): Shape {
  const block = findNumber(draft.node.attributes, 'blocksize', 'block_size')
  if (input?.length !== 4 || block === undefined || block < 1) return undefined
  const isFirst = draft.node.domain.startsWith('ai.onnx') || draft.attributes.dataFormat === 'channels-first'
  const { channel, spatial } = spatialAxes(4, isFirst ? 'channels-first' : 'channels-last')
  return input.map((size, i) => {
    if (size === null) return null
    if (i === channel) return size * block ** (2 * direction)
    return spatial.includes(i) ? size * block ** -direction : size
  })
}

function product(sizes: readonly (number | null)[]): number | null {
  return sizes.reduce((total, size) => (total === null || size === null ? null : total * size), 1 as number | null)
}
