import type { JsonValue } from '../../encoding/json-value.ts'
import type { CodeListing } from '../../model/model.ts'
import { define } from './modules.ts'

/** Code beyond this is not searched: a scripted network of a thousand layers has about 2 MB. */
const MAX_CODE_BYTES = 16 * 1024 * 1024

/** Constant options per class, by qualified name: `__torch__.torch.nn.modules.conv.___torch_mangle_0.Conv2d`. */
export type ScriptClasses = ReadonlyMap<string, Readonly<Record<string, JsonValue>>>

/**
 * The options of TorchScript modules, read from their code as text. A scripted class states them as constants
 * (`stride : Final[Tuple[int, int]] = (2, 2)`); a traced one only in the one call that it makes
 * (`torch._convolution(x, weight, bias, [2, 2], [1, 1], ...)`). Nothing is parsed beyond these lines, nothing is run.
 * @source torch/csrc/jit/serialization/python_print.cpp (PyTorch 1.5 to 2.x)
 */
export async function readScriptClasses(listings: readonly CodeListing[]): Promise<ScriptClasses> {
  const classes = new Map<string, Record<string, JsonValue>>()
  let left = MAX_CODE_BYTES
  for (const listing of listings) {
    const path = /^code\/(__torch__(?:\/.+)?)\.py$/.exec(listing.name)?.[1]
    left -= listing.bytes
    if (path === undefined || left < 0) continue
    const text = await listing.read()
    for (const { name, body } of classesIn(text)) {
      const options: Record<string, JsonValue> = {}
      for (const [key, value] of [...tracedOptions(body), ...constants(body)]) define(options, key, value)
      if (Object.keys(options).length > 0) classes.set(`${path.replaceAll('/', '.')}.${name}`, options)
    }
  }
  return classes
}

function classesIn(text: string): { name: string; body: string }[] {
  const heads = [...text.matchAll(/^class (\w+)\(/gm)]
  return heads.map((head, index) => ({ name: head[1]!, body: text.slice(head.index, heads[index + 1]?.index) }))
}

/** `  eps : Final[float] = 1.0000000000000001e-05` */
function constants(body: string): [string, JsonValue][] {
  return [...body.matchAll(/^ {2}(\w+) : Final\[[^=\n]{1,200}\] = ([^\n]{1,200})$/gm)].flatMap(([, name, text]) => {
    const value = literal(text!)
    return value === undefined ? [] : [[name!, value] as [string, JsonValue]]
  })
}

/** A call with the names of its arguments after the tensors; an empty name is left out. */
const CALLS: readonly { readonly call: RegExp; readonly names: readonly string[] }[] = [
  {
    call: /torch\._convolution\(\w+, \w+, \w+, ([^\n]{1,300})\)$/gm,
    names: ['stride', 'padding', 'dilation', 'transposed', 'output_padding', 'groups'],
  },
  { call: /torch\.conv[123]d\(\w+, \w+, \w+, ([^\n]{1,300})\)$/gm, names: ['stride', 'padding', 'dilation', 'groups'] },
  { call: /torch\.batch_norm\(\w+, \w+, \w+, \w+, \w+, ([^\n]{1,300})\)$/gm, names: ['', 'momentum', 'eps'] },
  { call: /torch\.layer_norm\(\w+, \[[^\]\n]{0,100}\], \w+, \w+, ([^\n]{1,100})\)$/gm, names: ['eps'] },
  { call: /torch\.group_norm\(\w+, \d+, \w+, \w+, ([^\n]{1,100})\)$/gm, names: ['eps'] },
]

function tracedOptions(body: string): [string, JsonValue][] {
  const found = CALLS.flatMap(({ call, names }) =>
    [...body.matchAll(call)].map((match) => ({ names, text: match[1]! })),
  )
  // A class that calls several is no single layer.
  if (found.length !== 1) return []
  const { names, text } = found[0]!
  const values = text.match(/\[[^\]]*\]|[^,\s][^,]*/g) ?? []
  return names.flatMap((name, index) => {
    const value = name === '' ? undefined : literal(values[index] ?? '')
    return value === undefined ? [] : [[name, value] as [string, JsonValue]]
  })
}

/** A number, word, text, or flat sequence of numbers as Python prints it; undefined for anything else. */
function literal(text: string): JsonValue | undefined {
  const trimmed = text.trim().replace(/,$/, '')
  if (trimmed === 'True' || trimmed === 'False') return trimmed === 'True'
  const quoted = /^"([^"\\]*)"$/.exec(trimmed)?.[1]
  if (quoted !== undefined) return quoted
  const inside = /^[([]([^()[\]]*)[)\]]$/.exec(trimmed)?.[1]
  if (inside === undefined) return number(trimmed)
  const items = inside.split(',').flatMap((item) => (item.trim() === '' ? [] : [number(item.trim())]))
  return items.every((item) => item !== undefined) ? (items as number[]) : undefined
}

function number(text: string): number | undefined {
  return /^-?\d+\.?\d*(e[+-]?\d+)?$/.test(text) ? Number(text) : undefined
}
