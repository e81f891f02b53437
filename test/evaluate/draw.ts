import { normal, seededRandom } from '../../src/compare/random.ts'
import { type Dtype, elementCount } from '../../src/tensor/dtype.ts'
import type { TestAttribute } from '../build/onnx-node.ts'

/** What the makers of random nodes draw from. */
export class Draw {
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

export type Given = readonly [dtype: Dtype, shape: readonly number[], values: readonly number[]] | undefined

export interface Parts {
  readonly opset: number
  readonly domain?: string
  readonly attributes?: Readonly<Record<string, TestAttribute | undefined>> | undefined
  readonly inputs: readonly Given[]
  readonly outputs?: readonly (Dtype | null)[]
}

export type Maker = (draw: Draw) => Parts

export const f32 = (shape: readonly number[], values: readonly number[]): Given => ['float32', shape, values]

export const i64 = (values: readonly number[], shape: readonly number[] = [values.length]): Given => [
  'int64',
  shape,
  values,
]
