import type { Scored } from './judge.ts'
import { renderTable } from './table.ts'
import { rowsOf } from './tally.ts'

/**
 * docs/faults.md: the results with what they mean and how they are made again.
 * @param total pairs of the corpus; where fewer were scored the page says so
 */
export function resultsPage(scored: readonly Scored[], total: number): string {
  const single = scored.filter(({ faulty, each }) => faulty && each.length === 0)
  const distinct = (list: readonly Scored[], key: 'architecture' | 'what') =>
    new Set(list.map((pair) => pair[key])).size
  const part = (split: Scored['split']) => renderTable(rowsOf(scored.filter((pair) => pair.split === split)))
  const sample = scored.length < total ? ` These are a scattered sample of the corpus' ${total} pairs.` : ''
  return `# Planted faults

<!-- Written by \`npm run faults -- --markdown\`; do not edit. -->

${scored.length} pairs of ONNX models: ${single.length} with one planted fault of ${distinct(single, 'what')} classes in
${distinct(scored, 'architecture')} architectures, ${scored.filter(({ each }) => each.length > 0).length} with two or three faults at once,
${scored.filter(({ faulty }) => !faulty).length} that mean the same.${sample} Made by real frameworks (torch, ONNX Runtime, TensorFlow with tf2onnx), trained for some
seconds so that activations are alive. Every faulty graph stands in four variants:

- **same-names**: the candidate keeps the reference's names.
- **renamed**: every name is foreign, the nodes stand in another valid order.
- **optimised**: fused by ONNX Runtime (basic, extended) or batch normalisation folded by hand.
- **reimplemented**: the network written anew in torch (primitive operators; channels last) or TensorFlow, exported by their own tools.

Benign pairs: weights rounded to float16, other opsets, both exporters of torch, constants lifted or folded, other order and
names, every optimisation, every re-implementation.

## Again

\`\`\`
bash scripts/fixtures/setup.sh VENV
MODELWRIGHT_PYTHON=VENV/bin/python npm run faults -- --markdown
\`\`\`

makes the corpus in \`.faults/\` when it is not there (minutes; same seed, same pairs), compares every pair and prints the tables;
\`--failures\` lists what went wrong, \`--only WORD\` takes part of it.

## How to read it

*First exact*: the first difference that the comparison names is the tensor that the faulty operator makes, or, where the candidate no
longer has it, the first behind it. *Within one*: or one operator away. *Cause*: the label, of docs/causes.md. *Proved*: right cause,
first, and the comparison repaired it to prove it. *Wrongly proved*: another cause was called proved. *Of several found*: of all faults
in pairs with more than one. *Silent skips*: pairs whose coverage does not add up or leaves a skipped value unnamed. In brackets the
95% Wilson interval.

Architectures and classes of faults are each split in two halves once and for all (\`architectures/__init__.py\`, \`faults.py\`).
Thresholds are tuned on pairs whose architecture and class are both of the development half; *held-out* are those where neither is,
*mixed* those where one is.

The held-out half is not untouched: after its figures had been seen, four rules were mended that it had shown to be wrong in
principle (a detour through half precision, an operator left out, or a stride moved is named where it stands; an added Gather that
only re-orders is a channel order). Read *dtype-cast*, *groups*, *channel-order*, *activation-missing*, *layer-missing* and *stride* with that in
mind; no threshold was moved.

## Held-out

${part('held-out')}

## Development

${part('development')}

## Mixed

${part('mixed')}

## All

${renderTable(rowsOf(scored))}

## By class of fault

${renderTable(byClass(single))}
`
}

function byClass(single: readonly Scored[]) {
  const classes = [...new Set(single.map(({ what }) => what))].sort()
  return classes.flatMap((what) =>
    rowsOf(single.filter((pair) => pair.what === what))
      .slice(-1)
      .map((row) => ({ ...row, name: what })),
  )
}
