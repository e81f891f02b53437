import { FormatError } from '../../errors.ts'
import { keepBytes, narrow, pythonTwoString } from './arguments.ts'
import { plainResult } from './calls.ts'
import type { Operation, PickleMachine } from './machine.ts'
import type { OpcodeName } from './opcodes.ts'
import { asText, isContainer, type PickleDict, type PickleObject, type PickleValue } from './values.ts'

/** The argument itself is the value. */
const constant: Operation = (machine, argument) => {
  const value = argument as PickleValue
  if (isContainer(value)) machine.spend()
  machine.push(value)
}

const recall: Operation = (machine, argument) => machine.recall(argument as number)
const remember: Operation = (machine, argument) => {
  machine.memo.set(argument as number, machine.top())
}
const ignore: Operation = () => {}

const list = (machine: PickleMachine, items: PickleValue[]) => {
  machine.spend()
  machine.push({ kind: 'list', items })
}

const tuple = (machine: PickleMachine, items: PickleValue[]) => {
  machine.spend()
  machine.push({ kind: 'tuple', items })
}

const set = (machine: PickleMachine, items: PickleValue[]) => {
  machine.spend()
  machine.push({ kind: 'set', items })
}

const tupleOf =
  (count: number): Operation =>
  (machine) => {
    const items = new Array<PickleValue>(count)
    for (let index = count - 1; index >= 0; index--) items[index] = machine.pop()
    tuple(machine, items)
  }

const outOfBand: Operation = (machine) => {
  throw new FormatError({
    code: 'UNSUPPORTED_FEATURE',
    file: machine.name,
    what: 'pickle: out-of-band buffer',
    byteOffset: machine.at,
    expected: 'all data inside the pickle',
    found: 'a buffer that its writer kept elsewhere (protocol 5)',
    hint: 'Save the object again without a buffer_callback.',
  })
}

/** Codes of the extension registry stand for globals that only the writing program knows. */
const extension: Operation = (machine, argument) =>
  machine.push(machine.global('copyreg', `extension_${argument as number}`))

function setItems(machine: PickleMachine, target: PickleValue, pairs: readonly PickleValue[]): void {
  if (pairs.length % 2 !== 0) throw machine.invalid('dict', 'a value for each key', `${pairs.length} keys and values`)
  let entries: Map<PickleValue, PickleValue>
  if (isContainer(target) && target.kind === 'dict') entries = target.entries
  else if (isContainer(target) && target.kind === 'object') {
    target.entries ??= new Map()
    entries = target.entries
  } else throw machine.invalid('item assignment', 'a dict', describe(target))
  for (let index = 0; index < pairs.length; index += 2) entries.set(pairs[index]!, pairs[index + 1]!)
}

function addItems(machine: PickleMachine, target: PickleValue, items: readonly PickleValue[], kind: 'list' | 'set') {
  let to: PickleValue[]
  if (isContainer(target) && (target.kind === 'list' || target.kind === 'set')) to = target.items
  else if (isContainer(target) && target.kind === 'object') {
    target.items ??= []
    to = target.items
  } else throw machine.invalid('append', `a ${kind}`, describe(target))
  for (const item of items) to.push(item)
}

function instance(machine: PickleMachine, parts: Omit<PickleObject, 'kind' | 'offset'>): void {
  machine.spend()
  const { callable, args } = parts
  if (isContainer(callable) && callable.kind === 'global') {
    const plain = plainResult(callable.name, args, (count) => machine.spend(count))
    if (plain !== undefined) {
      machine.push(plain)
      return
    }
    const made = reconstructed(machine, callable.name, args)
    if (made) {
      machine.push(made)
      return
    }
  }
  machine.push({ kind: 'object', ...parts, offset: machine.at })
}

/**
 * `copyreg._reconstructor(class, base, value)` is how protocols 0 and 1 make an instance of `class`: `base(value)` fills
 * it where the class is a kind of list or dict. `copyreg.__newobj__(class, ...)` is NEWOBJ for them.
 */
function reconstructed(machine: PickleMachine, name: string, args: readonly PickleValue[]): PickleObject | undefined {
  const [type, , value] = args
  if (type === undefined) return undefined
  const made = { kind: 'object', callable: type, how: 'new', offset: machine.at } as const
  if (name === 'copyreg.__newobj__' || name === 'copy_reg.__newobj__') return { ...made, args: args.slice(1) }
  if (name !== 'copyreg._reconstructor' && name !== 'copy_reg._reconstructor') return undefined
  if (isContainer(value) && (value.kind === 'list' || value.kind === 'set')) {
    machine.spend(value.items.length)
    return { ...made, args: [], items: [...value.items] }
  }
  if (isContainer(value) && value.kind === 'dict') {
    machine.spend(value.entries.size)
    return { ...made, args: [], entries: new Map(value.entries) }
  }
  return { ...made, args: value === null || value === undefined ? [] : [value] }
}

/** The items of an argument tuple. */
function argumentsOf(machine: PickleMachine, value: PickleValue): readonly PickleValue[] {
  if (isContainer(value) && value.kind === 'tuple') return value.items
  throw machine.invalid('arguments of a call', 'a tuple', describe(value))
}

function persistent(machine: PickleMachine, id: PickleValue): void {
  machine.spend()
  machine.push(machine.resolve(id) ?? { kind: 'persistent', id })
}

/** What each opcode does. */
export const OPERATIONS: Readonly<Record<OpcodeName, Operation>> = {
  MARK: (machine) => machine.mark(),
  STOP: ignore,
  POP: (machine) => machine.popAny(),
  POP_MARK: (machine) => {
    machine.popMark()
  },
  DUP: (machine) => machine.push(machine.top()),

  NONE: (machine) => machine.push(null),
  NEWTRUE: (machine) => machine.push(true),
  NEWFALSE: (machine) => machine.push(false),
  BININT: constant,
  BININT1: constant,
  BININT2: constant,
  LONG1: constant,
  LONG4: constant,
  BINFLOAT: constant,
  INT: (machine, argument) => {
    const isBoolean = argument === '00' || argument === '01'
    machine.push(isBoolean ? argument === '01' : parseInteger(machine, argument as string))
  },
  LONG: (machine, argument) => machine.push(parseInteger(machine, (argument as string).replace(/L$/, ''))),
  FLOAT: (machine, argument) => machine.push(parseFloatLine(machine, argument as string)),

  STRING: (machine, argument) => constant(machine, parseStringLine(machine, argument as string)),
  BINSTRING: constant,
  SHORT_BINSTRING: constant,
  UNICODE: (machine, argument) => machine.push(parseUnicodeLine(argument as string)),
  BINUNICODE: constant,
  SHORT_BINUNICODE: constant,
  BINUNICODE8: constant,
  BINBYTES: constant,
  SHORT_BINBYTES: constant,
  BINBYTES8: constant,
  BYTEARRAY8: constant,

  EMPTY_LIST: (machine) => list(machine, []),
  EMPTY_TUPLE: (machine) => tuple(machine, []),
  EMPTY_SET: (machine) => set(machine, []),
  EMPTY_DICT: (machine) => {
    machine.spend()
    machine.push({ kind: 'dict', entries: new Map() })
  },
  LIST: (machine) => list(machine, machine.popMark()),
  TUPLE: (machine) => tuple(machine, machine.popMark()),
  FROZENSET: (machine) => set(machine, machine.popMark()),
  DICT: (machine) => {
    const pairs = machine.popMark()
    const dict: PickleDict = { kind: 'dict', entries: new Map() }
    machine.spend()
    setItems(machine, dict, pairs)
    machine.push(dict)
  },
  TUPLE1: tupleOf(1),
  TUPLE2: tupleOf(2),
  TUPLE3: tupleOf(3),
  APPEND: (machine) => {
    const item = machine.pop()
    addItems(machine, machine.top(), [item], 'list')
  },
  APPENDS: (machine) => {
    const items = machine.popMark()
    addItems(machine, machine.top(), items, 'list')
  },
  ADDITEMS: (machine) => {
    const items = machine.popMark()
    addItems(machine, machine.top(), items, 'set')
  },
  SETITEM: (machine) => {
    const value = machine.pop()
    const key = machine.pop()
    setItems(machine, machine.top(), [key, value])
  },
  SETITEMS: (machine) => {
    const pairs = machine.popMark()
    setItems(machine, machine.top(), pairs)
  },

  GET: (machine, argument) => recall(machine, parseIndex(machine, argument as string)),
  BINGET: recall,
  LONG_BINGET: recall,
  PUT: (machine, argument) => remember(machine, parseIndex(machine, argument as string)),
  BINPUT: remember,
  LONG_BINPUT: remember,
  MEMOIZE: (machine) => remember(machine, machine.memo.size),

  GLOBAL: (machine, argument) => machine.push(machine.global(...(argument as [string, string]))),
  STACK_GLOBAL: (machine) => {
    const name = asText(machine.pop())
    const module = asText(machine.pop())
    if (name === undefined || module === undefined) {
      throw machine.invalid('global', 'a module and a name', 'something other than text')
    }
    machine.push(machine.global(module, name))
  },
  EXT1: extension,
  EXT2: extension,
  EXT4: extension,
  REDUCE: (machine) => {
    const args = argumentsOf(machine, machine.pop())
    instance(machine, { callable: machine.pop(), how: 'call', args })
  },
  NEWOBJ: (machine) => {
    const args = argumentsOf(machine, machine.pop())
    instance(machine, { callable: machine.pop(), how: 'new', args })
  },
  NEWOBJ_EX: (machine) => {
    const keywords = machine.pop()
    const args = argumentsOf(machine, machine.pop())
    instance(machine, { callable: machine.pop(), how: 'new', args, keywords })
  },
  INST: (machine, argument) => {
    const args = machine.popMark()
    instance(machine, { callable: machine.global(...(argument as [string, string])), how: 'call', args })
  },
  OBJ: (machine) => {
    const [callable, ...args] = machine.popMark()
    if (callable === undefined) throw machine.invalid('OBJ', 'a class above the mark', 'nothing')
    instance(machine, { callable, how: 'call', args })
  },
  BUILD: (machine) => {
    const state = machine.pop()
    const target = machine.top()
    if (isContainer(target) && (target.kind === 'object' || target.kind === 'dict')) target.state = state
    else throw machine.invalid('BUILD', 'an object', describe(target))
  },

  PERSID: persistentLine,
  BINPERSID: (machine) => persistent(machine, machine.pop()),
  PROTO: (machine, argument) => {
    if ((argument as number) > 5) throw machine.invalid('protocol', 'at most 5', String(argument))
  },
  FRAME: ignore,
  NEXT_BUFFER: outOfBand,
  READONLY_BUFFER: outOfBand,
}

function persistentLine(machine: PickleMachine, argument: unknown): void {
  persistent(machine, argument as string)
}

function describe(value: PickleValue): string {
  if (value === null) return 'None'
  return isContainer(value) ? `a ${value.kind}` : `a ${typeof value}`
}

/** Longer decimal numbers take time that grows with the square of their length. */
const MAX_DIGITS = 10_000

function parseInteger(machine: PickleMachine, text: string): number | bigint {
  if (!/^\s*[+-]?\d+\s*$/.test(text) || text.length > MAX_DIGITS) {
    throw machine.invalid('number', `a whole number of at most ${MAX_DIGITS} digits`, JSON.stringify(text.slice(0, 40)))
  }
  return narrow(BigInt(text.trim().replace(/^\+/, '')))
}

function parseIndex(machine: PickleMachine, text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw machine.invalid('memo number', 'digits', JSON.stringify(text.slice(0, 40)))
  return Number(text)
}

const SPECIAL_FLOATS: Readonly<Record<string, number>> = {
  inf: Number.POSITIVE_INFINITY,
  '-inf': Number.NEGATIVE_INFINITY,
  nan: Number.NaN,
  '-nan': Number.NaN,
}

function parseFloatLine(machine: PickleMachine, text: string): number {
  if (Object.hasOwn(SPECIAL_FLOATS, text)) return SPECIAL_FLOATS[text]!
  if (!/^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text)) {
    throw machine.invalid('number', 'a decimal fraction', JSON.stringify(text.slice(0, 40)))
  }
  return Number(text)
}

const ESCAPES: Readonly<Record<string, number>> = {
  n: 10,
  t: 9,
  r: 13,
  a: 7,
  b: 8,
  f: 12,
  v: 11,
  '\\': 92,
  "'": 39,
  '"': 34,
}

/** `repr` of a Python 2 string: quotes, and escapes for everything outside printable ASCII. */
function parseStringLine(machine: PickleMachine, line: string): PickleValue {
  const quote = line[0]
  if ((quote !== "'" && quote !== '"') || line.length < 2 || line.at(-1) !== quote) {
    throw machine.invalid('STRING', 'quoted text', JSON.stringify(line.slice(0, 40)))
  }
  const bytes = new Uint8Array(line.length)
  let length = 0
  for (let index = 1; index < line.length - 1; index++) {
    if (line[index] !== '\\') {
      bytes[length++] = line.charCodeAt(index)
      continue
    }
    const letter = line[++index] ?? ''
    const hex = /^[\da-fA-F]{2}/.exec(letter === 'x' ? line.slice(index + 1, index + 3) : '')
    const octal = /^[0-7]{1,3}/.exec(line.slice(index, index + 3))
    if (hex) {
      bytes[length++] = Number.parseInt(hex[0], 16)
      index += 2
    } else if (octal) {
      bytes[length++] = Number.parseInt(octal[0], 8)
      index += octal[0].length - 1
    } else if (Object.hasOwn(ESCAPES, letter)) bytes[length++] = ESCAPES[letter]!
    else throw machine.invalid('STRING', 'a known escape', JSON.stringify(`\\${letter}`))
  }
  const content = bytes.subarray(0, length)
  const value = pythonTwoString(content)
  return typeof value === 'string' ? value : keepBytes(content)
}

/** Raw-unicode-escape: Latin-1 with `\uXXXX` and `\UXXXXXXXX`. */
function parseUnicodeLine(line: string): string {
  return line.replace(/\\u([\da-fA-F]{4})|\\U([\da-fA-F]{8})/g, (all, short?: string, long?: string) => {
    const code = Number.parseInt(short ?? long!, 16)
    return code > 0x10ffff ? all : String.fromCodePoint(code)
  })
}
