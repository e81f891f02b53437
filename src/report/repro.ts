/** What the README of a repro states. Everything in it was measured on the folder itself. */
export interface ReproFacts {
  readonly version: string
  readonly runtime: string
  readonly reference: { readonly path: string; readonly sha256: string | null }
  readonly candidate: { readonly path: string; readonly sha256: string | null }
  /** the first line of the report */
  readonly verdict: string
  /** `Conv /down/Conv` */
  readonly title: string
  readonly sides: readonly { readonly side: string; readonly value: string; readonly nodes: readonly ReproNode[] }[]
  readonly inputs: readonly { readonly name: string; readonly shape: readonly number[]; readonly dtype: string }[]
  readonly output: { readonly name: string; readonly shape: readonly number[]; readonly expected: readonly number[] }
  /** `relative L2 0.737, largest difference 14.5` */
  readonly difference: string
  readonly cause?: { readonly label: string; readonly proved: boolean; readonly detail: string; readonly fix: string }
  /** what was made smaller, in words */
  readonly steps: readonly string[]
  readonly files: { readonly reference: boolean; readonly repaired: boolean; readonly referenceData: boolean }
}

export interface ReproNode {
  readonly op: string
  readonly name: string
  /** `strides=[2, 2]` */
  readonly attributes: readonly string[]
}

/** Operators of one side that the page lists. */
const MAX_NODES = 40

/** The README of a repro: what it is, what differs, why, how to see it. No scripts: two commands' worth of words. */
export function renderReproReadme(facts: ReproFacts): string {
  const { title, verdict, cause, files, output, difference, steps, runtime, version } = facts
  const data = files.referenceData
    ? '--inputs reference_data_set_0 --candidate-inputs test_data_set_0'
    : '--inputs test_data_set_0'
  const rows = [
    ['`model.onnx`', 'the candidate, cut down to the stretch that differs'],
    ...(files.reference ? [['`reference.onnx`', 'the same stretch of the reference: gives the expected output']] : []),
    ...(files.repaired ? [['`repaired.onnx`', 'the candidate with this fix made: gives the expected output']] : []),
    ['`test_data_set_0/`', 'inputs of `model.onnx` and the output that it should give, as ONNX TensorProto'],
    ...(files.referenceData ? [['`reference_data_set_0/`', 'the same in the layout of `reference.onnx`']] : []),
  ]
  const twin = files.repaired ? '`repaired.onnx`' : files.reference ? '`reference.onnx`' : undefined
  return `# ${text(title)} differs from its reference

> ${text(verdict)}

${cause ? `**Cause** (${cause.proved ? 'proved: parity comes back when it is changed' : 'likely'}): ${text(cause.label)}. ${text(cause.detail)}.\n${cause.fix === '' ? '' : `\n**Fix**: ${text(cause.fix)}.\n`}` : 'No cause was found.\n'}
| file | what it is |
| --- | --- |
${rows.map((cells) => `| ${cells.join(' | ')} |`).join('\n')}

## See it

With Modelwright, in this folder:

${files.reference ? `    modelwright compare reference.onnx model.onnx ${data}` : '    modelwright inspect model.onnx'}

With onnxruntime or any other tool that runs ONNX: load \`model.onnx\` with graph optimisation switched off, on the CPU. Feed
${facts.inputs.map(({ name, dtype, shape }, at) => `\`test_data_set_0/input_${at}.pb\` as ${tick(name)} (${dtype} [${shape.join(', ')}])`).join(', ')}. Compare ${tick(output.name)} with
\`test_data_set_0/output_0.pb\`: ${text(difference)}.${
    output.expected.join() === output.shape.join()
      ? ''
      : ` It has the shape [${output.shape.join(', ')}] where [${output.expected.join(', ')}] is expected.`
  }${twin ? ` ${twin} agrees.` : ''} The folder has the layout of ONNX's own backend tests, so that their runners take it as it is.

## What is in it
${facts.sides
  .map(
    ({ side, value, nodes }) => `
${side}, up to ${tick(value)}:

${nodes
  .slice(0, MAX_NODES)
  .map(
    ({ op, name, attributes }) =>
      `- ${op}${name === '' ? '' : ` ${tick(name)}`}${attributes.length === 0 ? '' : `: ${text(attributes.join(', '))}`}`,
  )
  .join('\n')}${nodes.length > MAX_NODES ? `\n- and ${nodes.length - MAX_NODES} more` : ''}
`,
  )
  .join('')}
${steps.length === 0 ? 'Nothing was made smaller: smaller cases no longer fail for the same reason, or do not run.' : `Made smaller, each step checked to fail for the same reason: ${text(steps.join('; '))}.`} The weights of these operators are inside.

## Where it comes from

- reference: ${tick(facts.reference.path)}${facts.reference.sha256 ? `, sha256 ${facts.reference.sha256}` : ''}
- candidate: ${tick(facts.candidate.path)}${facts.candidate.sha256 ? `, sha256 ${facts.candidate.sha256}` : ''}
- modelwright ${version}, ${runtime}, graph optimisation off, one thread
`
}

/** Names come from model files: nothing in them may become markup. */
const text = (words: string) =>
  words.replaceAll(/[\\`*_<>[\]|#]/g, (character) => `\\${character}`).replaceAll('\n', ' ')
const tick = (name: string) => `\`${name.replaceAll('`', "'").replaceAll('\n', ' ')}\``
