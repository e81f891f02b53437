import type { Inspection } from './inspection.ts'
import { formatNumber, type Style, wrap } from './text.ts'

type Training = NonNullable<Inspection['training']>
type Json = NonNullable<Training['arguments']>[string]

/** Entries of a record that fit on a screen. */
const MAX_ENTRIES = 40

/** What a checkpoint tells of its training: epoch, optimizer with its settings, scheduler, arguments. */
export function renderTraining({ training }: Inspection, style: Style, columns: number): string {
  if (training === null) return ''
  const lines: string[] = []
  const row = (label: string, text: string) => {
    lines.push(`  ${style.dim(label.padEnd(10))} ${wrap(text, columns, 13)}`)
  }
  if (training.epoch !== undefined) row('epoch', String(training.epoch))
  if (training.step !== undefined) row('step', String(training.step))
  if (training.optimizer) {
    const { name, inferred, groups } = training.optimizer
    const title = `${name ?? 'unknown class'}${inferred ? ' (inferred from its state)' : ''}`
    row('optimizer', [title, ...groups.slice(0, 4).map(entries)].join('; '))
    if (groups.length > 4) row('', `and ${groups.length - 4} more parameter groups`)
  }
  for (const part of ['scheduler', 'metrics', 'arguments', 'other'] as const) {
    const record = training[part]
    if (record && Object.keys(record).length > 0) row(part, entries(record))
  }
  return lines.length === 0 ? '' : [style.bold('Training state'), ...lines].join('\n')
}

function entries(record: Readonly<Record<string, Json>>): string {
  const all = Object.entries(record)
  const shown = all.slice(0, MAX_ENTRIES).map(([key, value]) => `${key} ${brief(value)}`)
  return shown.join(', ') + (all.length > MAX_ENTRIES ? `, and ${all.length - MAX_ENTRIES} more` : '')
}

function brief(value: Json): string {
  if (typeof value === 'number') return formatNumber(value)
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return text.length > 60 ? `${text.slice(0, 59)}…` : text
}
