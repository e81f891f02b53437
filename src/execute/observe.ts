import { ToolError } from '../errors.ts'
import { type ChunkBudget, type Course, endOfChunk, isObservable, planCourse } from '../onnx/chunks.ts'
import type { Fragment, FragmentInput, OnnxProgram } from '../onnx/program.ts'
import { fragmentBytes } from '../onnx/write-fragment.ts'
import type { ArrayValue } from '../tensor/array-value.ts'
import { numbersOf } from '../tensor/array-value.ts'
import { byteLength, type Dtype, elementCount } from '../tensor/dtype.ts'
import { sketchOf, type ValueSketch } from '../tensor/sketch.ts'
import type { StepFetch } from './protocol.ts'
import { toWire } from './session.ts'
import { startThread, type Thread } from './thread.ts'

export interface ObserveOptions {
  /** which values are reported; all that the runtime can show when absent. Outputs always are */
  readonly wanted?: (name: string) => boolean
  /** whether a reported value comes as an array, too; none does when absent */
  readonly keep?: (name: string) => boolean
  /** default true */
  readonly sketch?: boolean
  /** bytes of values, and of weights, that one part of the program may take; default 64 MiB */
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
  /** one map per input, in the order of execution, inputs of the program first */
  readonly runs: readonly ReadonlyMap<string, ObservedValue>[]
  /** values that were asked for and could not be seen, with the reason */
  readonly unseen: ReadonlyMap<string, string>
  /** of ONNX Runtime */
  readonly version: string
  /** parts in which the program ran */
  readonly parts: number
}

const DEFAULT_BUDGET = 64 * 2 ** 20

/**
 * Runs a program part by part on several inputs and reports what passes, so that neither its activations nor its
 * weights are ever held as a whole: a part is loaded with its own weights, runs on all inputs, and goes; a value goes
 * when the last part that takes it has run. All numbers are what one run of the whole would have given.
 *
 * @param feeds one map per input: values for the program's inputs
 * @throws {ToolError} CANNOT_RUN with the runtime's reason, MISSING_PEER; the signal's reason after its abortion
 */
export async function observe(
  program: OnnxProgram,
  feeds: readonly ReadonlyMap<string, ArrayValue>[],
  options: ObserveOptions = {},
): Promise<Observation> {
  const { signal, memoryBudget = DEFAULT_BUDGET } = options
  signal?.throwIfAborted()
  const course = await planCourse(program)
  const thread = startThread()
  try {
    const watch = new Watch(program, course, thread, feeds.length, options)
    await watch.begin(feeds)
    const budget: ChunkBudget = { values: memoryBudget, constants: memoryBudget }
    for (let begin = 0; begin < course.nodes.length; ) {
      signal?.throwIfAborted()
      const end = endOfChunk(program, course, begin, watch.sizes, feeds.length, budget)
      await watch.runPart(begin, end)
      options.onProgress?.(end, course.nodes.length)
      begin = end
    }
    return watch.result()
  } finally {
    await thread.close()
  }
}

/** One observation under way. */
class Watch {
  readonly sizes = new Map<string, number>()
  readonly #program: OnnxProgram
  readonly #course: Course
  readonly #thread: Thread
  readonly #options: ObserveOptions
  readonly #runs: Map<string, ObservedValue>[]
  readonly #unseen = new Map<string, string>()
  /** dtype and shape on each input, of values that wait in the thread for a later part */
  readonly #waiting = new Map<string, readonly ObservedValue[]>()
  readonly #outputs: ReadonlySet<string>
  #version = 'unknown'
  #parts = 0

  constructor(program: OnnxProgram, course: Course, thread: Thread, inputs: number, options: ObserveOptions) {
    this.#program = program
    this.#course = course
    this.#thread = thread
    this.#options = options
    this.#runs = Array.from({ length: inputs }, () => new Map())
    this.#outputs = new Set(program.graph.outputs.map(({ name }) => name))
  }

  async begin(feeds: readonly ReadonlyMap<string, ArrayValue>[]): Promise<void> {
    for (const { name } of this.#program.graph.inputs) {
      if (this.#program.constants.has(name)) continue
      const values = feeds.map((feed) => feed.get(name)).filter((value) => value !== undefined)
      if (values.length < feeds.length) throw new ToolError('CANNOT_RUN', `input "${name}" has no values`)
      for (const [run, value] of values.entries()) {
        const [wire] = toWire(new Map([[keyOf(run, name), value]]))
        await this.#thread.ask({ kind: 'put', values: [wire!] }, 'done')
        const sketch = this.#options.sketch !== false && value.dtype !== 'string'
        this.#runs[run]!.set(name, {
          dtype: value.dtype,
          shape: value.shape,
          ...(sketch ? { sketch: sketchOf(numbersOf(value), value.shape) } : {}),
          value,
        })
      }
      this.#waiting.set(name, values)
      this.sizes.set(name, bytesOf(values))
    }
  }

  async runPart(begin: number, end: number): Promise<void> {
    const nodes = this.#course.nodes.slice(begin, end)
    const made = new Set(nodes.flatMap(({ outputs }) => outputs))
    const taken = new Set(nodes.flatMap((node) => this.#course.takes(node)).filter((name) => !made.has(name)))
    const seen = nodes.filter((node) => isObservable(this.#program, node)).flatMap(({ outputs }) => outputs)
    const needed = seen.filter((name) => this.#course.lastUse(name) >= end || this.#outputs.has(name))
    const wanted = seen.filter((name) => name !== '' && (this.#course.lastUse(name) >= end || this.#wants(name)))
    for (const name of made) if (!seen.includes(name) && this.#wants(name)) this.#unseen.set(name, 'it is no tensor')
    const inputs = [...taken].map((name) => this.#inputOf(name))
    const fragment = (outputs: readonly string[]): Fragment => ({
      nodes: nodes.map((from) => ({ from })),
      inputs,
      outputs,
    })
    let outputs = wanted
    try {
      if (outputs.length > 0) await this.#open(fragment(outputs))
    } catch (error) {
      // Some value cannot be shown; what later parts need still may.
      if (!(error instanceof ToolError) || error.code !== 'CANNOT_RUN' || needed.length === wanted.length) throw error
      outputs = needed
      if (outputs.length > 0) await this.#open(fragment(outputs))
      for (const name of wanted) if (!needed.includes(name)) this.#unseen.set(name, error.message)
    }
    if (outputs.length > 0) {
      await this.#runAll([...taken], outputs, end)
      await this.#thread.ask({ kind: 'release', session: 0 }, 'done')
      this.#parts++
    }
    await this.#dropAllUsed(end)
  }

  result(): Observation {
    return { runs: this.#runs, unseen: this.#unseen, version: this.#version, parts: this.#parts }
  }

  async #open(fragment: Fragment): Promise<void> {
    const model = await fragmentBytes(this.#program, fragment)
    const { threads = 1 } = this.#options
    const opened = await this.#thread.ask({ kind: 'open', session: 0, model, threads }, 'opened', [model.buffer])
    this.#version = opened.version
  }

  async #runAll(taken: readonly string[], outputs: readonly string[], end: number): Promise<void> {
    const results = new Map<string, ObservedValue[]>(outputs.map((name) => [name, []]))
    for (const [run, seen] of this.#runs.entries()) {
      this.#options.signal?.throwIfAborted()
      const { results: stepped } = await this.#thread.ask(
        {
          kind: 'step',
          session: 0,
          feeds: taken.map((name) => ({ name, kept: keyOf(run, name) })),
          fetches: outputs.map((name) => this.#fetch(run, name, end)),
        },
        'stepped',
      )
      for (const { name, dtype, shape, sketch, value } of stepped) {
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

  async #dropAllUsed(end: number): Promise<void> {
    const used = [...this.#waiting.keys()].filter((name) => this.#course.lastUse(name) < end)
    for (const name of used) this.#waiting.delete(name)
    const keys = used.flatMap((name) => this.#runs.map((_, run) => keyOf(run, name)))
    if (keys.length > 0) await this.#thread.ask({ kind: 'drop', keys }, 'done')
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
