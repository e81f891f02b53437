import type { Node } from '../../model/graph.ts'
import type { AttributeEdit, FragmentNode } from '../../onnx/program.ts'
import type { ArrayValue } from '../../tensor/array-value.ts'
import type { Dtype } from '../../tensor/dtype.ts'
import { arrayOf, integers } from './arrays.ts'
import type { Change } from './hypothesis.ts'
import type { RegionSide } from './region-side.ts'

/** New nodes, written one after the other. */
export interface Sketch {
  readonly nodes: FragmentNode[]
  /** adds an operator and gives the name of its result */
  add(op: string, inputs: readonly string[], attributes?: Readonly<Record<string, AttributeEdit>>): string
  /** adds a constant: a number of the sketch's type */
  number(value: number): string
  integers(values: readonly number[]): string
  constant(value: ArrayValue): string
}

/** An empty sketch; `dtype` is the type of the numbers that it computes with. */
export function openSketch(dtype: Dtype): Sketch {
  const nodes: FragmentNode[] = []
  const fresh = () => `+${nodes.length}`
  const add: Sketch['add'] = (op, inputs, attributes) => {
    const output = fresh()
    nodes.push({ op, inputs, outputs: [output], ...(attributes ? { attributes } : {}) })
    return output
  }
  const constant = (value: ArrayValue) => add('Constant', [], { value: { tensor: value } })
  return {
    nodes,
    add,
    constant,
    number: (value) => constant(arrayOf(dtype, [], [value])),
    integers: (values) => constant(integers(values)),
  }
}

/** What a builder makes of a value: the name of the result. */
export type Build = (sketch: Sketch, value: string) => string

/** The type of a value of a region: what was observed, or float32. */
export const typeOf = (side: RegionSide, name: string): Dtype => side.observed.get(name)?.dtype ?? 'float32'

/** Every user of `value` takes what `build` makes of it; so does the region's end, if it is that value. */
export function changeValue(side: RegionSide, value: string, build: Build): Change {
  const sketch = openSketch(typeOf(side, value))
  const maker = side.producer.get(value)
  if (maker === undefined) {
    // a value that is fed: the first user makes the new one, all take it
    const made = build(sketch, value)
    const users = side.users.get(value) ?? []
    return {
      replace: new Map(
        users.map((user, at) => [
          user,
          [
            ...(at === 0 ? sketch.nodes : []),
            { from: user, inputs: user.inputs.map((name) => (name === value ? made : name)) },
          ],
        ]),
      ),
    }
  }
  const raw = '+raw'
  const made = build(sketch, raw)
  return {
    replace: new Map([
      [
        maker,
        [
          { from: maker, outputs: maker.outputs.map((name) => (name === value ? raw : name)) },
          ...sketch.nodes,
          { op: 'Identity', inputs: [made], outputs: [value] },
        ],
      ],
    ]),
  }
}

/** One input of one node becomes what `build` makes of it. */
export function changeInput(side: RegionSide, node: Node, index: number, build: Build): Change {
  const name = node.inputs[index]!
  const sketch = openSketch(typeOf(side, name))
  const made = build(sketch, name)
  return {
    replace: new Map([
      [node, [...sketch.nodes, { from: node, inputs: node.inputs.map((each, at) => (at === index ? made : each)) }]],
    ]),
  }
}

/** `value` is computed from `source` by new nodes, and its own producer no longer runs. */
export function computeInstead(side: RegionSide, value: string, source: string, build: Build): Change | undefined {
  const maker = side.producer.get(value)
  if (maker === undefined) return undefined
  const sketch = openSketch(typeOf(side, source))
  const made = build(sketch, source)
  return {
    replace: new Map([[maker, [...sketch.nodes, { op: 'Identity', inputs: [made], outputs: [value] }]]]),
  }
}

/** `value` is `source`: what lies between is left out. */
export const leaveOut = (side: RegionSide, value: string, source: string): Change | undefined =>
  computeInstead(side, value, source, (_, name) => name)

/** A node with other attributes. */
export const withAttributes = (node: Node, attributes: Readonly<Record<string, AttributeEdit>>): Change => ({
  replace: new Map([[node, [{ from: node, attributes }]]]),
})

/** Something behind the region's end. */
export function behindEnd(side: RegionSide, build: Build): Change {
  const sketch = openSketch(typeOf(side, side.output))
  const output = build(sketch, side.output)
  return { behind: { nodes: sketch.nodes, output } }
}
