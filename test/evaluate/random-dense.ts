/** Random nodes that multiply matrices, normalise, or both. */
import { type Dtype, elementCount } from '../../src/tensor/dtype.ts'
import { type Draw, f32, type Given, type Maker, type Parts } from './draw.ts'

export const matMul: Maker = (draw) => {
  const [m, k, n] = [draw.int(1, 20), draw.int(1, 600), draw.int(1, 20)]
  const outer = draw.shape(0, 2, 3)
  const a = [...outer, m, k]
  const b = [...(draw.chance() ? outer : outer.map(() => 1)).slice(draw.int(0, outer.length)), k, n]
  const [left, right] = draw.chance(0.2) ? [[k], b] : draw.chance(0.2) ? [a, [k]] : [a, b]
  return { opset: 13, inputs: [f32(left, draw.normals(left)), f32(right, draw.normals(right))] }
}

export const gemm = (extra: (draw: Draw) => Parts['attributes'] = () => ({}), domain?: string): Maker => {
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

export const fusedMatMul: Maker = (draw) => {
  const [m, k, n, outer] = [draw.int(1, 9), draw.int(1, 60), draw.int(1, 9), draw.int(1, 3)]
  const [transA, transB] = [draw.int(0, 1), draw.int(0, 1)]
  const [a, b] = [transA ? [outer, k, m] : [outer, m, k], transB ? [outer, n, k] : [outer, k, n]]
  const attributes = { transA, transB, alpha: { float: draw.real(0.2, 2) } }
  return { opset: 1, domain: 'com.microsoft', attributes, inputs: [f32(a, draw.normals(a)), f32(b, draw.normals(b))] }
}

/** [N, C, ...] with lists per channel. */
export const perChannel = (
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

export const layerNorm =
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

export const groupNorm =
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

export const skipLayerNorm =
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

export const recurrent =
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

export const einsum: Maker = (draw) => {
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

export const quantize =
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

export const attention: Maker = (draw) => {
  const [batch, heads, queries, keys, size] = [
    draw.int(1, 2),
    draw.int(1, 3),
    draw.int(1, 5),
    draw.int(1, 6),
    draw.int(1, 8),
  ]
  const shared = draw.chance() ? 1 : heads
  const [q, k, v] = [
    [batch, heads, queries, size],
    [batch, shared, keys, size],
    [batch, shared, keys, draw.int(1, 8)],
  ]
  const mask = [queries, keys]
  const causal = queries <= keys && draw.chance() ? 1 : 0
  const inputs = [q, k, v].map((shape) => f32(shape, draw.normals(shape)))
  if (draw.chance()) inputs.push(f32(mask, draw.normals(mask)))
  return { opset: 23, attributes: { is_causal: causal }, inputs }
}

export const contribAttention: Maker = (draw) => {
  const [heads, size, width] = [draw.int(1, 3), draw.int(1, 6), draw.int(1, 9)]
  const [batch, length] = [draw.int(1, 2), draw.int(1, 6)]
  const [x, w, b] = [[batch, length, width], [width, 3 * heads * size], [3 * heads * size]]
  const attributes = { num_heads: heads, unidirectional: draw.int(0, 1) }
  const inputs = [x, w, b].map((shape) => f32(shape, draw.normals(shape)))
  return { opset: 1, domain: 'com.microsoft', attributes, inputs }
}

export const multiHeadAttention: Maker = (draw) => {
  const [heads, size] = [draw.int(1, 3), draw.int(1, 6)]
  const [batch, queries, keys] = [draw.int(1, 2), draw.int(1, 5), draw.int(1, 6)]
  const width = heads * size
  const shapes = [queries, keys, keys].map((length) => [batch, length, width])
  const inputs = [...shapes, [3 * width]].map((shape) => f32(shape, draw.normals(shape)))
  return {
    opset: 1,
    domain: 'com.microsoft',
    attributes: { num_heads: heads },
    inputs: draw.chance() ? inputs : inputs.slice(0, 3),
  }
}

export const rotary: Maker = (draw) => {
  const [batch, heads, length, half] = [draw.int(1, 2), draw.int(1, 3), draw.int(1, 5), draw.int(1, 4)]
  const [x, angles] = [
    [batch, heads, length, 2 * half],
    [batch, length, half],
  ]
  const inputs = [x, angles, angles].map((shape) => f32(shape, draw.normals(shape)))
  return { opset: 23, attributes: { interleaved: draw.int(0, 1) }, inputs }
}

export const biasGelu: Maker = (draw) => {
  const size = draw.int(1, 12)
  const shape = [draw.int(1, 3), draw.int(1, 3), size]
  return {
    opset: 1,
    domain: 'com.microsoft',
    inputs: [f32(shape, draw.normals(shape)), f32([size], draw.normals([size]))],
  }
}

/** A quantised array of any shape, with its scale and zero point. */
function quantised(draw: Draw, shape: readonly number[]): Given[] {
  const values = draw.list(elementCount(shape), () => draw.int(0, 255))
  return [['uint8', shape, values], f32([], [draw.real(0.01, 0.05)]), ['uint8', [], [draw.int(90, 160)]]]
}

const target = (draw: Draw): Given[] => [f32([], [draw.real(0.02, 0.1)]), ['uint8', [], [draw.int(90, 160)]]]

export const quantisedBinary: Maker = (draw) => {
  const shape = draw.shape(1, 4)
  const inputs = [...quantised(draw, shape), ...quantised(draw, shape), ...target(draw)]
  return { opset: 1, domain: 'com.microsoft', inputs, outputs: ['uint8'] }
}

export const quantisedUnary: Maker = (draw) => {
  const inputs = [...quantised(draw, draw.shape(1, 4)), ...target(draw)]
  return { opset: 1, domain: 'com.microsoft', inputs, outputs: ['uint8'] }
}

export const quantisedGlobalPool: Maker = (draw) => {
  const inputs = [...quantised(draw, draw.shape(4, 4, 6)), ...target(draw)]
  return {
    opset: 1,
    domain: 'com.microsoft',
    attributes: { channels_last: draw.int(0, 1) },
    inputs,
    outputs: ['uint8'],
  }
}

export const quantisedConcat: Maker = (draw) => {
  const shape = draw.shape(2, 3)
  const parts = draw.list(draw.int(1, 3), () => quantised(draw, shape.with(1, draw.int(1, 4)))).flat()
  return {
    opset: 1,
    domain: 'com.microsoft',
    attributes: { axis: 1 },
    inputs: [...target(draw), ...parts],
    outputs: ['uint8'],
  }
}

export const quantisedGemm: Maker = (draw) => {
  const [m, k, n] = [draw.int(1, 5), draw.int(1, 30), draw.int(1, 5)]
  const transB = draw.int(0, 1)
  const bias: Given = ['int32', [n], draw.list(n, () => draw.int(-2000, 2000))]
  const inputs = [...quantised(draw, [m, k]), ...quantised(draw, transB ? [n, k] : [k, n]), bias, ...target(draw)]
  return { opset: 1, domain: 'com.microsoft', attributes: { transB }, inputs, outputs: ['uint8'] }
}
