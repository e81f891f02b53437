import { answerPair } from './answer.ts'
import type { Pair } from './pair.ts'

/** A child process of the pool: one pair in, one answer out. */
process.on('message', async ({ folder, pair }: { folder: string; pair: Pair }) => {
  process.send!(await answerPair(folder, pair))
})
