import { seededRandom } from '../../src/compare/random.ts'

/** The seeded choices of the fuzzer. */
export interface Dice {
  /** whole number in [0, below); 0 when `below` is 0 */
  int(below: number): number
  chance(probability: number): boolean
  pick<T>(values: readonly T[]): T
  /** one of `values`, each as likely as its weight says */
  pickWeighted<T>(values: readonly T[], weight: (value: T) => number): T
}

export function dice(seed: number): Dice {
  const random = seededRandom(seed)
  const int = (below: number) => Math.floor(random() * below)
  return {
    int,
    chance: (probability) => random() < probability,
    pick: (values) => values[int(values.length)]!,
    pickWeighted(values, weight) {
      let left = random() * values.reduce((sum, value) => sum + weight(value), 0)
      for (const value of values) {
        left -= weight(value)
        if (left < 0) return value
      }
      return values.at(-1)!
    },
  }
}
