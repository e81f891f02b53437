import type { Limits } from '../../bytes/limits.ts'
import { FormatError } from '../../errors.ts'
import { type Argument, invalid, readArgument } from './arguments.ts'
import type { PickleCursor } from './cursor.ts'
import { classifyGlobal, type GlobalKind } from './globals.ts'
import { OPCODES } from './opcodes.ts'
import { OPERATIONS } from './operations.ts'
import type { PickleGlobal, PickleValue } from './values.ts'

/** Names are hashed at every reference; the longest real ones have about 200 characters. */
const MAX_NAME = 2000

/** A global that a pickle names, with how often and where. */
export interface GlobalReference {
  readonly name: string
  readonly kind: GlobalKind
  count: number
  /** of the first reference, in the source of the pickle */
  readonly byteOffset: number
}

/** What the caller adds to the machine. */
export interface PickleOptions {
  readonly limits: Limits
  /** filled with every global met; shared between the pickles of one file */
  readonly references: Map<string, GlobalReference>
  /** what a persistent id stands for; undefined leaves it as it is */
  readonly resolve?: (id: PickleValue) => PickleValue | undefined
}

/** What a pickle gave. */
export interface PickleResult {
  readonly value: PickleValue
  /** opcodes run: the yardstick for everything that follows shared references */
  readonly opcodes: number
}

/**
 * Runs one pickle from the cursor on and leaves the cursor behind its STOP.
 *
 * A machine with a stack, marks and a memo, as `pickle` describes it, which builds data and nothing else: a global is
 * a name, a call is a record of the call. It cannot import, construct or execute anything, so no pickle is unsafe to
 * run; what Python would have called is in `references`.
 *
 * Work and memory are bounded: at most ten opcodes per item of `limits.maxItems`, at most `maxItems` containers, and
 * strings beyond a few kilobytes stay in the file.
 *
 * @throws {FormatError} with the offset of the opcode at fault
 * @source https://github.com/python/cpython/blob/main/Lib/pickletools.py
 */
export async function runPickle(cursor: PickleCursor, options: PickleOptions): Promise<PickleResult> {
  const machine = new PickleMachine(cursor.name, options)
  const maxOpcodes = options.limits.maxItems * 10
  for (let count = 0; ; count++) {
    if (!cursor.has(1)) await cursor.fill(1, 'next opcode (there is no STOP)')
    const at = cursor.offset
    machine.at = at
    if (count >= maxOpcodes) throw machine.beyond('opcodes', maxOpcodes)
    const byte = cursor.u1()
    const opcode = OPCODES[byte]
    if (!opcode) throw machine.invalid('opcode', 'one of protocols 0 to 5', `0x${byte.toString(16).padStart(2, '0')}`)
    let argument = readArgument(cursor, opcode)
    if (argument instanceof Promise) argument = await argument
    if (opcode.name === 'STOP') return { value: machine.pop(), opcodes: count }
    OPERATIONS[opcode.name](machine, argument)
  }
}

/** Stack, marks, memo and the counts that bound them; the operations work on it. */
export class PickleMachine {
  readonly name: string
  /** absolute offset of the opcode being run */
  at = 0
  readonly memo = new Map<number, PickleValue>()
  containers = 0
  readonly #stack: PickleValue[] = []
  readonly #marks: number[] = []
  readonly #limits: Limits
  readonly #references: Map<string, GlobalReference>
  readonly #globals = new Map<string, PickleGlobal>()

  readonly resolve: (id: PickleValue) => PickleValue | undefined

  constructor(name: string, { limits, references, resolve = () => undefined }: PickleOptions) {
    this.name = name
    this.#limits = limits
    this.#references = references
    this.resolve = resolve
  }

  push(value: PickleValue): void {
    this.#stack.push(value)
  }

  /** Pays for containers that are made or items that are copied. */
  spend(count = 1): void {
    this.containers += count
    if (this.containers > this.#limits.maxItems) throw this.beyond('containers', this.#limits.maxItems)
  }

  pop(): PickleValue {
    if (this.#stack.length <= (this.#marks.at(-1) ?? 0)) throw this.invalid('stack', 'a value', 'nothing')
    return this.#stack.pop()!
  }

  top(): PickleValue {
    if (this.#stack.length <= (this.#marks.at(-1) ?? 0)) throw this.invalid('stack', 'a value', 'nothing')
    return this.#stack.at(-1)!
  }

  mark(): void {
    this.#marks.push(this.#stack.length)
  }

  /** POP on an empty part of the stack removes the mark below it. */
  popAny(): void {
    if (this.#stack.length === this.#marks.at(-1)) this.#marks.pop()
    else this.pop()
  }

  /** Everything above the last mark. */
  popMark(): PickleValue[] {
    const mark = this.#marks.pop()
    if (mark === undefined) throw this.invalid('stack', 'a mark', 'none')
    return this.#stack.splice(mark)
  }

  /** A global by name; counted as a reference to it. */
  global(module: string, qualifiedName: string): PickleGlobal {
    if (module.length + qualifiedName.length > MAX_NAME) throw this.beyond('characters of a global', MAX_NAME)
    const name = `${module}.${qualifiedName}`
    const reference = this.#references.get(name)
    if (reference) reference.count++
    else {
      if (this.#references.size >= this.#limits.maxItems) throw this.beyond('globals', this.#limits.maxItems)
      const kind = classifyGlobal(module, qualifiedName)
      this.#references.set(name, { name, kind, count: 1, byteOffset: this.at })
    }
    let value = this.#globals.get(name)
    if (!value) {
      value = { kind: 'global', name }
      this.#globals.set(name, value)
    }
    return value
  }

  /** A value from the memo; a global taken from there is one more reference to it. */
  recall(key: number): void {
    const value = this.memo.get(key)
    if (value === undefined) throw this.invalid('memo', 'an entry that was stored before', `number ${key}`)
    if (typeof value === 'object' && value?.kind === 'global') {
      const reference = this.#references.get(value.name)
      if (reference) reference.count++
    }
    this.push(value)
  }

  invalid(what: string, expected: string, found: string): FormatError {
    return invalid(this, what, this.at, expected, found)
  }

  beyond(what: string, limit: number): FormatError {
    return new FormatError({
      code: 'LIMIT_EXCEEDED',
      file: this.name,
      what: `pickle: number of ${what}`,
      byteOffset: this.at,
      expected: `at most ${limit}`,
      found: 'more',
    })
  }
}

/** What an operation does with the machine and the opcode's argument. */
export type Operation = (machine: PickleMachine, argument: Argument) => void
