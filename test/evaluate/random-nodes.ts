import { normal, seededRandom } from '../../src/compare/random.ts'
import { type Dtype, elementCount } from '../../src/tensor/dtype.ts'
import type { TestAttribute, TestNode } from '../build/onnx-node.ts'

/** A node with values for its inputs. */
export interface RandomNode extends TestNode {
  readonly values: readonly (readonly number[] | undefined)[]
}

/** What the makers of random nodes draw from. */
class Draw {
  readonly #random: () => number
  constructor(seed: number) {
    this.#random = seededRandom(seed)
  }
  real = (low: number, high: number) => Math.fround(low + (high - low) * this.#random())
  int = (low: number, high: number) => Math.floor(low + (high - low + 1) * this.#random())
  chance = (share = 0.5) => this.#random() < share
  one = <T>(list: readonly T[]): T => list[this.int(0, list.length - 1)]!
  list = <T>(count: number, make: (index: number) => T): T[] => Array.from({ length: count }, (_, index) => make(index))
  /** a shape of rank `low` to `high`, sizes 1 to `size` */
  shape = (low: number, high: number, size = 5) => this.list(this.int(low, high), () => this.int(1, size))
  normals = (shape: readonly number[], scale = 1) => {
    return this.list(elementCount(shape), () => Math.fround(normal(this.#random) * scale))
  }
  shuffled = <T>(list: readonly T[]): T[] => {
    const rest = [...list]
    return list.map(() => rest.splice(this.int(0, rest.length - 1), 1)[0]!)
  }
}

type Given = readonly [dtype: Dtype, shape: readonly number[], values: readonly number[]] | undefined

interface Parts {
  readonly opset: number
  readonly domain?: string
  readonly attributes?: Readonly<Record<string, TestAttribute | undefined>> | undefined
  readonly inputs: readonly Given[]
  readonly outputs?: readonly (Dtype | null)[]
}

type Maker = (draw: Draw) => Parts

const f32 = (shape: readonly number[], values: readonly number[]): Given => ['float32', shape, values]
const i64 = (values: readonly number[], shape: readonly number[] = [values.length]): Given => ['int64', shape, values]

/** Two shapes that broadcast to one another. */
function broadcastPair(draw: Draw): [number[], number[]] {
  const shape = draw.shape(0, 4)
  const thin = (list: readonly number[]) => list.map((size) => (draw.chance(0.3) ? 1 : size))
  const shorter = thin(shape).slice(draw.int(0, shape.length))
  return draw.chance() ? [thin(shape), shorter] : [shorter, shape]
}

const unary = (
  opset: number,
  low: number,
  high: number,
  attributes: (draw: Draw) => Parts['attributes'] = () => ({}),
): Maker => {
  return (draw) => {
    const shape = draw.shape(0, 4)
    const values = draw.list(elementCount(shape), () => draw.real(low, high))
    return { opset, attributes: attributes(draw), inputs: [f32(shape, values)] }
  }
}

const binary = (opset: number, low = -3, high = 3, output: Dtype = 'float32'): Maker => {
  return (draw) => {
    const [left, right] = broadcastPair(draw)
    const values = (shape: readonly number[]) => draw.list(elementCount(shape), () => draw.real(low, high))
    return { opset, inputs: [f32(left, values(left)), f32(right, values(right))], outputs: [output] }
  }
}

/** Attributes of a window over `spatial` axes that fits. */
function windowFor(draw: Draw, spatial: readonly number[], kernel: readonly number[], dilated = true) {
  const rank = spatial.length
  const auto = draw.chance(0.3) ? draw.one(['SAME_UPPER', 'SAME_LOWER', 'VALID']) : undefined
  // where the stride is larger than the kernel, runtimes disagree on "same" padding
  const stride = (axis: number) => draw.int(1, auto?.startsWith('SAME') ? Math.min(3, kernel[axis]!) : 3)
  const dilations = dilated && auto === undefined ? draw.list(rank, () => draw.int(1, 2)) : undefined
  return {
    strides: draw.list(rank, stride),
    ...(dilations ? { dilations } : {}),
    ...(auto ? { auto_pad: auto } : { pads: draw.list(2 * rank, (axis) => draw.int(0, kernel[axis % rank]! - 1)) }),
  }
}

const conv: Maker = (draw) => {
  const rank = draw.int(1, 3)
  const group = draw.int(1, 3)
  const [perGroup, filters] = [draw.int(1, 4), draw.int(1, 5) * group]
  const spatial = draw.list(rank, () => draw.int(7, 11))
  const kernel = draw.list(rank, () => draw.int(1, 4))
  const [x, w] = [
    [draw.int(1, 2), perGroup * group, ...spatial],
    [filters, perGroup, ...kernel],
  ]
  return {
    opset: draw.one([1, 11, 22]),
    attributes: { group, kernel_shape: kernel, ...windowFor(draw, spatial, kernel) },
    inputs: [
      f32(x, draw.normals(x)),
      f32(w, draw.normals(w)),
      draw.chance() ? f32([filters], draw.normals([filters])) : undefined,
    ],
  }
}

const convTranspose: Maker = (draw) => {
  const rank = draw.int(1, 2)
  const group = draw.int(1, 3)
  const [channels, perGroup] = [group * draw.int(1, 3), draw.int(1, 3)]
  const spatial = draw.list(rank, () => draw.int(4, 6))
  const kernel = draw.list(rank, () => draw.int(2, 4))
  const strides = draw.list(rank, () => draw.int(1, 3))
  const dilations = draw.list(rank, () => draw.int(1, 2))
  const sizes = draw.chance(0.3)
    ? {
        output_shape: spatial.map((size, axis) => size * strides[axis]! + draw.int(0, 1)),
        auto_pad: draw.one(['SAME_UPPER', 'SAME_LOWER', 'NOTSET']),
      }
    : {
        pads: draw.list(2 * rank, () => draw.int(0, 1)),
        output_padding: strides.map((stride) => draw.int(0, stride - 1)),
      }
  const [x, w] = [
    [draw.int(1, 2), channels, ...spatial],
    [channels, perGroup, ...kernel],
  ]
  return {
    opset: draw.one([1, 11]),
    attributes: { group, strides, dilations, ...sizes },
    inputs: [
      f32(x, draw.normals(x)),
      f32(w, draw.normals(w)),
      draw.chance() ? f32([perGroup * group], draw.normals([perGroup * group])) : undefined,
    ],
  }
}

const pool = (
  extra: (draw: Draw, opset: number) => Record<string, TestAttribute>,
  opsets: readonly number[],
  outputs?: readonly Dtype[],
): Maker => {
  return (draw) => {
    const rank = draw.int(1, 3)
    const opset = draw.one(opsets)
    const spatial = draw.list(rank, () => draw.int(7, 10))
    const kernel = draw.list(rank, () => draw.int(1, 4))
    const shape = [draw.int(1, 2), draw.int(1, 3), ...spatial]
    const attributes = { kernel_shape: kernel, ...windowFor(draw, spatial, kernel, opset >= 19), ...extra(draw, opset) }
    return { opset, attributes, inputs: [f32(shape, draw.normals(shape))], ...(outputs ? { outputs } : {}) }
  }
}

const ceilMode = (draw: Draw, opset: number): Record<string, TestAttribute> =>
  opset >= 10 ? { ceil_mode: draw.int(0, 1) } : {}

const globalPool: Maker = (draw) => {
  const shape = draw.shape(3, 5, 6)
  return { opset: 11, inputs: [f32(shape, draw.normals(shape))] }
}

const matMul: Maker = (draw) => {
  const [m, k, n] = [draw.int(1, 20), draw.int(1, 600), draw.int(1, 20)]
  const outer = draw.shape(0, 2, 3)
  const a = [...outer, m, k]
  const b = [...(draw.chance() ? outer : outer.map(() => 1)).slice(draw.int(0, outer.length)), k, n]
  const [left, right] = draw.chance(0.2) ? [[k], b] : draw.chance(0.2) ? [a, [k]] : [a, b]
  return { opset: 13, inputs: [f32(left, draw.normals(left)), f32(right, draw.normals(right))] }
}

const gemm = (extra: (draw: Draw) => Parts['attributes'] = () => ({}), domain?: string): Maker => {
  return (draw) => {
    const [m, k, n] = [draw.int(1, 9), draw.int(1, 300), draw.int(1, 9)]
    const [transA, transB] = [draw.int(0, 1), draw.int(0, 1)]
    const [a, b, c] = [transA ? [k, m] : [m, k], transB ? [n, k] : [k, n], draw.one([[], [n], [m, 1], [m, n], [1, n]])]
    return {
      opset: domain ? 1 : 13,
      ...(domain ? { domain } : {}),
      attributes: {
        transA,
        transB,
        alpha: { float: draw.real(0.5, 2) },
        beta: { float: draw.real(-1, 1) },
        ...extra(draw),
      },
      inputs: [f32(a, draw.normals(a)), f32(b, draw.normals(b)), draw.chance() ? f32(c, draw.normals(c)) : undefined],
    }
  }
}

const fusedMatMul: Maker = (draw) => {
  const [m, k, n, outer] = [draw.int(1, 9), draw.int(1, 60), draw.int(1, 9), draw.int(1, 3)]
  const [transA, transB] = [draw.int(0, 1), draw.int(0, 1)]
  const [a, b] = [transA ? [outer, k, m] : [outer, m, k], transB ? [outer, n, k] : [outer, k, n]]
  const attributes = { transA, transB, alpha: { float: draw.real(0.2, 2) } }
  return { opset: 1, domain: 'com.microsoft', attributes, inputs: [f32(a, draw.normals(a)), f32(b, draw.normals(b))] }
}

const fusedConv: Maker = (draw) => {
  const { attributes, inputs } = conv(draw)
  const [activation, params] = draw.one<[string, number[] | undefined]>([
    ['Relu', undefined],
    ['LeakyRelu', [0.2]],
    ['Sigmoid', undefined],
    ['Tanh', undefined],
    ['Clip', [-0.5, 1.5]],
    ['HardSigmoid', [0.25, 0.4]],
  ])
  const extra = params === undefined ? {} : { activation_params: { floats: params } }
  return { opset: 1, domain: 'com.microsoft', attributes: { ...attributes, activation, ...extra }, inputs }
}

/** [N, C, ...] with lists per channel. */
const perChannel = (
  opset: number,
  lists: readonly ('any' | 'positive')[],
  rank = 2,
  attributes: Parts['attributes'] = {},
): Maker => {
  return (draw) => {
    const shape = [draw.int(1, 2), draw.int(1, 4), ...draw.shape(rank, 3, 5)]
    const given = lists.map((kind) => {
      const values = draw.normals([shape[1]!])
      return f32([shape[1]!], kind === 'any' ? values : values.map((value) => Math.fround(Math.abs(value) + 0.1)))
    })
    return {
      opset,
      attributes: { epsilon: { float: draw.real(1e-5, 1e-2) }, ...attributes },
      inputs: [f32(shape, draw.normals(shape)), ...given],
    }
  }
}

const layerNorm =
  (opset: number, withBias: boolean, statistics: boolean): Maker =>
  (draw) => {
    const shape = draw.shape(2, 4, 6)
    const axis = draw.int(1, shape.length - 1)
    const rest = shape.slice(axis)
    return {
      opset,
      attributes: { axis: draw.chance() ? axis : axis - shape.length, epsilon: { float: 1e-4 } },
      inputs: [
        f32(shape, draw.normals(shape)),
        f32(rest, draw.normals(rest)),
        withBias && draw.chance() ? f32(rest, draw.normals(rest)) : undefined,
      ],
      outputs: statistics ? ['float32', 'float32', 'float32'] : ['float32'],
    }
  }

const groupNorm =
  (opset: number): Maker =>
  (draw) => {
    const groups = draw.int(1, 3)
    const channels = groups * draw.int(1, 3)
    const shape = [draw.int(1, 2), channels, ...draw.shape(1, 2, 5)]
    const list = [opset < 21 ? groups : channels]
    return {
      opset,
      attributes: { num_groups: groups },
      inputs: [f32(shape, draw.normals(shape)), f32(list, draw.normals(list)), f32(list, draw.normals(list))],
    }
  }

const skipLayerNorm =
  (centre: boolean): Maker =>
  (draw) => {
    const shape = [draw.int(1, 2), draw.int(1, 4), 4 * draw.int(1, 4)]
    const list = () => f32([shape[2]!], draw.normals([shape[2]!]))
    const inputs = [f32(shape, draw.normals(shape)), f32(shape, draw.normals(shape)), list()]
    return {
      opset: 1,
      domain: 'com.microsoft',
      attributes: { epsilon: { float: 1e-5 } },
      inputs: centre ? [...inputs, list(), list()] : inputs,
    }
  }

const withAxis =
  (opsets: readonly number[], low = 1): Maker =>
  (draw) => {
    const shape = draw.shape(low, 4)
    const opset = draw.one(opsets)
    const axis = draw.int(opset < 11 ? 0 : -shape.length, shape.length - 1)
    return {
      opset,
      attributes: draw.chance(0.3) && shape.length > 1 ? {} : { axis },
      inputs: [f32(shape, draw.normals(shape))],
    }
  }

const reduce =
  (since: number, positive = false): Maker =>
  (draw) => {
    const shape = draw.shape(1, 4)
    const opset = draw.one([11, since])
    const axes = draw
      .shuffled([...shape.keys()])
      .slice(0, draw.int(0, shape.length))
      .map((axis) => (draw.chance() ? axis : axis - shape.length))
    const x = f32(
      shape,
      draw.list(elementCount(shape), () => draw.real(positive ? 0.1 : -2, 2)),
    )
    const keep = { keepdims: draw.int(0, 1) }
    if (opset < since || since === 11)
      return { opset, attributes: { ...keep, ...(axes.length > 0 ? { axes } : {}) }, inputs: [x] }
    const noop = { noop_with_empty_axes: axes.length === 0 ? draw.int(0, 1) : 0 }
    return { opset, attributes: { ...keep, ...noop }, inputs: [x, axes.length > 0 ? i64(axes) : undefined] }
  }

const arg: Maker = (draw) => {
  const shape = draw.shape(1, 4)
  const attributes = {
    axis: draw.int(-shape.length, shape.length - 1),
    keepdims: draw.int(0, 1),
    select_last_index: draw.int(0, 1),
  }
  return { opset: 13, attributes, inputs: [f32(shape, draw.normals(shape).map(Math.round))], outputs: ['int64'] }
}

const topK: Maker = (draw) => {
  const shape = draw.shape(1, 3, 7)
  const axis = draw.int(0, shape.length - 1)
  const attributes = { axis, largest: draw.int(0, 1) }
  const inputs = [f32(shape, draw.normals(shape).map(Math.round)), i64([draw.int(1, shape[axis]!)])]
  return { opset: 11, attributes, inputs, outputs: ['float32', 'int64'] }
}

const cumSum: Maker = (draw) => {
  const shape = draw.shape(1, 3, 6)
  const attributes = { exclusive: draw.int(0, 1), reverse: draw.int(0, 1) }
  return {
    opset: 14,
    attributes,
    inputs: [f32(shape, draw.normals(shape)), i64([draw.int(-shape.length, shape.length - 1)], [])],
  }
}

const transpose: Maker = (draw) => {
  const shape = draw.shape(1, 5, 4)
  const perm = draw.shuffled([...shape.keys()])
  return { opset: 13, attributes: draw.chance(0.9) ? { perm } : {}, inputs: [f32(shape, draw.normals(shape))] }
}

const slice: Maker = (draw) => {
  const shape = draw.shape(1, 4, 8)
  const axes = draw.shuffled([...shape.keys()]).slice(0, draw.int(1, shape.length))
  const steps = axes.map(() => draw.one([-3, -2, -1, 1, 2, 3]))
  const bound = () => draw.int(-10, 10)
  const inputs = [f32(shape, draw.normals(shape)), i64(axes.map(bound)), i64(axes.map(bound)), i64(axes), i64(steps)]
  return { opset: 13, inputs }
}

const pad: Maker = (draw) => {
  const shape = draw.list(draw.int(1, 4), () => draw.int(4, 6))
  const mode = draw.one(['constant', 'reflect', 'edge', 'wrap'])
  const pads = draw.list(2 * shape.length, () => draw.int(mode === 'constant' || mode === 'edge' ? -1 : 0, 3))
  const inputs = [
    f32(shape, draw.normals(shape)),
    i64(pads),
    mode === 'constant' && draw.chance() ? f32([], [draw.real(-2, 2)]) : undefined,
  ]
  return { opset: 19, attributes: { mode }, inputs }
}

const gather: Maker = (draw) => {
  const shape = draw.shape(1, 4)
  const axis = draw.int(0, shape.length - 1)
  const where = draw.shape(0, 2, 4)
  const indices = draw.list(elementCount(where), () => draw.int(-shape[axis]!, shape[axis]! - 1))
  return { opset: 13, attributes: { axis }, inputs: [f32(shape, draw.normals(shape)), i64(indices, where)] }
}

const gatherElements: Maker = (draw) => {
  const shape = draw.shape(1, 3)
  const axis = draw.int(0, shape.length - 1)
  const where = shape.map((size, at) => (at === axis ? draw.int(1, 6) : draw.int(1, size)))
  const indices = draw.list(elementCount(where), () => draw.int(-shape[axis]!, shape[axis]! - 1))
  return { opset: 13, attributes: { axis }, inputs: [f32(shape, draw.normals(shape)), i64(indices, where)] }
}

const gatherNd: Maker = (draw) => {
  const shape = draw.shape(2, 4)
  const batch = draw.int(0, 1)
  const depth = draw.int(1, shape.length - batch)
  const rows = draw.shape(0, 1, 4)
  const where = [...shape.slice(0, batch), ...rows, depth]
  const indices = draw.list(elementCount(where), (at) => draw.int(0, shape[batch + (at % depth)]! - 1))
  return {
    opset: 13,
    attributes: { batch_dims: batch },
    inputs: [f32(shape, draw.normals(shape)), i64(indices, where)],
  }
}

const scatterElements: Maker = (draw) => {
  const shape = draw.shape(1, 3)
  const axis = draw.int(0, shape.length - 1)
  const where = shape.map((size, at) => (at === axis ? size : draw.int(1, size)))
  // each place once: which of two updates wins is not defined
  const rows = draw.shuffled([...Array.from({ length: shape[axis]! }).keys()])
  const after = elementCount(where.slice(axis + 1))
  const indices = draw.list(elementCount(where), (at) => rows[Math.floor(at / after) % where[axis]!]!)
  const attributes = { axis, reduction: draw.one(['none', 'add', 'mul', 'max', 'min']) }
  return {
    opset: 18,
    attributes,
    inputs: [f32(shape, draw.normals(shape)), i64(indices, where), f32(where, draw.normals(where))],
  }
}

const scatterNd: Maker = (draw) => {
  const shape = draw.shape(2, 3)
  const rows = draw.shuffled([...Array.from({ length: shape[0]! }).keys()]).slice(0, draw.int(1, shape[0]!))
  const updates = [rows.length, ...shape.slice(1)]
  const attributes = { reduction: draw.one(['none', 'add', 'mul', 'max', 'min']) }
  return {
    opset: 18,
    attributes,
    inputs: [f32(shape, draw.normals(shape)), i64(rows, [rows.length, 1]), f32(updates, draw.normals(updates))],
  }
}

const reshape: Maker = (draw) => {
  const shape = [draw.int(1, 4), 2 * draw.int(1, 3), draw.int(1, 4)]
  return { opset: 13, inputs: [f32(shape, draw.normals(shape)), i64(draw.one([[0, -1], [-1, 2], [0, 2, -1], [-1]]))] }
}

const expand: Maker = (draw) => {
  const shape = draw.shape(1, 4)
  const thin = shape.map((size) => (draw.chance(0.4) ? 1 : size)).slice(draw.int(0, shape.length - 1))
  return { opset: 13, inputs: [f32(thin, draw.normals(thin)), i64(shape)] }
}

const tile: Maker = (draw) => {
  const shape = draw.shape(1, 4, 4)
  return { opset: 13, inputs: [f32(shape, draw.normals(shape)), i64(shape.map(() => draw.int(1, 3)))] }
}

const concat: Maker = (draw) => {
  const shape = draw.shape(1, 4)
  const axis = draw.int(0, shape.length - 1)
  const parts = draw.list(draw.int(1, 3), () => shape.with(axis, draw.int(1, 4)))
  return {
    opset: 13,
    attributes: { axis: axis - shape.length },
    inputs: parts.map((part) => f32(part, draw.normals(part))),
  }
}

const split: Maker = (draw) => {
  const parts = draw.list(draw.int(1, 3), () => draw.int(1, 3))
  const axis = draw.int(0, 2)
  const shape = [2, 3, 2].with(
    axis,
    parts.reduce((a, b) => a + b, 0),
  )
  const outputs = parts.map((): Dtype => 'float32')
  return { opset: 13, attributes: { axis }, inputs: [f32(shape, draw.normals(shape)), i64(parts)], outputs }
}

const depth =
  (toDepth: boolean): Maker =>
  (draw) => {
    const block = draw.int(1, 3)
    const [c, h, w] = [draw.int(1, 3), draw.int(1, 3), draw.int(1, 3)]
    const shape = toDepth ? [2, c, h * block, w * block] : [2, c * block * block, h, w]
    const mode = toDepth ? {} : { mode: draw.one(['DCR', 'CRD']) }
    return { opset: 13, attributes: { blocksize: block, ...mode }, inputs: [f32(shape, draw.normals(shape))] }
  }

const resize: Maker = (draw) => {
  const mode = draw.one(['nearest', 'linear', 'cubic'])
  const shape = [1, draw.int(1, 2), draw.int(3, 8), draw.int(3, 8)]
  const sizes = [1, shape[1]!, draw.int(2, 14), draw.int(2, 14)]
  const bySizes = draw.chance()
  const factors = [1, 1, draw.one([0.5, 2, 3, 1.5]), draw.one([0.5, 2, 3, 1.5])]
  const shrinks = !bySizes && factors.some((factor, axis) => !Number.isInteger(factor * shape[axis]!))
  const modes = [
    'half_pixel',
    'asymmetric',
    'pytorch_half_pixel',
    'half_pixel_symmetric',
    ...(shrinks ? [] : ['align_corners']),
  ]
  const antialias = mode !== 'nearest' && draw.chance(0.3) ? 1 : 0
  const attributes = {
    mode,
    antialias,
    coordinate_transformation_mode: draw.one(modes),
    ...(mode === 'nearest'
      ? { nearest_mode: draw.one(['round_prefer_floor', 'round_prefer_ceil', 'floor', 'ceil']) }
      : {}),
    ...(mode === 'cubic'
      ? { exclude_outside: antialias ? 0 : draw.int(0, 1), cubic_coeff_a: { float: draw.one([-0.5, -0.75]) } }
      : {}),
  }
  const given = bySizes ? [undefined, undefined, i64(sizes)] : [undefined, f32([4], factors)]
  return { opset: 19, attributes, inputs: [f32(shape, draw.normals(shape)), ...given] }
}

const upsample: Maker = (draw) => {
  const shape = [1, 2, draw.int(2, 5), draw.int(2, 5)]
  const attributes = {
    mode: draw.one(['nearest', 'linear']),
    scales: { floats: [1, 1, draw.int(1, 3), draw.int(1, 3)] },
  }
  return { opset: 7, attributes, inputs: [f32(shape, draw.normals(shape))] }
}

const resize10: Maker = (draw) => {
  const shape = [1, 2, 2 * draw.int(2, 5), 2 * draw.int(2, 5)]
  const scales = [1, 1, draw.one([0.5, 1, 2, 3]), draw.one([0.5, 1, 2])]
  return {
    opset: 10,
    attributes: { mode: draw.one(['nearest', 'linear']) },
    inputs: [f32(shape, draw.normals(shape)), f32([4], scales)],
  }
}

const gridSample: Maker = (draw) => {
  const volume = draw.chance(0.3)
  const spatial = draw.list(volume ? 3 : 2, () => draw.int(2, 6))
  const shape = [2, 2, ...spatial]
  const grid = [2, ...draw.list(spatial.length, () => draw.int(1, 5)), spatial.length]
  const attributes = {
    mode: draw.one(volume ? ['linear', 'nearest'] : ['linear', 'nearest', 'cubic']),
    padding_mode: draw.one(['zeros', 'border', 'reflection']),
    align_corners: draw.int(0, 1),
  }
  const values = draw.list(elementCount(grid), () => draw.real(-1.4, 1.4))
  return { opset: 20, attributes, inputs: [f32(shape, draw.normals(shape)), f32(grid, values)] }
}

const recurrent =
  (gates: number, cell: boolean): Maker =>
  (draw) => {
    const direction = draw.one(['forward', 'reverse', 'bidirectional'])
    const ways = direction === 'bidirectional' ? 2 : 1
    const [steps, batch, features, size] = [draw.int(1, 5), draw.int(1, 3), draw.int(1, 6), draw.int(1, 5)]
    const rows = gates * size
    const state = [ways, batch, size]
    const array = (shape: number[], scale = 1): Given => f32(shape, draw.normals(shape, scale))
    const maybe = (given: Given) => (draw.chance() ? given : undefined)
    const lengths: Given = ['int32', [batch], draw.list(batch, () => draw.int(1, steps))]
    const attributes = {
      direction,
      hidden_size: size,
      ...(gates === 3 ? { linear_before_reset: draw.int(0, 1) } : {}),
      ...(draw.chance(0.3) ? { clip: { float: 0.7 } } : {}),
    }
    return {
      opset: 14,
      attributes,
      inputs: [
        array([steps, batch, features]),
        array([ways, rows, features]),
        array([ways, rows, size]),
        maybe(array([ways, 2 * rows])),
        maybe(lengths),
        maybe(array(state)),
        ...(cell ? [maybe(array(state)), maybe(array([ways, 3 * size]))] : []),
      ],
      outputs: cell ? ['float32', 'float32', 'float32'] : ['float32', 'float32'],
    }
  }

const einsum: Maker = (draw) => {
  const sizes = new Map([...'abcde'].map((letter) => [letter, draw.int(1, 5)]))
  const term = () =>
    draw
      .shuffled([...'abcde'])
      .slice(0, draw.int(1, 3))
      .join('')
  const terms = draw.list(draw.int(1, 3), term)
  const letters = [...new Set(terms.join(''))]
  const output = draw.shuffled(letters).slice(0, draw.int(0, letters.length)).join('')
  const inputs = terms.map((labels) => {
    const shape = [...labels].map((letter) => sizes.get(letter)!)
    return f32(shape, draw.normals(shape))
  })
  return { opset: 12, attributes: { equation: `${terms.join(',')}->${output}` }, inputs }
}

const biasGelu: Maker = (draw) => {
  const size = draw.int(1, 12)
  const shape = [draw.int(1, 3), draw.int(1, 3), size]
  return {
    opset: 1,
    domain: 'com.microsoft',
    inputs: [f32(shape, draw.normals(shape)), f32([size], draw.normals([size]))],
  }
}

const contrib =
  (maker: Maker): Maker =>
  (draw) => ({ ...maker(draw), opset: 1, domain: 'com.microsoft' })

const quantize =
  (dtype: Dtype): Maker =>
  (draw) => {
    const shape = draw.shape(2, 4)
    const perAxis = draw.chance()
    const axis = draw.int(0, shape.length - 1)
    const list = perAxis ? [shape[axis]!] : []
    const scale = draw.list(elementCount(list), () => draw.real(0.01, 0.1))
    const zero = draw.list(elementCount(list), () => draw.int(dtype === 'uint8' ? 0 : -20, 20))
    return {
      opset: 13,
      attributes: { axis },
      inputs: [f32(shape, draw.normals(shape)), f32(list, scale), [dtype, list, zero]],
      outputs: [dtype],
    }
  }

const roiAlign: Maker = (draw) => {
  const shape = [2, 2, draw.int(6, 10), draw.int(6, 10)]
  const count = draw.int(1, 4)
  const rois = draw
    .list(count, () => {
      const [x, y] = [draw.real(0, 10), draw.real(0, 10)]
      return [x, y, Math.fround(x + draw.real(0.5, 9)), Math.fround(y + draw.real(0.5, 9))]
    })
    .flat()
  const attributes = {
    mode: draw.one(['avg', 'max']),
    output_height: draw.int(1, 4),
    output_width: draw.int(1, 4),
    sampling_ratio: draw.int(0, 3),
    spatial_scale: { float: draw.one([0.5, 1]) },
    coordinate_transformation_mode: draw.one(['half_pixel', 'output_half_pixel']),
  }
  return {
    opset: 16,
    attributes,
    inputs: [f32(shape, draw.normals(shape)), f32([count, 4], rois), i64(draw.list(count, () => draw.int(0, 1)))],
  }
}

/** Operators with a maker of random nodes each; `Op@variant` where an operator has several. */
const MAKERS: Readonly<Record<string, Maker>> = {
  Conv: conv,
  ConvTranspose: convTranspose,
  MaxPool: pool((draw, opset) => ({ ...ceilMode(draw, opset) }), [8, 12, 22], ['float32', 'int64']),
  AveragePool: pool((draw, opset) => ({ ...ceilMode(draw, opset), count_include_pad: draw.int(0, 1) }), [7, 11, 19]),
  LpPool: pool(
    (draw, opset) => ({ p: draw.int(1, 3), ...(opset >= 18 ? { ceil_mode: draw.int(0, 1) } : {}) }),
    [11, 18],
  ),
  GlobalAveragePool: globalPool,
  GlobalMaxPool: globalPool,
  GlobalLpPool: globalPool,
  MatMul: matMul,
  Gemm: gemm(),
  BatchNormalization: perChannel(15, ['any', 'any', 'any', 'positive'], 0),
  InstanceNormalization: perChannel(6, ['any', 'any'], 1),
  LayerNormalization: layerNorm(17, true, true),
  RMSNormalization: layerNorm(23, false, false),
  'GroupNormalization@18': groupNorm(18),
  'GroupNormalization@21': groupNorm(21),
  LpNormalization: (draw) => ({ ...withAxis([1], 1)(draw), attributes: { axis: -1, p: draw.int(1, 2) } }),
  LRN: (draw) => {
    const shape = draw.shape(4, 4, 6)
    return {
      opset: 13,
      attributes: { size: draw.one([1, 3, 5]), alpha: { float: 0.3 } },
      inputs: [f32(shape, draw.normals(shape))],
    }
  },
  MeanVarianceNormalization: (draw) => {
    const shape = draw.list(4, () => draw.int(2, 5))
    return { opset: 13, inputs: [f32(shape, draw.normals(shape))] }
  },
  Softmax: withAxis([1, 11, 13]),
  LogSoftmax: withAxis([1, 11, 13]),
  Hardmax: withAxis([11, 13]),
  Relu: unary(14, -3, 3),
  LeakyRelu: unary(16, -3, 3, (draw) => ({ alpha: { float: draw.real(0, 0.5) } })),
  PRelu: (draw) => {
    const shape = draw.list(4, () => draw.int(1, 4))
    const slope = draw.one([[1], [shape[1]!, 1, 1], shape])
    return { opset: 16, inputs: [f32(shape, draw.normals(shape)), f32(slope, draw.normals(slope))] }
  },
  Elu: unary(6, -3, 3, (draw) => ({ alpha: { float: draw.real(0.5, 2) } })),
  Selu: unary(6, -3, 3),
  Celu: unary(12, -3, 3, (draw) => ({ alpha: { float: draw.real(0.5, 2) } })),
  ThresholdedRelu: unary(10, -3, 3, (draw) => ({ alpha: { float: draw.real(0.5, 2) } })),
  Sigmoid: unary(13, -9, 9),
  HardSigmoid: unary(6, -5, 5, (draw) => ({ alpha: { float: draw.real(0.1, 0.3) } })),
  HardSwish: unary(14, -5, 5),
  Mish: unary(18, -5, 5),
  Gelu: unary(20, -5, 5, (draw) => ({ approximate: draw.one(['none', 'tanh']) })),
  Softplus: unary(1, -5, 5),
  Softsign: unary(1, -5, 5),
  Shrink: unary(9, -3, 3, (draw) => ({ lambd: { float: draw.real(0.2, 1) }, bias: { float: draw.real(-1, 1) } })),
  Tanh: unary(13, -4, 4),
  'Clip@6': unary(6, -3, 3, (draw) => ({
    min: { float: draw.real(-1, 0) },
    ...(draw.chance() ? { max: { float: draw.real(0, 2) } } : {}),
  })),
  'Clip@13': (draw) => {
    const shape = draw.shape(1, 3)
    const bound = (low: number) => (draw.chance(0.7) ? f32([], [draw.real(low, low + 1)]) : undefined)
    return { opset: 13, inputs: [f32(shape, draw.normals(shape)), bound(-1), bound(0.5)] }
  },
  Add: binary(14),
  Sub: binary(14),
  Mul: binary(14),
  Div: binary(14, 0.5, 3),
  Pow: binary(15, 0.2, 3),
  Min: binary(13),
  Max: binary(13),
  Mean: binary(13),
  Sum: binary(13),
  Mod: (draw) => ({ ...binary(13, 0.5, 3)(draw), attributes: { fmod: 1 } }),
  Greater: binary(13, -3, 3, 'bool'),
  LessOrEqual: binary(16, -3, 3, 'bool'),
  Equal: binary(13, -3, 3, 'bool'),
  Abs: unary(13, -3, 3),
  Neg: unary(13, -3, 3),
  Exp: unary(13, -3, 3),
  Log: unary(13, 0.1, 9),
  Sqrt: unary(13, 0, 9),
  Reciprocal: unary(13, 0.2, 5),
  Floor: unary(13, -3, 3),
  Ceil: unary(13, -3, 3),
  Round: unary(11, -9, 9),
  Sign: unary(13, -3, 3),
  Erf: unary(13, -4, 4),
  Sin: unary(7, -6, 6),
  Cos: unary(7, -6, 6),
  Tan: unary(7, -1.3, 1.3),
  Asin: unary(7, -1, 1),
  Acos: unary(7, -0.9, 0.9),
  Atan: unary(7, -4, 4),
  Sinh: unary(9, -3, 3),
  Cosh: unary(9, -3, 3),
  Asinh: unary(9, -3, 3),
  Acosh: unary(9, 1.1, 5),
  Atanh: unary(9, -0.9, 0.9),
  ReduceSum: reduce(13),
  ReduceMean: reduce(18),
  ReduceProd: reduce(18),
  ReduceMax: reduce(18),
  ReduceMin: reduce(18),
  ReduceL1: reduce(18),
  ReduceL2: reduce(18),
  ReduceSumSquare: reduce(18),
  ReduceLogSum: reduce(18, true),
  ReduceLogSumExp: reduce(18),
  ArgMax: arg,
  ArgMin: arg,
  TopK: topK,
  CumSum: cumSum,
  Transpose: transpose,
  Reshape: reshape,
  Expand: expand,
  Tile: tile,
  Concat: concat,
  Split: split,
  Slice: slice,
  Pad: pad,
  Gather: gather,
  GatherElements: gatherElements,
  GatherND: gatherNd,
  ScatterElements: scatterElements,
  ScatterND: scatterNd,
  DepthToSpace: depth(false),
  SpaceToDepth: depth(true),
  Resize: resize,
  'Resize@10': resize10,
  Upsample: upsample,
  GridSample: gridSample,
  RNN: recurrent(1, false),
  GRU: recurrent(3, false),
  LSTM: recurrent(4, true),
  Einsum: einsum,
  'QuantizeLinear@uint8': quantize('uint8'),
  'QuantizeLinear@int8': quantize('int8'),
  RoiAlign: roiAlign,
  FusedConv: fusedConv,
  FusedGemm: gemm(
    (draw) => ({ activation: 'LeakyRelu', activation_alpha: { float: draw.real(0.1, 0.4) } }),
    'com.microsoft',
  ),
  FusedMatMul: fusedMatMul,
  'Gelu@contrib': contrib(unary(1, -4, 4)),
  QuickGelu: contrib(unary(1, -4, 4)),
  BiasGelu: biasGelu,
  FastGelu: biasGelu,
  SkipLayerNormalization: skipLayerNorm(true),
  SkipSimplifiedLayerNormalization: skipLayerNorm(false),
}

export const RANDOM_OPERATORS: readonly string[] = Object.keys(MAKERS)

/** A random node of one of `RANDOM_OPERATORS`; the same for the same seed. */
export function randomNode(name: string, seed: number): RandomNode {
  const { opset, domain, attributes = {}, inputs: all, outputs = ['float32'] } = MAKERS[name]!(new Draw(seed))
  const inputs = all.slice(0, all.findLastIndex((given) => given !== undefined) + 1)
  return {
    op: name.split('@')[0]!,
    opset,
    ...(domain ? { domain } : {}),
    attributes: Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== undefined)) as Record<
      string,
      TestAttribute
    >,
    inputs: inputs.map((given) => given && { dtype: given[0], shape: given[1] }),
    outputs,
    values: inputs.map((given) => given?.[2]),
  }
}
