import type { AttributeEdit, Fragment, OnnxProgram } from '../onnx/program.ts'

/**
 * A key that two fragments share when they are the same computation with the same constants. It is made of what they
 * say, not of weights: a program does not change, and new constants count as the objects that they are.
 */
export function fragmentKeys(): (program: OnnxProgram, fragment: Fragment) => string {
  const numbers = new WeakMap<object, number>()
  let last = 0
  const number = (thing: object): number => {
    const known = numbers.get(thing)
    if (known !== undefined) return known
    numbers.set(thing, ++last)
    return last
  }
  const attributes = (edits: Readonly<Record<string, AttributeEdit>> | undefined) =>
    Object.entries(edits ?? {}).map(([name, edit]) => [
      name,
      edit !== null && 'tensor' in edit ? number(edit.tensor) : edit,
    ])
  return (program, { nodes, inputs, outputs, constants }) =>
    JSON.stringify(
      [
        number(program),
        nodes.map((node) =>
          'from' in node
            ? [number(node.from), node.name, node.inputs, node.outputs, attributes(node.attributes)]
            : [node.op, node.domain, node.name, node.inputs, node.outputs, attributes(node.attributes)],
        ),
        inputs,
        outputs,
        [...(constants ?? [])].map(([name, value]) => [name, number(value)]),
      ],
      (_, value) =>
        typeof value === 'bigint'
          ? `${value}n`
          : typeof value === 'number' && !isPlain(value)
            ? `${value} ${1 / value}`
            : value,
    )
}

/** JSON would make null of it, or lose its sign. */
function isPlain(value: number): boolean {
  return Number.isFinite(value) && !Object.is(value, -0)
}
