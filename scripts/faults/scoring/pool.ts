import { type ChildProcess, fork } from 'node:child_process'
import { join } from 'node:path'
import { NOTHING } from './answer.ts'
import type { Answer, Pair } from './pair.ts'

/** A pair that takes longer is answered with an error: a hang must not stop the run. */
const DEADLINE_MS = 180_000

/**
 * Answers every pair of a corpus, in child processes: their memory and crashes are their own.
 * @param signal when aborted, the pairs in hand are finished and no more are taken
 * @param onAnswer called as answers come in, in any order
 */
export async function answerAll(
  folder: string,
  pairs: readonly Pair[],
  processes: number,
  signal: AbortSignal,
  onAnswer: (pair: Pair, answer: Answer) => void,
): Promise<void> {
  const waiting = [...pairs]
  const work = async () => {
    let child = start()
    for (let pair = waiting.shift(); pair !== undefined && !signal.aborted; pair = waiting.shift()) {
      const answer = await ask(child, folder, pair)
      onAnswer(pair, answer)
      if (answer.verdict === 'error' && !child.connected) child = start()
    }
    child.kill()
  }
  await Promise.all(Array.from({ length: Math.min(processes, pairs.length) }, work))
}

const start = () => fork(join(import.meta.dirname, 'child.ts'))

function ask(child: ChildProcess, folder: string, pair: Pair): Promise<Answer> {
  return new Promise((resolve) => {
    const failed = (summary: string) => {
      child.removeAllListeners()
      child.on('error', () => undefined) // it is being killed: nothing more is of interest
      child.kill('SIGKILL')
      child.disconnect?.()
      resolve({ ...NOTHING, verdict: 'error', summary })
    }
    const timer = setTimeout(() => failed(`no answer within ${DEADLINE_MS / 1000} s`), DEADLINE_MS)
    child.once('message', (answer: Answer) => {
      clearTimeout(timer)
      child.removeAllListeners()
      resolve(answer)
    })
    child.once('exit', (code, signal) => {
      clearTimeout(timer)
      failed(`the process ended with ${signal ?? code}`)
    })
    child.send({ folder, pair })
  })
}
