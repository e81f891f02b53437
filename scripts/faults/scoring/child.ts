import { answerPair } from './answer.ts'
import type { Pair } from './pair.ts'

/** A child process of the pool: one pair in, one answer out. */
process.on('message', async ({ folder, pair }: { folder: string; pair: Pair }) => {
  process.send!(await answerPair(folder, pair))
})

// Ctrl-C reaches every process of the terminal: the parent prints what it has, the pair in hand is finished.
process.on('SIGINT', () => undefined)
