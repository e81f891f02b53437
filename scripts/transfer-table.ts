import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { FAMILIES, score } from './transfer/score.ts'

/**
 * Carries every model of each family into every other one, the target's values replaced by noise, and counts how many of
 * its parameters come out as the target really has them. Prints the table of docs/transfer.md.
 *
 *     npm run transfer:table [-- --pairs]     with --pairs every pair on its own line
 */
interface Count {
  pairs: number
  total: number
  right: number
  exact: number
  missing: number
  below: number
}

const { values } = parseArgs({ options: { pairs: { type: 'boolean', default: false } } })
const rows: string[] = []
const sum: Count = { pairs: 0, total: 0, right: 0, exact: 0, missing: 0, below: 0 }
for (const [family, { folder, files }] of Object.entries(FAMILIES)) {
  if (!existsSync(folder)) {
    console.error(`${family}: ${folder} is not there; left out`)
    continue
  }
  for (const from of files) {
    const count: Count = { pairs: 0, total: 0, right: 0, exact: 0, missing: 0, below: 0 }
    const notes = new Set<string>()
    for (const into of files.filter((file) => file !== from)) {
      const { total, right, exact, missing, ledger } = await score(join(folder, from), join(folder, into))
      const isBelow = right < 0.98 * total
      for (const each of [count, sum]) {
        each.pairs++
        each.total += total
        each.right += right
        each.exact += exact
        each.missing += missing
        if (isBelow) each.below++
      }
      if (isBelow) notes.add(ledger.notes[0]?.split(':')[0] ?? 'not told by the files')
      if (values.pairs) console.log(`${percent(right, total)}  ${family}  ${from} -> ${into}`)
    }
    rows.push(line(family, from, count, [...notes].join('; ')))
  }
}
console.log(
  '| family | source | targets | parameters | right | of these bit for bit | left as they were | targets below 98 % | why |',
)
console.log('| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |')
for (const row of rows) console.log(row)
console.log(line('all', '', sum, ''))

function line(family: string, from: string, count: Count, why: string): string {
  const { pairs, total, right, exact, missing, below } = count
  const numbers = [pairs, total.toLocaleString('en'), percent(right, total), percent(exact, total)]
  return `| ${[family, from, ...numbers, missing.toLocaleString('en'), below, why].join(' | ')} |`
}

function percent(right: number, total: number): string {
  return `${((100 * right) / total).toFixed(2)} %`
}
