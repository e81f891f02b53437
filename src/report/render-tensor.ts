import type { TensorReport } from './inspection.ts'
import { printable } from './printable.ts'
import { formatBytes, formatCount, formatShape } from './quantity.ts'
import { formatNumber, type Style, wrap } from './text.ts'

/** One tensor for a terminal: what it is, its statistics, a histogram and its first values. */
export function renderTensorReport(report: TensorReport, style: Style, columns = 100): string {
  const { tensor, statistics, excerpt, histogram, health } = printable(report)
  const number = (value: number | null) => (value === null ? '-' : formatNumber(value))
  const lines = [
    `${style.bold(tensor.name)}  ${tensor.dtype} ${formatShape(tensor.shape)}  ${style.dim(
      `${formatCount(statistics.count)} values, ${formatBytes(tensor.bytes)}, ${tensor.role}`,
    )}`,
  ]
  if (tensor.sha256 !== undefined) lines.push(style.dim(`  sha256 ${tensor.sha256}`))
  if (tensor.quantization) {
    const { scales, zeroPoints, axis } = tensor.quantization
    const zeros = [...new Set(zeroPoints)]
    const scale =
      scales.length === 1
        ? formatNumber(scales[0]!)
        : `${scales.length} from ${formatNumber(smallest(scales))} to ${formatNumber(largest(scales))} along axis ${axis ?? '?'}`
    lines.push(`  quantised: scale ${scale}, zero point ${zeros.length === 1 ? zeros[0] : `${zeros.length} different`}`)
  }
  lines.push(
    '',
    `  min ${number(statistics.min)}  max ${number(statistics.max)}  mean ${number(statistics.mean)}  std ${number(statistics.std)}`,
  )
  const counts = [
    ['zero', statistics.zeroCount],
    ['denormal', statistics.denormalCount],
    ['NaN', statistics.nanCount],
    ['+inf', statistics.positiveInfinityCount],
    ['-inf', statistics.negativeInfinityCount],
  ] as const
  const present = counts.filter(([, count]) => count > 0).map(([label, count]) => `${label} ${count}`)
  if (present.length > 0) lines.push(`  ${present.join('  ')}`)
  for (const { problem, severity, detail } of health) {
    const paint = severity === 'error' ? style.bad : severity === 'warning' ? style.warn : style.dim
    lines.push(`  ${paint(problem)}: ${detail}`)
  }
  if (histogram !== null && histogram.counts.length > 1) lines.push('', ...renderHistogram(histogram, columns))
  if (excerpt.length > 0) {
    const values = excerpt.map((value) => (typeof value === 'number' ? formatNumber(value) : value))
    const rest = statistics.count > excerpt.length ? ' ...' : ''
    lines.push('', `  first  ${wrap(values.join(' ') + rest, columns, 9)}`)
  }
  return `${lines.join('\n')}\n`
}

/** One bar per bin, as long as its share of the fullest; a bin that is not empty shows at least a dot. */
function renderHistogram({ min, max, counts }: NonNullable<TensorReport['histogram']>, columns: number): string[] {
  const width = Math.max(10, Math.min(60, columns - 34))
  const fullest = largest(counts)
  const step = (max - min) / counts.length
  return counts.map((count, i) => {
    const length = Math.round((count / fullest) * width)
    const bar = count > 0 && length === 0 ? '.' : '#'.repeat(length)
    const from = formatNumber(Number((min + i * step).toPrecision(3)))
    return `  ${from.padStart(10)}  ${bar.padEnd(width)}  ${count > 0 ? formatCount(count).padStart(8) : ''}`.trimEnd()
  })
}

const smallest = (list: readonly number[]) =>
  list.reduce((left, right) => Math.min(left, right), Number.POSITIVE_INFINITY)
const largest = (list: readonly number[]) =>
  list.reduce((left, right) => Math.max(left, right), Number.NEGATIVE_INFINITY)
