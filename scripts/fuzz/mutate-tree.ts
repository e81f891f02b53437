import { EDGE_INTEGERS, EDGE_STRINGS } from './dictionary.ts'
import type { Dice } from './random.ts'

/** One change somewhere in a JSON value: a value replaced, a key dropped, renamed or copied, a list grown or emptied. */
export function mutateJson(value: unknown, dice: Dice): unknown {
  if (value === null || typeof value !== 'object' || dice.chance(0.05)) return edgeValue(value, dice)
  if (Array.isArray(value)) {
    if (value.length === 0) return [edgeValue(undefined, dice)]
    const at = dice.int(value.length)
    if (dice.chance(0.75)) return value.with(at, mutateJson(value[at], dice))
    const choice = dice.int(4)
    if (choice === 0) return value.toSpliced(at, 1)
    if (choice === 1) return value.toSpliced(at, 0, value[dice.int(value.length)])
    if (choice === 2) return []
    return Array.from({ length: 40 }, (_, index) => value[index % value.length])
  }
  const entries = Object.entries(value)
  if (entries.length === 0) return { [dice.pick(EDGE_STRINGS)]: edgeValue(undefined, dice) }
  const at = dice.int(entries.length)
  const [key, content] = entries[at]!
  if (dice.chance(0.8)) return Object.fromEntries(entries.with(at, [key, mutateJson(content, dice)]))
  const choice = dice.int(3)
  if (choice === 0) return Object.fromEntries(entries.toSpliced(at, 1))
  if (choice === 1) return Object.fromEntries(entries.with(at, [dice.pick(EDGE_STRINGS), content]))
  return Object.fromEntries([...entries, [`${key}2`, dice.pick(entries)[1]]])
}

function edgeValue(value: unknown, dice: Dice): unknown {
  const choice = dice.int(12)
  if (choice < 5) return Number(dice.pick(EDGE_INTEGERS))
  if (choice < 8) return dice.pick(EDGE_STRINGS)
  if (choice === 8) return dice.pick([null, true, false, 0.5, -0])
  if (choice === 9) return dice.pick([[], {}, [[]], [value], { class_name: value, config: {} }])
  if (choice === 10) {
    let deep: unknown = value ?? 0
    for (let depth = dice.pick([10, 99, 101, 3000]); depth > 0; depth--) deep = [deep]
    return deep
  }
  return typeof value === 'string' ? value + value : typeof value === 'number' ? value + dice.int(5) - 2 : dice.int(1e6)
}

/** One line dropped, doubled, moved or glued; or one word of it replaced. */
export function mutateLines(text: string, dice: Dice): string {
  const lines = text.split('\n')
  const at = dice.int(lines.length)
  const choice = dice.int(8)
  if (choice === 0) return lines.toSpliced(at, 1 + dice.int(3)).join('\n')
  if (choice === 1) return lines.toSpliced(at, 0, ...lines.slice(at, at + 1 + dice.int(20))).join('\n')
  if (choice === 2) return lines.toSpliced(dice.int(lines.length), 0, lines[at]!).join('\n')
  if (choice === 3) return lines.with(at, `${lines[at]} ${lines[dice.int(lines.length)]}`).join('\n')
  const words = lines[at]!.split(/(?<=[\s=,:"])/)
  const word = dice.int(words.length)
  const fresh = dice.chance(0.7) ? String(dice.pick(EDGE_INTEGERS)) : dice.pick(EDGE_STRINGS)
  const other = lines[dice.int(lines.length)]!.split(/(?<=[\s=,:"])/)
  return lines.with(at, words.with(word, dice.chance(0.7) ? `${fresh} ` : dice.pick(other)).join('')).join('\n')
}

interface Field {
  readonly id: number
  readonly wire: number
  readonly value: bigint | Uint8Array
}

/** One change in a protocol-buffer message, at any depth, with all lengths around it right again. */
export function mutateMessage(bytes: Uint8Array, dice: Dice, depth = 0): Uint8Array {
  const fields = parseMessage(bytes)
  if (fields === undefined || fields.length === 0) return mutatePayload(bytes, dice)
  const at = dice.int(fields.length)
  const { id, wire, value } = fields[at]!
  const choice = dice.int(12)
  if (choice === 0) return encodeMessage(fields.toSpliced(at, 1))
  if (choice === 1) return encodeMessage(fields.toSpliced(dice.int(fields.length), 0, fields[at]!))
  if (choice === 2)
    return encodeMessage(fields.with(at, { id: dice.pick([id + 1, id - 1, 1 + dice.int(32)]), wire, value }))
  if (choice === 3 && depth > 0 && value instanceof Uint8Array) {
    // The message inside itself, again and again: nesting without end.
    let deep = bytes
    for (let rounds = dice.pick([2, 20, 110]); rounds > 0 && deep.length < 20_000; rounds--)
      deep = encodeMessage([{ id, wire: 2, value: deep }])
    return deep
  }
  if (value instanceof Uint8Array)
    return encodeMessage(
      fields.with(at, { id, wire, value: depth < 30 ? mutateMessage(value, dice, depth + 1) : value }),
    )
  return encodeMessage(fields.with(at, { id, wire, value: dice.chance(0.8) ? dice.pick(EDGE_INTEGERS) : value + 1n }))
}

function mutatePayload(bytes: Uint8Array, dice: Dice): Uint8Array {
  if (dice.chance(0.3)) return new TextEncoder().encode(dice.pick(EDGE_STRINGS))
  if (dice.chance(0.3)) return bytes.slice(0, dice.int(bytes.length))
  if (dice.chance(0.3)) return Uint8Array.from([...bytes.subarray(0, 4096), ...bytes.subarray(0, 4096)])
  const copy = bytes.slice()
  if (copy.length > 0) copy[dice.int(copy.length)] = dice.int(256)
  return copy
}

/** Fields of `bytes` when they are a whole message; undefined otherwise. */
function parseMessage(bytes: Uint8Array): Field[] | undefined {
  const fields: Field[] = []
  let at = 0
  const varint = () => {
    let value = 0n
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = bytes[at++]
      if (byte === undefined) return undefined
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
    return undefined
  }
  while (at < bytes.length) {
    const tag = varint()
    if (tag === undefined || tag < 8n || tag > 0xffffffffn) return undefined
    const id = Number(tag >> 3n)
    const wire = Number(tag & 7n)
    if (wire === 0) {
      const value = varint()
      if (value === undefined) return undefined
      fields.push({ id, wire, value })
      continue
    }
    const length = wire === 2 ? varint() : wire === 1 ? 8n : wire === 5 ? 4n : undefined
    if (length === undefined || BigInt(at) + length > BigInt(bytes.length)) return undefined
    fields.push({ id, wire, value: bytes.subarray(at, at + Number(length)) })
    at += Number(length)
  }
  return fields
}

function encodeMessage(fields: readonly Field[]): Uint8Array {
  const out: Uint8Array[] = []
  for (const { id, wire, value } of fields) {
    out.push(
      encodeVarint((BigInt(Math.max(1, id)) << 3n) | BigInt(value instanceof Uint8Array && wire === 0 ? 2 : wire)),
    )
    if (!(value instanceof Uint8Array)) out.push(encodeVarint(BigInt.asUintN(64, value)))
    else if (wire === 2) out.push(encodeVarint(BigInt(value.length)), value)
    else out.push(Uint8Array.from({ length: wire === 1 ? 8 : 4 }, (_, index) => value[index] ?? 0))
  }
  return new Uint8Array(Buffer.concat(out))
}

function encodeVarint(value: bigint): Uint8Array {
  const bytes: number[] = []
  let rest = value
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128)
  bytes.push(Number(rest))
  return Uint8Array.from(bytes)
}
