import { ToolError } from '../errors.ts'
import { type ChunkBudget, type Course, endOfChunk, isObservable, planCourse } from '../onnx/chunks.ts'
import { outputsOf } from '../onnx/fragment-node.ts'
import type { Fragment, FragmentInput, OnnxProgram } from '../onnx/program.ts'
import { type ArrayValue, numbersOf } from '../tensor/array-value.ts'
import { byteLength, type Dtype, elementCount } from '../tensor/dtype.ts'
import { sketchOf, type ValueSketch } from '../tensor/sketch.ts'
import { loadFragment } from './load-fragment.ts'
import type { DropRequest, PutRequest, ReleaseRequest, StepFetch } from './protocol.ts'
import type { Thread } from './thread.ts'
import { toWire } from './wire.ts'

export interface ObserveOptions {
  /** which values are reported besides the fragment's inputs and outputs; all when absent */
  readonly wanted?: (name: string) => boolean
  /** whether a reported value comes as an array, too; none does when absent */
  readonly keep?: (name: string) => boolean
  /** default true */
  readonly sketch?: boolean
  /** bytes of values, and of weights, that one part may take; default 16 MiB */
  readonly memoryBudget?: number
  /** of the runtime within one operator; default 1: repeated runs are equal bit by bit */
  readonly threads?: number
  /** told after each part how many of all nodes have run */
  readonly onProgress?: (done: number, total: number) => void
  readonly signal?: AbortSignal
}

/** A value that was seen. */
export interface ObservedValue {
  readonly dtype: Dtype
  readonly shape: readonly number[]
  /** absent for text, and where sketches were not asked for */
  readonly sketch?: ValueSketch
  readonly value?: ArrayValue
}

export interface Observation {
  /** one map per input, in the order of execution, inputs of the fragment first */
  readonly runs: readonly ReadonlyMap<string, ObservedValue>[]
  /** values that were asked for and could not be seen, with the reason */
  readonly unseen: ReadonlyMap<string, string>
  /** of ONNX Runtime */
  readonly version: string
  /** how many parts ran */
  readonly parts: number
}

const DEFAULT_BUDGET = 16 * 2 ** 20

/**
 * Runs a fragment, or a whole program (`wholeProgram`), part by part on several inputs and reports what passes, so that
 * neither activations nor weights are ever held as a whole: a part is loaded with its own weights, runs on all inputs,
 * and goes; a value goes when the last part that takes it has run. All numbers are what one run of the whole would
 * have given.
 *
 * @param thread is used alone; session and values that are opened there are gone in the end
 * @param feeds one map per input: values for the fragment's inputs
 * @throws {ToolError} CANNOT_RUN with the runtime's reason, MISSING_PEER; the signal's reason after its abortion
 */
export async function observe(
  thread: Thread,
  program: OnnxProgram,
  fragment: Fragment,
  feeds: readonly ReadonlyMap<string, ArrayValue>[],
  options: ObserveOptions = {},
): Promise<Observation> {
  const { signal, memoryBudget = DEFAULT_BUDGET } = options
  const course = await planCourse(program, fragment)
  const watch = new Watch(program, fragment, course, thread, feeds, options)
  const budget: ChunkBudget = { values: memoryBudget, constants: memoryBudget }
  try {
    for (let begin = 0; begin < course.nodes.length; ) {
      signal?.throwIfAborted()
      const end = endOfChunk(program, course, begin, watch.sizes, feeds.length, budget)
      await watch.runPart(begin, end)
      options.onProgress?.(end, course.nodes.length)
      begin = end
    }
    return watch.result()
  } catch (error) {
    await watch.clear()
    throw error
  }
}

/** Sessions of other users of a thread have numbers from 0 on. */
const SESSION = -1

/** One observation under way. */
class Watch {
  readonly sizes = new Map<string, number>()
  readonly #program: OnnxProgram
  readonly #fragment: Fragment
  readonly #course: Course
  readonly #thread: Thread
  readonly #feeds: readonly ReadonlyMap<string, ArrayValue>[]
  readonly #options: ObserveOptions
  readonly #outputs: ReadonlySet<string>
  readonly #given: ReadonlySet<string>
  readonly #runs: Map<string, ObservedValue>[]
  readonly #unseen = new Map<string, string>()
  /** dtype and shape on each input, of values that later parts take */
  readonly #waiting = new Map<string, readonly Pick<ObservedValue, 'dtype' | 'shape'>[]>()
  /** names of values that are in the thread now */
  readonly #there = new Set<string>()
  #version = 'unknown'
  #parts = 0

  constructor(
    program: OnnxProgram,
    fragment: Fragment,
    course: Course,
    thread: Thread,
    feeds: readonly ReadonlyMap<string, ArrayValue>[],
    options: ObserveOptions,
  ) {
    this.#program = program
    this.#fragment = fragment
    this.#course = course
    this.#thread = thread
    this.#feeds = feeds
    this.#options = options
    this.#outputs = new Set(fragment.outputs)
    this.#given = new Set(fragment.inputs.map(({ name }) => name))
    this.#runs = feeds.map(() => new Map())
    for (const name of this.#given) this.#begin(name)
  }

  #begin(name: string): void {
    const values = this.#feeds.map((feed) => feed.get(name)).filter((value) => value !== undefined)
    if (values.length < this.#feeds.length) throw new ToolError('CANNOT_RUN', `input "${name}" has no values`)
    this.#waiting.set(name, values)
    this.sizes.set(name, bytesOf(values))
    for (const [run, value] of values.entries()) {
      const { dtype, shape } = value
      const sketch = this.#options.sketch !== false && dtype !== 'string'
      this.#runs[run]!.set(name, {
        dtype,
        shape,
        ...(sketch ? { sketch: sketchOf(numbersOf(value), shape) } : {}),
        ...(this.#options.keep?.(name) ? { value } : {}),
      })
    }
  }

  async runPart(begin: number, end: number): Promise<void> {
    const nodes = this.#course.nodes.slice(begin, end)
    const made = new Set(nodes.flatMap(outputsOf).filter((name) => name !== ''))
    const taken = [...new Set(nodes.flatMap((node) => this.#course.takes(node)))].filter((name) => !made.has(name))
    const tensors = new Set(nodes.filter((node) => isObservable(this.#program, node)).flatMap(outputsOf))
    for (const name of made) if (!tensors.has(name) && this.#wants(name)) this.#unseen.set(name, 'it is no tensor')
    const isNeeded = (name: string) => this.#course.lastUse(name) >= end || this.#outputs.has(name)
    const wanted = [...made].filter((name) => tensors.has(name) && (isNeeded(name) || this.#wants(name)))
    if (wanted.length > 0) {
      const outputs = await this.#open(nodes, taken, wanted, wanted.filter(isNeeded))
      this.#send(taken.filter((name) => this.#given.has(name) && !this.#there.has(name)))
      if (outputs.length > 0) await this.#runAll(taken, outputs, end)
      this.#tell({ kind: 'release', session: SESSION })
      this.#parts++
    }
    this.#drop([...this.#there].filter((name) => this.#course.lastUse(name) < end))
  }

  result(): Observation {
    return { runs: this.#runs, unseen: this.#unseen, version: this.#version, parts: this.#parts }
  }

  /** Leaves nothing behind in the thread. */
  async clear(): Promise<void> {
    await this.#thread.ask({ kind: 'release', session: SESSION }, 'done').catch(() => undefined)
    this.#drop([...this.#there])
  }

  /** Loads a part. @returns the values that it can show: `wanted`, or only those that are `needed` */
  async #open(
    nodes: Fragment['nodes'],
    taken: readonly string[],
    wanted: readonly string[],
    needed: readonly string[],
  ): Promise<readonly string[]> {
    const { constants } = this.#fragment
    const part = { nodes, inputs: taken.map((name) => this.#inputOf(name)), ...(constants ? { constants } : {}) }
    try {
      await this.#load({ ...part, outputs: wanted })
      return wanted
    } catch (error) {
      // Some value cannot be shown; what later parts need still may.
      if (!(error instanceof ToolError) || error.code !== 'CANNOT_RUN' || needed.length === wanted.length) throw error
      if (needed.length > 0) await this.#load({ ...part, outputs: needed })
      for (const name of wanted) if (!needed.includes(name)) this.#unseen.set(name, error.message)
      return needed
    }
  }

  async #load(fragment: Fragment): Promise<void> {
    const { threads = 1 } = this.#options
    const { version } = await loadFragment(this.#thread, SESSION, this.#program, fragment, threads)
    this.#version = version
  }

  /** Asks for something that is in time when the next question is: nobody waits for the answer. */
  #tell(request: PutRequest | DropRequest | ReleaseRequest): void {
    // A thread that is gone says so to the next question, too.
    this.#thread.ask(request, 'done').catch(() => undefined)
  }

  #send(names: readonly string[]): void {
    for (const name of names) {
      const values = this.#feeds.map((feed, run): [string, ArrayValue] => [keyOf(run, name), feed.get(name)!])
      this.#tell({ kind: 'put', values: toWire(new Map(values)) })
      this.#there.add(name)
    }
  }

  async #runAll(taken: readonly string[], outputs: readonly string[], end: number): Promise<void> {
    const results = new Map<string, Pick<ObservedValue, 'dtype' | 'shape'>[]>(outputs.map((name) => [name, []]))
    for (const name of outputs) if (this.#course.lastUse(name) >= end) this.#there.add(name)
    for (const [run, seen] of this.#runs.entries()) {
      this.#options.signal?.throwIfAborted()
      const feeds = taken.map((name) => ({ name, kept: keyOf(run, name) }))
      const fetches = outputs.map((name) => this.#fetch(run, name, end))
      const stepped = await this.#thread.ask({ kind: 'step', session: SESSION, feeds, fetches }, 'stepped')
      for (const { name, dtype, shape, sketch, value } of stepped.results) {
        results.get(name)!.push({ dtype, shape })
        if (!this.#wants(name)) continue
        const array = value && { value: { dtype, shape, bytes: value.bytes } }
        seen.set(name, { dtype, shape, ...(sketch ? { sketch } : {}), ...array })
      }
    }
    for (const [name, values] of results) {
      this.sizes.set(name, bytesOf(values))
      if (this.#course.lastUse(name) >= end) this.#waiting.set(name, values)
    }
  }

  #fetch(run: number, name: string, end: number): StepFetch {
    const wanted = this.#wants(name)
    return {
      name,
      sketch: wanted && this.#options.sketch !== false,
      send: wanted && this.#options.keep?.(name) === true,
      ...(this.#course.lastUse(name) >= end ? { keep: keyOf(run, name) } : {}),
    }
  }

  #drop(names: readonly string[]): void {
    for (const name of names) this.#there.delete(name)
    const keys = names.flatMap((name) => this.#runs.map((_, run) => keyOf(run, name)))
    if (keys.length > 0) this.#tell({ kind: 'drop', keys })
  }

  #wants(name: string): boolean {
    return this.#outputs.has(name) || (this.#options.wanted?.(name) ?? true)
  }

  #inputOf(name: string): FragmentInput {
    const values = this.#waiting.get(name)
    const [first] = values ?? []
    if (values === undefined || first === undefined)
      throw new ToolError('CANNOT_RUN', `"${name}" is taken by the graph, but nothing makes it`)
    // Sizes that differ between the inputs are free ones.
    const shape = values.every((value) => value.shape.length === first.shape.length)
      ? first.shape.map((size, axis) =>
          values.every((value) => value.shape[axis] === size) ? size : `${name}_${axis}`,
        )
      : undefined
    return { name, dtype: first.dtype, ...(shape ? { shape } : {}) }
  }
}

const keyOf = (run: number, name: string) => `${run} ${name}`

/** of one input: the largest */
function bytesOf(values: readonly Pick<ObservedValue, 'dtype' | 'shape'>[]): number {
  return Math.max(...values.map(({ dtype, shape }) => byteLength(dtype, elementCount(shape))), 0)
}
