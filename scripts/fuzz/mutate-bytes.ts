import { type ContentKind, EDGE_INTEGERS, tokensFor } from './dictionary.ts'
import type { Dice } from './random.ts'

/** Inputs stay below this, so that a case stays fast and a claim of more is always false. */
export const MAX_INPUT_BYTES = 256 * 1024

/** One change of bytes without regard to structure; `other` is a second file of the same format to splice with. */
export function mutateBytes(bytes: Uint8Array, kind: ContentKind, other: Uint8Array, dice: Dice): Uint8Array {
  if (bytes.length === 0) return dice.pick(tokensFor(kind)).slice()
  return dice.pick(MUTATORS)(bytes, kind, other, dice).subarray(0, MAX_INPUT_BYTES)
}

type Mutator = (bytes: Uint8Array, kind: ContentKind, other: Uint8Array, dice: Dice) => Uint8Array

const MUTATORS: readonly Mutator[] = [
  function flipBits(bytes, _kind, _other, dice) {
    const result = bytes.slice()
    for (let flips = dice.int(8); flips >= 0; flips--) result[place(bytes, dice)]! ^= 1 << dice.int(8)
    return result
  },
  function setRun(bytes, _kind, _other, dice) {
    const result = bytes.slice()
    const at = place(bytes, dice)
    result.fill(dice.pick([0, 0xff, dice.int(256)]), at, at + 1 + dice.int(16))
    return result
  },
  writeInteger,
  writeInteger,
  function addSmall(bytes, _kind, _other, dice) {
    const result = bytes.slice()
    const at = place(bytes, dice)
    result[at] = result[at]! + dice.int(33) - 16
    return result
  },
  function truncate(bytes, _kind, _other, dice) {
    return bytes.slice(
      0,
      dice.chance(0.5) ? place(bytes, dice) : bytes.length - 1 - dice.int(Math.min(64, bytes.length)),
    )
  },
  function removeBlock(bytes, _kind, _other, dice) {
    const at = place(bytes, dice)
    return replace(bytes, at, blockLength(bytes, at, dice), new Uint8Array(0))
  },
  function repeatBlock(bytes, _kind, _other, dice) {
    const at = place(bytes, dice)
    const block = bytes.slice(at, at + blockLength(bytes, at, dice))
    return replace(bytes, dice.chance(0.5) ? at : place(bytes, dice), 0, block)
  },
  function copyOver(bytes, _kind, _other, dice) {
    const result = bytes.slice()
    const from = place(bytes, dice)
    const to = place(bytes, dice)
    const length = Math.min(blockLength(bytes, from, dice), bytes.length - to)
    result.copyWithin(to, from, from + length)
    return result
  },
  function splice(bytes, _kind, other, dice) {
    if (other.length === 0) return bytes.slice(0, place(bytes, dice))
    const at = place(bytes, dice)
    const from = dice.chance(0.5) ? Math.min(at, other.length) : place(other, dice)
    return dice.chance(0.5)
      ? replace(bytes, at, bytes.length - at, other.subarray(from))
      : replace(bytes, at, blockLength(bytes, at, dice), other.subarray(from, from + 1 + dice.int(64)))
  },
  token,
  token,
  function asciiNumber(bytes, kind, other, dice) {
    const start = place(bytes, dice)
    for (let at = start; at < Math.min(bytes.length, start + 400); at++) {
      if (!isDigit(bytes[at]!)) continue
      let end = at
      while (end < bytes.length && isDigit(bytes[end]!)) end++
      const text = String(dice.pick(EDGE_INTEGERS))
      const same = text.slice(0, end - at).padStart(end - at, '0')
      return replace(bytes, at, end - at, new TextEncoder().encode(dice.chance(0.5) ? text : same))
    }
    return token(bytes, kind, other, dice)
  },
]

function writeInteger(bytes: Uint8Array, _kind: ContentKind, _other: Uint8Array, dice: Dice): Uint8Array {
  const result = bytes.slice()
  const size = dice.pick([1, 2, 4, 4, 8, 8])
  const at = Math.max(0, Math.min(place(bytes, dice), bytes.length - size))
  const values = [
    ...EDGE_INTEGERS,
    BigInt(bytes.length),
    BigInt(bytes.length - at),
    BigInt(at),
    BigInt(dice.int(bytes.length)),
  ]
  const value = BigInt.asUintN(64, dice.pick(values))
  const little = dice.chance(0.8)
  for (let index = 0; index < size; index++) {
    result[at + index] = Number((value >> BigInt(8 * (little ? index : size - 1 - index))) & 255n)
  }
  return result.subarray(0, bytes.length)
}

function token(bytes: Uint8Array, kind: ContentKind, _other: Uint8Array, dice: Dice): Uint8Array {
  const chosen = dice.pick(tokensFor(kind))
  const at = place(bytes, dice)
  return replace(bytes, at, dice.chance(0.5) ? chosen.length : 0, chosen)
}

/** A position; half the time near an end of the file, where the structures are. */
function place(bytes: Uint8Array, dice: Dice): number {
  const near = Math.min(bytes.length, 512)
  if (dice.chance(0.3)) return dice.int(near)
  if (dice.chance(0.25)) return bytes.length - 1 - dice.int(near)
  return dice.int(bytes.length)
}

function blockLength(bytes: Uint8Array, at: number, dice: Dice): number {
  return Math.min(bytes.length - at, 1 + dice.int(dice.pick([4, 16, 64, 256, 2048])))
}

function replace(bytes: Uint8Array, at: number, length: number, content: Uint8Array): Uint8Array {
  const end = Math.min(bytes.length, at + length)
  const result = new Uint8Array(bytes.length - (end - at) + content.length)
  result.set(bytes.subarray(0, at))
  result.set(content, at)
  result.set(bytes.subarray(end), at + content.length)
  return result
}

const isDigit = (byte: number) => byte >= 0x30 && byte <= 0x39
