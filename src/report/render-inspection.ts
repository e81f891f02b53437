import { foldModules } from '../layers/fold-modules.ts'
import type { Inspection } from './inspection.ts'
import { printable } from './printable.ts'
import { formatBytes, formatCount, formatShape } from './quantity.ts'
import { renderTraining } from './render-training.ts'
import { pad, plural, type Style, wrap } from './text.ts'

export interface RenderInspectionOptions {
  /** width of the terminal */
  readonly columns?: number
  /** levels of the module tree; default: 3, or fewer where that gives more rows than a screen has */
  readonly depth?: number
}

/** Rows of a list that a person reads before the rest becomes one line; --json has all. */
const MAX_ROWS = 12
const MAX_CHILDREN = 24
const MAX_TREE_ROWS = 40

/**
 * An inspection for a terminal: what it is and who made it, danger first, then size, inputs and outputs, the module
 * tree, operators, health, ties, training, references and warnings.
 */
export function renderInspection(inspection: Inspection, style: Style, options: RenderInspectionOptions = {}): string {
  const report = printable(inspection)
  const columns = Math.max(60, options.columns ?? 100)
  const sections = [
    renderHead(report, style, columns),
    renderDanger(report, style, columns),
    renderTotals(report, style, columns),
    renderEnds(report, style, columns),
    renderModules(report, style, columns, options.depth),
    renderOperators(report, style, columns),
    renderHealth(report, style, columns),
    renderTied(report, style, columns),
    renderTraining(report, style, columns),
    renderReferences(report, style, columns),
    renderWarnings(report, style, columns),
  ]
  return `${sections.filter((section) => section !== '').join('\n\n')}\n`
}

function renderHead(report: Inspection, style: Style, columns: number): string {
  const { metadata, format, title, variant } = report
  const versioned = (name: string | undefined, version: string | undefined) =>
    name === undefined ? undefined : version === undefined ? name : `${name} ${version}`
  const framework = versioned(metadata.framework, metadata.frameworkVersion)
  const producer = versioned(metadata.producer, metadata.producerVersion)
  const opsets = Object.entries(metadata.opsets ?? {}).map(([domain, version]) => `${domain} ${version}`)
  const facts = [
    variant,
    framework === format ? undefined : framework && `framework ${framework}`,
    producer === undefined || producer === framework ? undefined : `written by ${producer}`,
    metadata.formatVersion &&
      (/[a-z]/i.test(metadata.formatVersion) ? metadata.formatVersion : `format ${metadata.formatVersion}`),
    opsets.length > 0 ? `opset ${opsets.join(', ')}` : undefined,
  ].filter((fact) => fact !== undefined && fact !== '')
  const lines = [`${style.bold(report.path)}  ${style.bold(title)}${facts.length > 0 ? `: ${facts.join(', ')}` : ''}`]
  if (lines[0]!.length > columns) {
    lines.splice(
      0,
      1,
      style.bold(report.path),
      `  ${style.bold(title)}${facts.length > 0 ? `: ${wrap(facts.join(', '), columns, title.length + 4)}` : ''}`,
    )
  }
  const named = [metadata.name, metadata.description].filter((text) => text !== undefined && text !== '')
  if (named.length > 0) lines.push(`  ${wrap(clip(named.join(': '), 3 * columns), columns, 2)}`)
  if (report.sha256 !== null) lines.push(style.dim(`  sha256 ${report.sha256}`))
  if (report.files.length > 1) {
    lines.push(
      ...report.files
        .slice(0, MAX_ROWS)
        .map(({ name, bytes, role }) =>
          style.dim(`  ${role.padEnd(8)} ${clipStart(name, columns - 24)} (${formatBytes(bytes)})`),
        ),
      ...more(report.files.length - MAX_ROWS, 'files', style),
    )
  }
  return lines.join('\n')
}

function renderDanger({ references }: Inspection, style: Style, columns: number): string {
  const dangerous = references.filter(({ kind }) => kind === 'dangerous')
  if (dangerous.length === 0) return ''
  const text =
    'Loading this file with the framework that wrote it can run code. Nothing of it was executed here. It refers to:'
  return [
    style.bad(style.bold('DANGEROUS')),
    `  ${wrap(text, columns, 2)}`,
    ...dangerous.slice(0, MAX_ROWS).map(({ name, count, file, byteOffset }) => {
      const times = count > 1 ? `, ${count} times` : ''
      return `  ${style.bad(name)} ${style.dim(`(${file} at byte ${byteOffset}${times})`)}`
    }),
    ...more(dangerous.length - MAX_ROWS, 'references', style),
  ].join('\n')
}

function renderTotals({ totals, macs, files, graphs }: Inspection, style: Style, columns: number): string {
  // entries of an archive are part of it
  const stored = files.filter(({ name }) => !name.includes('!')).reduce((sum, { bytes }) => sum + bytes, 0)
  const facts = [
    totals.parameters > 0 ? `${formatCount(totals.parameters)} parameters` : undefined,
    plural(totals.tensors, 'tensor'),
    `${formatBytes(totals.bytes)} of values in ${formatBytes(stored)}`,
    macs !== null && macs.total > 0
      ? `${formatCount(macs.total).replace(/ ?([kMGT]?)$/, ' $1MACs')}${macs.unknown.length > 0 ? ' at least' : ''}`
      : undefined,
  ].filter((fact) => fact !== undefined)
  const lines = [style.bold(facts.join(', '))]
  if (totals.byDtype.length > 0)
    lines.push(
      `  ${wrap(totals.byDtype.map(({ dtype, tensors, bytes }) => `${dtype} ${tensors} (${formatBytes(bytes)})`).join(', '), columns, 2)}`,
    )
  if (totals.byRole.some(({ role }) => role !== 'parameter')) {
    lines.push(
      `  ${wrap(totals.byRole.map(({ role, tensors, elements }) => `${role} ${tensors} (${formatCount(elements)} values)`).join(', '), columns, 2)}`,
    )
  }
  if (macs !== null && macs.unknown.length > 0) {
    const which = macs.unknown.slice(0, 3).join(', ')
    const main = graphs.find(({ kind }) => kind === 'main')
    // sizes help only where the file leaves some open
    const isOpen = main?.inputs.some(({ shape }) => shape === undefined || shape.slice(1).some(isUnknownSize)) ?? true
    const hint = isOpen ? ` Give the sizes, e.g. ${exampleShape(graphs)}` : ''
    const text = `${macs.unknown.length} of ${macs.unknown.length + macs.counted} multiplying layers are not counted, because their shapes or what they do is unknown (${which}${macs.unknown.length > 3 ? ', ...' : ''}).${hint}`
    lines.push(`  ${style.dim(wrap(text, columns, 2))}`)
  }
  return lines.join('\n')
}

const isUnknownSize = (size: number | string | null) => typeof size !== 'number'

/** The option that would help, with the model's own input name. */
function exampleShape(graphs: Inspection['graphs']): string {
  const input = graphs.find(({ kind }) => kind === 'main')?.inputs[0]
  const sizes = input?.shape?.map((size, i) => (typeof size === 'number' ? size : i === 0 ? 1 : 224)) ?? [
    1, 3, 224, 224,
  ]
  return `--input-shape ${input?.name ?? 'NAME'}=${sizes.join(',')}`
}

function renderEnds({ graphs }: Inspection, style: Style, columns: number): string {
  const main = graphs.find(({ kind }) => kind === 'main')
  if (main === undefined) return ''
  type End = (typeof main.inputs)[number]
  const width = Math.min(32, Math.max(...[...main.inputs, ...main.outputs].map(({ name }) => name.length), 1))
  const row = (label: string) => (value: End, i: number) => {
    const type = [value.container, value.dtype, value.shape && formatShape(value.shape)].filter(Boolean).join('  ')
    return `  ${style.dim(i === 0 ? label : ' '.repeat(label.length))}  ${pad(value.name, width)}  ${clip(type, columns - width - 12)}`.trimEnd()
  }
  const rows = [
    ...main.inputs.slice(0, MAX_ROWS).map(row('in ')),
    ...more(main.inputs.length - MAX_ROWS, 'inputs', style),
    ...main.outputs.slice(0, MAX_ROWS).map(row('out')),
    ...more(main.outputs.length - MAX_ROWS, 'outputs', style),
  ]
  const functions = graphs.filter(({ kind }) => kind === 'function').length
  const title = `${style.bold('Graph')} ${style.dim(`${plural(main.nodes, 'node')}${functions > 0 ? `, ${plural(functions, 'function')}` : ''}`)}`
  return [title, ...rows].join('\n')
}

function renderModules({ modules, macs }: Inspection, style: Style, columns: number, depth?: number): string {
  const fold = (maxDepth: number) => foldModules(modules, { maxDepth, maxChildren: MAX_CHILDREN })
  const rows =
    depth === undefined ? ([3, 2].map(fold).find(({ length }) => length <= MAX_TREE_ROWS) ?? fold(1)) : fold(depth)
  if (rows.length === 0) return ''
  const hasMacs = macs !== null && rows.some((row) => row.macs)
  const hasShapes = rows.some(({ outputShape }) => outputShape)
  const nameWidth = Math.min(
    Math.floor(columns * (hasMacs || hasShapes ? 0.3 : 0.4)),
    Math.max(...rows.map(({ label, depth: level }) => label.length + 2 * level), 6),
  )
  const shapes = rows.map(({ outputShape }) => (outputShape ? formatShape(outputShape) : ''))
  const shapeWidth = hasShapes ? Math.min(24, Math.max(...shapes.map(({ length }) => length), 5)) : 0
  const fixed = 2 + nameWidth + 2 + 10 + (hasMacs ? 10 : 0) + (hasShapes ? shapeWidth + 2 : 0) + 2
  const kindWidth = Math.max(8, columns - fixed)
  const cells = (name: string, parameters: string, work: string, shape: string, kinds: string) =>
    [
      `  ${pad(name, nameWidth)}`,
      parameters.padStart(10),
      ...(hasMacs ? [work.padStart(8)] : []),
      ...(hasShapes ? [pad(shape, shapeWidth)] : []),
      kinds,
    ]
      .join('  ')
      .trimEnd()
  const lines = rows.map(({ label, depth: level, parameters, macs: work, kinds, count, hidden }, i) => {
    const note = [
      kinds.join(', '),
      count > 1 && label.includes('[') ? `x ${count}` : '',
      hidden > 0 ? `(${hidden} inside)` : '',
    ]
    return cells(
      `${'  '.repeat(level)}${label}`,
      parameters > 0 ? formatCount(parameters) : '',
      work ? formatCount(work) : '',
      shapes[i]!,
      clip(note.filter((text) => text !== '').join(' '), kindWidth),
    )
  })
  return [style.bold('Modules'), style.dim(cells('', 'parameters', 'MACs', 'output', '')), ...lines].join('\n')
}

function renderOperators({ operators }: Inspection, style: Style, columns: number): string {
  if (operators.length === 0) return ''
  const names = operators.map(({ op, domain, count }) => {
    const title = domain === '' || domain === 'ai.onnx' ? op : `${domain}.${op}`
    return `${title} ${count}`
  })
  return `${style.bold('Operators')}\n  ${wrap(clip(names.join(', '), columns * 6), columns, 2)}`
}

/** Errors and warnings one by one; notes summed by problem. */
function renderHealth({ health, tensors }: Inspection, style: Style, columns: number): string {
  if (health === null || tensors.length === 0) return ''
  const serious = health.filter(({ severity }) => severity !== 'note')
  const counts = new Map<string, string[]>()
  for (const { problem, severity, tensor } of health) {
    if (severity === 'note') counts.set(problem, [...(counts.get(problem) ?? []), tensor])
  }
  const rows = serious.slice(0, MAX_ROWS).map(({ tensor, problem, severity, detail }) => {
    const paint = severity === 'error' ? style.bad : style.warn
    return `  ${paint(pad(problem, 17))}  ${wrap(`${tensor}: ${detail}`, columns, 21)}`
  })
  const summed = [...counts].map(([problem, names]) => {
    const text = `${plural(names.length, 'tensor')}, e.g. ${names.slice(0, 2).join(', ')}`
    return style.dim(`  ${pad(problem, 17)}  ${wrap(text, columns, 21)}`)
  })
  const verdict = serious.length > 0 ? '' : `  ${style.good('no NaN, no infinity, no dead or oversized kernel')}`
  return [
    style.bold('Health'),
    ...(verdict === '' ? [] : [verdict]),
    ...rows,
    ...more(serious.length - MAX_ROWS, 'findings', style),
    ...summed,
  ].join('\n')
}

function renderTied({ tied }: Inspection, style: Style, columns: number): string {
  if (tied.length === 0) return ''
  return [
    style.bold('Tied weights'),
    ...tied.slice(0, MAX_ROWS).map((names) => `  ${wrap(names.join(' = '), columns, 4)}`),
    ...more(tied.length - MAX_ROWS, 'groups', style),
  ].join('\n')
}

function renderReferences({ references, listings }: Inspection, style: Style, columns: number): string {
  const unknown = references.filter(({ kind }) => kind === 'unknown')
  const known = references.filter(({ kind }) => kind === 'known')
  const lines: string[] = []
  if (unknown.length > 0) {
    const names = unknown.slice(0, 3 * MAX_ROWS).map(({ name }) => name)
    lines.push(`  ${style.warn('not on the list of harmless names:')} ${wrap(names.join(', '), columns, 4)}`)
  }
  if (known.length > 0)
    lines.push(`  ${style.dim(wrap(`harmless: ${known.map(({ name }) => name).join(', ')}`, columns, 4))}`)
  const sections =
    lines.length > 0 ? [[style.bold('Referred to by the pickle, not executed'), ...lines].join('\n')] : []
  if (listings.length > 0) {
    const names = listings.slice(0, MAX_ROWS).map(({ name, bytes }) => `${name} (${formatBytes(bytes)})`)
    const rest = listings.length > MAX_ROWS ? `, and ${listings.length - MAX_ROWS} more` : ''
    sections.push(`${style.bold('Code inside')}\n  ${wrap(names.join(', ') + rest, columns, 2)}`)
  }
  return sections.join('\n\n')
}

function renderWarnings({ warnings }: Inspection, style: Style, columns: number): string {
  if (warnings.length === 0) return ''
  return [
    style.bold('Warnings'),
    ...warnings
      .slice(0, MAX_ROWS)
      .map(({ message, code }) => `  ${style.warn(code)}  ${wrap(message, columns, code.length + 4)}`),
    ...more(warnings.length - MAX_ROWS, 'warnings', style),
  ].join('\n')
}

function more(count: number, noun: string, style: Style): string[] {
  return count > 0 ? [style.dim(`  and ${count} more ${noun} in --json`)] : []
}

function clip(text: string, width: number): string {
  return text.length > width ? `${text.slice(0, Math.max(1, width - 1))}…` : text
}

/** Of a long path the end tells more. */
function clipStart(text: string, width: number): string {
  return text.length > width ? `…${text.slice(1 - width)}` : text
}
