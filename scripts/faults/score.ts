import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { judge, type Scored } from './scoring/judge.ts'
import type { Answer, Pair, Truth } from './scoring/pair.ts'
import { answerAll } from './scoring/pool.ts'
import { resultsPage } from './scoring/results-page.ts'
import { renderTable } from './scoring/table.ts'
import { rowsOf } from './scoring/tally.ts'

/**
 * Compares every pair of a corpus and scores the answers against the truth. Fails when a comparison breaks.
 *
 *     npm run faults -- [FOLDER] [--only WORD]... [--every N] [--processes N] [--failures] [--json FILE] [--markdown]
 *
 * FOLDER is `.faults` unless given; it is made when it is not there, by the interpreter that MODELWRIGHT_PYTHON names
 * (default python3), with `--architectures` and `--faults` handed on. A folder laid out like a corpus, such as labelled
 * pairs from elsewhere, is scored as well. Pairs are taken in a scattered order, and Ctrl-C prints what is known so far,
 * so that part of a run is a fair sample; `--every N` takes one pair in N.
 */
const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    only: { type: 'string', multiple: true },
    every: { type: 'string', default: '1' },
    processes: { type: 'string', default: '2' },
    failures: { type: 'boolean', default: false },
    json: { type: 'string' },
    markdown: { type: 'boolean', default: false },
    architectures: { type: 'string' },
    faults: { type: 'string' },
  },
})

const folder = positionals[0] ?? '.faults'
if (!existsSync(join(folder, 'index.json'))) makeCorpus()

const json = <T>(path: string) => JSON.parse(readFileSync(join(folder, path), 'utf8')) as T
const truths = new Map<string, Truth>()
for (const pair of json<{ pairs: Pair[] }>('index.json').pairs)
  truths.set(pair.id, json<Truth>(join(dirname(pair.candidate), 'truth.json')))

const wantedPairs = json<{ pairs: Pair[] }>('index.json').pairs.filter((pair) => wanted(pair, truths.get(pair.id)!))
const chosen = wantedPairs.filter((_, index) => index % Number(options.every) === 0)
const answers = new Map<string, Answer>()
const started = Date.now()
const stop = new AbortController()
process.once('SIGINT', () => stop.abort())
await answerAll(folder, scattered(chosen), Number(options.processes), stop.signal, (pair, answer) => {
  answers.set(pair.id, answer)
  if (process.stderr.isTTY) process.stderr.write(`\r${answers.size} of ${chosen.length}`)
})

const answered = chosen.filter(({ id }) => answers.has(id))
const scored = answered.map((pair) => judge(pair, truths.get(pair.id)!, answers.get(pair.id)!))
for (const split of ['development', 'held-out', 'mixed', 'all'] as const) {
  const part = split === 'all' ? scored : scored.filter((pair) => pair.split === split)
  if (part.length > 0) console.log(`\n${split}\n\n${renderTable(rowsOf(part))}`)
}
console.log(`\n${answered.length} of ${wantedPairs.length} pairs in ${Math.round((Date.now() - started) / 1000)} s`)
if (options.failures) for (const pair of scored.filter(isFailure)) console.log(failureLine(pair))
if (options.json !== undefined) writeFileSync(options.json, JSON.stringify(records(), null, 1))
if (options.markdown) writeFileSync(join(import.meta.dirname, '../../docs/faults.md'), resultsPage(scored, truths.size))

process.exitCode = scored.some(({ error }) => error) ? 1 : 0

function makeCorpus(): void {
  const python = process.env.MODELWRIGHT_PYTHON ?? 'python3'
  const parts = (['architectures', 'faults'] as const).flatMap((name) =>
    options[name] === undefined ? [] : [`--${name}`, options[name]],
  )
  const { status } = spawnSync(python, [join(import.meta.dirname, 'make_corpus.py'), '--out', folder, ...parts], {
    stdio: 'inherit',
  })
  if (status === 0) return
  console.error(
    `${folder}: no corpus there, and ${python} made none. It needs torch, onnx, onnxruntime, tensorflow and tf2onnx: ` +
      'bash scripts/fixtures/setup.sh VENV, then MODELWRIGHT_PYTHON=VENV/bin/python npm run faults',
  )
  process.exit(2)
}

/** The same pairs, neighbours far apart: a prime stride through the list. */
function scattered(pairs: readonly Pair[]): Pair[] {
  const stride = pairs.length % 211 === 0 ? 1 : 211
  return pairs.map((_, index) => pairs[(index * stride) % pairs.length]!)
}

/** Whether a pair bears every word of `--only`: its id, architecture, variant, half, class of fault or change. */
function wanted(pair: Pair, truth: Truth): boolean {
  const words = [pair.id, truth.architecture, truth.variant, truth.split ?? 'all', truth.faulty ? 'faulty' : 'benign']
  words.push(
    ...(truth.faulty ? [truth.faultClass, ...(truth.further?.length ? ['several'] : ['single'])] : [truth.change]),
  )
  return (options.only ?? []).every((word) => words.includes(word))
}

function isFailure(pair: Scored): boolean {
  const { first } = pair
  return !pair.verdictRight || !pair.accountsForAll || (first !== null && !(first.exact && first.cause1))
}

/** What was wrong, what was answered and what is true, in one line. */
function failureLine(pair: Scored): string {
  const truth = truths.get(pair.id)!
  const answer = answers.get(pair.id)!
  const wrong = [
    ...(pair.verdictRight ? [] : [`verdict ${answer.verdict}`]),
    ...(pair.accountsForAll ? [] : ['coverage']),
    ...(pair.first === null || pair.first.exact ? [] : [pair.first.near ? 'place one off' : 'place']),
    ...(pair.first === null || pair.first.cause1 ? [] : [pair.first.cause3 ? 'cause not first' : 'cause']),
  ]
  const said = `${answer.first?.referenceTensor} / ${answer.first?.candidateTensor}: ${answer.first?.causes
    .slice(0, 3)
    .map(({ label, proved }) => (proved ? `${label} (proved)` : label))
    .join(', ')}`
  const right = truth.faulty ? `${truth.first.referenceTensor} / ${truth.first.candidateTensor}` : 'the same'
  const summary = answer.verdict === 'error' ? answer.summary.split('\n')[0] : said
  return `${pair.id} ${pair.architecture} ${pair.variant} ${pair.what}${pair.subtle ? ' (subtle)' : ''}: ${wrong.join(', ')}; said ${summary}; true ${right}`
}

function records() {
  return answered.map((pair, index) => ({ ...scored[index], answer: answers.get(pair.id), truth: truths.get(pair.id) }))
}
