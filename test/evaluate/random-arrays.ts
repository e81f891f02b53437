/** Random nodes that work element by element, reduce, or move elements about. */
import { type Dtype, elementCount } from '../../src/tensor/dtype.ts'
import { type Draw, f32, i64, type Maker, type Parts } from './draw.ts'

/** Two shapes that broadcast to one another. */
function broadcastPair(draw: Draw): [number[], number[]] {
  const shape = draw.shape(0, 4)
  const thin = (list: readonly number[]) => list.map((size) => (draw.chance(0.3) ? 1 : size))
  const shorter = thin(shape).slice(draw.int(0, shape.length))
  return draw.chance() ? [thin(shape), shorter] : [shorter, shape]
}

export const unary = (
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

export const binary = (opset: number, low = -3, high = 3, output: Dtype = 'float32'): Maker => {
  return (draw) => {
    const [left, right] = broadcastPair(draw)
    const values = (shape: readonly number[]) => draw.list(elementCount(shape), () => draw.real(low, high))
    return { opset, inputs: [f32(left, values(left)), f32(right, values(right))], outputs: [output] }
  }
}

export const withAxis =
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

export const reduce =
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

export const arg: Maker = (draw) => {
  const shape = draw.shape(1, 4)
  const attributes = {
    axis: draw.int(-shape.length, shape.length - 1),
    keepdims: draw.int(0, 1),
    select_last_index: draw.int(0, 1),
  }
  return { opset: 13, attributes, inputs: [f32(shape, draw.normals(shape).map(Math.round))], outputs: ['int64'] }
}

export const topK: Maker = (draw) => {
  const shape = draw.shape(1, 3, 7)
  const axis = draw.int(0, shape.length - 1)
  const attributes = { axis, largest: draw.int(0, 1) }
  const inputs = [f32(shape, draw.normals(shape).map(Math.round)), i64([draw.int(1, shape[axis]!)])]
  return { opset: 11, attributes, inputs, outputs: ['float32', 'int64'] }
}

export const cumSum: Maker = (draw) => {
  const shape = draw.shape(1, 3, 6)
  const attributes = { exclusive: draw.int(0, 1), reverse: draw.int(0, 1) }
  return {
    opset: 14,
    attributes,
    inputs: [f32(shape, draw.normals(shape)), i64([draw.int(-shape.length, shape.length - 1)], [])],
  }
}

export const transpose: Maker = (draw) => {
  const shape = draw.shape(1, 5, 4)
  const perm = draw.shuffled([...shape.keys()])
  return { opset: 13, attributes: draw.chance(0.9) ? { perm } : {}, inputs: [f32(shape, draw.normals(shape))] }
}

export const slice: Maker = (draw) => {
  const shape = draw.shape(1, 4, 8)
  const axes = draw.shuffled([...shape.keys()]).slice(0, draw.int(1, shape.length))
  const steps = axes.map(() => draw.one([-3, -2, -1, 1, 2, 3]))
  const bound = () => draw.int(-10, 10)
  const inputs = [f32(shape, draw.normals(shape)), i64(axes.map(bound)), i64(axes.map(bound)), i64(axes), i64(steps)]
  return { opset: 13, inputs }
}

export const pad: Maker = (draw) => {
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

export const gather: Maker = (draw) => {
  const shape = draw.shape(1, 4)
  const axis = draw.int(0, shape.length - 1)
  const where = draw.shape(0, 2, 4)
  const indices = draw.list(elementCount(where), () => draw.int(-shape[axis]!, shape[axis]! - 1))
  return { opset: 13, attributes: { axis }, inputs: [f32(shape, draw.normals(shape)), i64(indices, where)] }
}

export const gatherElements: Maker = (draw) => {
  const shape = draw.shape(1, 3)
  const axis = draw.int(0, shape.length - 1)
  const where = shape.map((size, at) => (at === axis ? draw.int(1, 6) : draw.int(1, size)))
  const indices = draw.list(elementCount(where), () => draw.int(-shape[axis]!, shape[axis]! - 1))
  return { opset: 13, attributes: { axis }, inputs: [f32(shape, draw.normals(shape)), i64(indices, where)] }
}

export const gatherNd: Maker = (draw) => {
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

export const scatterElements: Maker = (draw) => {
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

export const scatterNd: Maker = (draw) => {
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

export const reshape: Maker = (draw) => {
  const shape = [draw.int(1, 4), 2 * draw.int(1, 3), draw.int(1, 4)]
  return { opset: 13, inputs: [f32(shape, draw.normals(shape)), i64(draw.one([[0, -1], [-1, 2], [0, 2, -1], [-1]]))] }
}

export const expand: Maker = (draw) => {
  const shape = draw.shape(1, 4)
  const thin = shape.map((size) => (draw.chance(0.4) ? 1 : size)).slice(draw.int(0, shape.length - 1))
  return { opset: 13, inputs: [f32(thin, draw.normals(thin)), i64(shape)] }
}

export const tile: Maker = (draw) => {
  const shape = draw.shape(1, 4, 4)
  return { opset: 13, inputs: [f32(shape, draw.normals(shape)), i64(shape.map(() => draw.int(1, 3)))] }
}

export const concat: Maker = (draw) => {
  const shape = draw.shape(1, 4)
  const axis = draw.int(0, shape.length - 1)
  const parts = draw.list(draw.int(1, 3), () => shape.with(axis, draw.int(1, 4)))
  return {
    opset: 13,
    attributes: { axis: axis - shape.length },
    inputs: parts.map((part) => f32(part, draw.normals(part))),
  }
}

export const split: Maker = (draw) => {
  const parts = draw.list(draw.int(1, 3), () => draw.int(1, 3))
  const axis = draw.int(0, 2)
  const shape = [2, 3, 2].with(
    axis,
    parts.reduce((a, b) => a + b, 0),
  )
  const outputs = parts.map((): Dtype => 'float32')
  return { opset: 13, attributes: { axis }, inputs: [f32(shape, draw.normals(shape)), i64(parts)], outputs }
}

export const depth =
  (toDepth: boolean): Maker =>
  (draw) => {
    const block = draw.int(1, 3)
    const [c, h, w] = [draw.int(1, 3), draw.int(1, 3), draw.int(1, 3)]
    const shape = toDepth ? [2, c, h * block, w * block] : [2, c * block * block, h, w]
    const mode = toDepth ? {} : { mode: draw.one(['DCR', 'CRD']) }
    return { opset: 13, attributes: { blocksize: block, ...mode }, inputs: [f32(shape, draw.normals(shape))] }
  }

export const contrib =
  (maker: Maker): Maker =>
  (draw) => ({ ...maker(draw), opset: 1, domain: 'com.microsoft' })
