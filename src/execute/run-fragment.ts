import { constantBytes } from '../onnx/chunks.ts'
import { outputsOf } from '../onnx/fragment-node.ts'
import type { Fragment, OnnxProgram } from '../onnx/program.ts'
import type { ArrayValue } from '../tensor/array-value.ts'
import { readTensor } from '../tensor/tensor.ts'
import { fragmentKeys } from './fragment-key.ts'
import { loadFragment } from './load-fragment.ts'
import { type Observation, type ObserveOptions, observe } from './observe.ts'
import { startThread, type Thread } from './thread.ts'
import { fromWire, toWire } from './wire.ts'

/** Runs parts of programs; holds threads and loaded sessions until it is closed. */
export interface FragmentRunner {
  /**
   * Runs a fragment on several feeds, graph optimisation off.
   *
   * @param feeds one map per run; values that the fragment does not take are left alone
   * @returns one map per run, the fragment's outputs by name
   * @throws {ToolError} CANNOT_RUN with the runtime's reason, or naming values that come from nowhere; MISSING_PEER
   */
  run(
    program: OnnxProgram,
    fragment: Fragment,
    feeds: readonly ReadonlyMap<string, ArrayValue>[],
  ): Promise<readonly ReadonlyMap<string, ArrayValue>[]>
  /** Starts a thread and loads the runtime into it, while other work is done. */
  warmUp(): void
  /** Runs a fragment part by part and reports what passes: `observe`. */
  observe(
    program: OnnxProgram,
    fragment: Fragment,
    feeds: readonly ReadonlyMap<string, ArrayValue>[],
    options?: Omit<ObserveOptions, 'threads' | 'signal'>,
  ): Promise<Observation>
  /** Ends the threads when everything that was asked has an answer: nothing can interrupt the runtime. */
  close(): Promise<void>
}

export interface RunnerOptions {
  /** threads that run fragments side by side; default 1 */
  readonly workers?: number
  /** of the runtime within one operator; default 1, with which repeated runs are equal bit by bit */
  readonly threads?: number
  /** what is asked after its abortion, or waits for its turn then, is rejected with its reason */
  readonly signal?: AbortSignal
}

/** Sessions stay loaded up to this number and size of models per thread: a search runs the same fragment again. */
const MAX_SESSIONS = 16
const MAX_SESSION_BYTES = 128 * 2 ** 20
/** A fragment of more nodes than a region has, with more weights or values than this, runs part by part. */
const MAX_WHOLE_BYTES = 16 * 2 ** 20
const MAX_WHOLE_NODES = 32

interface Loaded {
  readonly id: number
  readonly bytes: number
}

interface Seat {
  readonly thread: Thread
  /** least recently used first */
  readonly sessions: Map<string, Loaded>
  /** one fragment after the other, so that none is released while it is about to run */
  turn: Promise<unknown>
  waiting: number
}

/** A runner. Its threads are started when first needed. */
export function openFragmentRunner({ workers = 1, threads = 1, signal }: RunnerOptions = {}): FragmentRunner {
  const seats: Seat[] = []
  const keyOf = fragmentKeys()
  let sessions = 0
  const seatFor = (key: string): Seat => {
    const loaded = seats.find((seat) => seat.sessions.has(key) && seat.waiting === 0)
    const free = loaded ?? seats.find(({ waiting }) => waiting === 0)
    if (free) return free
    if (seats.length < workers) {
      const seat: Seat = { thread: startThread(), sessions: new Map(), turn: Promise.resolve(), waiting: 0 }
      seats.push(seat)
      return seat
    }
    return seats.reduce((least, seat) => (seat.waiting < least.waiting ? seat : least))
  }
  return {
    async run(program, fragment, feeds) {
      signal?.throwIfAborted()
      const given = new Set(fragment.inputs.map(({ name }) => name))
      const made = new Set(fragment.nodes.flatMap(outputsOf))
      const direct = fragment.outputs.filter((name) => !made.has(name))
      const computed: Fragment = { ...fragment, outputs: fragment.outputs.filter((name) => made.has(name)) }
      const constants = new Map<string, ArrayValue>()
      for (const name of direct) {
        const value = given.has(name) ? undefined : await constantValue(program, fragment, name)
        if (value) constants.set(name, value)
      }
      const taken = feeds.map((feed) => new Map([...feed].filter(([name]) => given.has(name))))
      const runs = computed.outputs.length === 0 ? feeds.map(() => new Map()) : await compute(program, computed, taken)
      return runs.map((values, index) => {
        for (const name of direct) {
          const value = constants.get(name) ?? feeds[index]!.get(name)
          if (value) values.set(name, value)
        }
        return values
      })
    },
    warmUp() {
      // Whatever fails here fails again, and is told, when something is to run.
      take(seatFor(''), ({ thread }) => thread.ask({ kind: 'drop', keys: [] }, 'done')).catch(() => undefined)
    },
    observe(program, fragment, feeds, options = {}) {
      const common = { threads, ...(signal ? { signal } : {}) }
      return take(seatFor(''), ({ thread }) => observe(thread, program, fragment, feeds, { ...options, ...common }))
    },
    async close() {
      await Promise.all(seats.splice(0).map(({ turn, thread }) => turn.then(() => thread.close())))
    },
  }

  async function compute(
    program: OnnxProgram,
    fragment: Fragment,
    feeds: readonly ReadonlyMap<string, ArrayValue>[],
  ): Promise<Map<string, ArrayValue>[]> {
    const key = keyOf(program, fragment)
    return take(seatFor(key), async (seat) => {
      if (isLarge(program, fragment, feeds)) return inParts(seat.thread, program, fragment, feeds)
      const session = await load(seat, key, program, fragment)
      const runs: Map<string, ArrayValue>[] = []
      for (const feed of feeds) {
        signal?.throwIfAborted()
        const request = { kind: 'run', session, feeds: toWire(feed), fetches: fragment.outputs } as const
        runs.push(fromWire((await seat.thread.ask(request, 'ran')).values))
      }
      return runs
    })
  }

  /** The work's turn in a seat. */
  function take<T>(seat: Seat, work: (seat: Seat) => Promise<T>): Promise<T> {
    seat.waiting++
    const done = seat.turn.then(() => {
      signal?.throwIfAborted()
      return work(seat)
    })
    seat.turn = done.catch(() => undefined).then(() => seat.waiting--)
    return done
  }

  /** Weights that are too many to be loaded at once come and go with their part of the fragment. */
  async function inParts(
    thread: Thread,
    program: OnnxProgram,
    fragment: Fragment,
    feeds: readonly ReadonlyMap<string, ArrayValue>[],
  ): Promise<Map<string, ArrayValue>[]> {
    const wanted = new Set(fragment.outputs)
    const { runs } = await observe(thread, program, fragment, feeds, {
      wanted: () => false,
      keep: (name) => wanted.has(name),
      sketch: false,
      threads,
      ...(signal ? { signal } : {}),
    })
    return runs.map((run) => {
      const values = fragment.outputs.map((name): [string, ArrayValue | undefined] => [name, run.get(name)?.value])
      return new Map(values.filter((entry): entry is [string, ArrayValue] => entry[1] !== undefined))
    })
  }

  async function load(seat: Seat, key: string, program: OnnxProgram, fragment: Fragment): Promise<number> {
    const known = seat.sessions.get(key)
    if (known) {
      seat.sessions.delete(key)
      seat.sessions.set(key, known)
      return known.id
    }
    const id = sessions++
    await makeRoom(seat, constantBytes(program, fragment))
    const { bytes } = await loadFragment(seat.thread, id, program, fragment, threads)
    seat.sessions.set(key, { id, bytes })
    return id
  }
}

/** Whether a session of the whole would take much more memory than its parts, one after the other. */
function isLarge(program: OnnxProgram, fragment: Fragment, feeds: readonly ReadonlyMap<string, ArrayValue>[]): boolean {
  const constants = constantBytes(program, fragment)
  if (constants > MAX_SESSION_BYTES) return true
  const fed = feeds.flatMap((feed) => [...feed.values()]).reduce((sum, { bytes }) => sum + bytes.length, 0)
  return fragment.nodes.length > MAX_WHOLE_NODES && constants + fed > MAX_WHOLE_BYTES
}

async function makeRoom({ sessions, thread }: Seat, bytes: number): Promise<void> {
  const used = () => [...sessions.values()].reduce((sum, session) => sum + session.bytes, bytes)
  for (const [key, { id }] of sessions) {
    if (sessions.size < MAX_SESSIONS && used() <= MAX_SESSION_BYTES) return
    sessions.delete(key)
    await thread.ask({ kind: 'release', session: id }, 'done')
  }
}

async function constantValue(program: OnnxProgram, fragment: Fragment, name: string): Promise<ArrayValue | undefined> {
  const own = fragment.constants?.get(name)
  if (own) return own
  const stored = program.constants.get(name)
  return stored && { dtype: stored.dtype, shape: stored.shape, bytes: await readTensor(stored) }
}
