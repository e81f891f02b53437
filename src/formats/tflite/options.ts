import type { FlatTable } from '../../encoding/flatbuffers.ts'
import type { AttributeValue } from '../../model/graph.ts'
import { shortestFloat32 } from '../../tensor/shortest-float.ts'
import { BUILTIN_OPTIONS, BUILTIN_OPTIONS_2, ENUMS, type OptionFields } from './options-schema.ts'
import { dtypeFromTflite } from './types.ts'

/** Attributes of an operator under the names of the schema: `stride_h`, `fused_activation_function` ... */
export type Options = Readonly<Record<string, AttributeValue>>

/** Custom options of at most so many bytes are shown as hex, longer ones by their length. */
const MAX_HEX_BYTES = 256

/**
 * Options of `operator` (a tflite.Operator) by the tables of the schema. A table of a kind that is not known here gives
 * `{builtin_options_type: number}`; options of custom operators are bytes that only their author can read.
 */
export async function readOptions(operator: FlatTable): Promise<Options> {
  return {
    ...(await readUnion(operator, 3, BUILTIN_OPTIONS, 'builtin_options_type')),
    ...(await readUnion(operator, 11, BUILTIN_OPTIONS_2, 'builtin_options_2_type')),
    ...(await readCustom(operator)),
  }
}

/** A union is a type number and, in the next field, a table. */
async function readUnion(
  operator: FlatTable,
  field: number,
  kinds: typeof BUILTIN_OPTIONS,
  unknownKey: string,
): Promise<Options> {
  const number = operator.scalar(field, 'u8')
  if (number === 0) return {}
  const kind = kinds[number]
  if (kind === undefined) return { [unknownKey]: number }
  const [name, fields] = kind
  const table = await operator.table(field + 1, `tflite.${name}`)
  return table ? readFields(table, fields) : {}
}

async function readFields(table: FlatTable, fields: OptionFields): Promise<Options> {
  const options: [string, AttributeValue][] = []
  for (const [index, [name, spec]] of Object.entries(fields).entries()) {
    const [type, missing] = typeof spec === 'string' ? [spec, 0] : spec
    switch (type) {
      case 'string': {
        const text = await table.string(index)
        if (text !== undefined) options.push([name, text])
        break
      }
      case 'u8[]':
      case 'bool[]':
      case 'i32[]':
      case 'u32[]':
      case 'i64[]':
      case 'f32[]': {
        const numbers = await table.numbers(index, type.slice(0, -2) as 'u8' | 'bool' | 'i32' | 'u32' | 'i64' | 'f32')
        if (numbers) options.push([name, numbers])
        break
      }
      case 'padding':
      case 'activation':
      case 'mirror': {
        const code = table.scalar(index, 'i8')
        options.push([name, ENUMS[type][code] ?? code])
        break
      }
      case 'type': {
        const code = table.scalar(index, 'i8', Number(missing))
        options.push([name, dtypeFromTflite(code) ?? code])
        break
      }
      case 'bool':
        options.push([name, table.flag(index, Boolean(missing))])
        break
      case 'f32':
        options.push([name, shortestFloat32(table.scalar(index, 'f32'))])
        break
      default:
        options.push([name, table.scalar(index, type, Number(missing))])
    }
  }
  return Object.fromEntries(options)
}

async function readCustom(operator: FlatTable): Promise<Options> {
  const large = operator.scalar(10, 'u64')
  if (large > 0) return { custom_options: { bytes: large } }
  const range = await operator.range(5)
  if (range === undefined || range.length === 0) return {}
  if (range.length > MAX_HEX_BYTES) return { custom_options: { bytes: range.length } }
  const bytes = (await operator.numbers(5, 'u8')) ?? []
  return { custom_options: { hex: bytes.map((byte) => byte.toString(16).padStart(2, '0')).join('') } }
}
