/** Painters for terminal text; all of them the identity where there is no colour. */
export interface Style {
  bold(text: string): string
  dim(text: string): string
  good(text: string): string
  warn(text: string): string
  bad(text: string): string
}

/** No colour: files, pipes, tests. */
export const PLAIN: Style = { bold: same, dim: same, good: same, warn: same, bad: same }

function same(text: string): string {
  return text
}

/** `1 tensor`, `2 tensors`. */
export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}

/** Significant digits (default 3), in scientific form where that is shorter to read. */
export function formatNumber(value: number, digits = 3): string {
  if (Number.isNaN(value)) return 'NaN'
  if (!Number.isFinite(value)) return value > 0 ? 'infinite' : '-infinite'
  if (value === 0) return '0'
  const size = Math.abs(value)
  if (size >= 1e-3 && size < 1e5) return String(Number(value.toPrecision(digits)))
  const [mantissa, exponent] = value.toExponential(digits - 1).split('e')
  return `${Number(mantissa)}e${exponent!.replace('+', '')}`
}

/** Text cut to `width` with an ellipsis, or padded to it. */
export function pad(text: string, width: number): string {
  return text.length > width ? `${text.slice(0, width - 1)}…` : text.padEnd(width)
}

/** Prose broken at spaces so that no line passes `columns`; later lines are indented. Long words stay whole. */
export function wrap(text: string, columns: number, indent: number): string {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > columns - indent) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line].join(`\n${' '.repeat(indent)}`)
}

/** How many times something: two or three significant digits, thousands apart: `11,500`, `86`, `2.3 million`. */
export function formatTimes(times: number): string {
  if (!Number.isFinite(times)) return 'infinitely many'
  if (times >= 1e6) {
    const [value, word] =
      times >= 1e12 ? [times / 1e12, 'trillion'] : times >= 1e9 ? [times / 1e9, 'billion'] : [times / 1e6, 'million']
    return `${value >= 1e6 ? formatNumber(value) : Number(value.toPrecision(3))} ${word}`
  }
  return Number(times.toPrecision(3)).toLocaleString('en')
}
