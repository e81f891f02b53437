import type { ByteSource } from '../../bytes/byte-source.ts'
import type { Limits } from '../../bytes/limits.ts'
import { FormatError } from '../../errors.ts'

/** A Darknet configuration: `[net]`, then a section per layer in order of execution. */
export interface DarknetCfg {
  readonly file: string
  readonly net: CfgSection
  /** numbered from 0, as `route` and `shortcut` count them */
  readonly layers: readonly CfgSection[]
}

export interface CfgSection {
  /** canonical name: `conv` is `convolutional` */
  readonly type: string
  readonly options: ReadonlyMap<string, string>
  /** line of the `[section]`, counted from 1 */
  readonly line: number
  readonly byteOffset: number
}

const ALIASES: Readonly<Record<string, string>> = {
  network: 'net',
  conv: 'convolutional',
  deconv: 'deconvolutional',
  conn: 'connected',
  max: 'maxpool',
  avg: 'avgpool',
  local_avg: 'local_avgpool',
  soft: 'softmax',
  lrn: 'normalization',
  silence: 'empty',
  gaussian_yolo: 'gaussian_yolo',
}

/**
 * Parses a cfg as Darknet does: all spaces are dropped, `#` and `;` begin a comment line, a key given twice keeps its
 * first value.
 * @throws {FormatError} INVALID_FIELD with line and rule: a line that is neither section nor `key=value`, a first
 *   section that is not `[net]`, no layer at all
 * @source https://github.com/AlexeyAB/darknet/blob/master/src/parser.c (read_cfg)
 */
export async function readCfg(source: ByteSource, limits: Limits): Promise<DarknetCfg> {
  if (source.size > limits.maxStringBytes)
    throw cfgError(source.name, 'size of the cfg', 0, `at most ${limits.maxStringBytes} bytes`, String(source.size))
  const bytes = await source.read(0, source.size)
  const sections: (CfgSection & { options: Map<string, string> })[] = []
  const decoder = new TextDecoder('utf-8')
  let line = 0
  for (let start = 0; start < bytes.length; ) {
    const newline = bytes.indexOf(0x0a, start)
    const end = newline < 0 ? bytes.length : newline
    const byteOffset = start
    const text = decoder.decode(bytes.subarray(start, end)).replaceAll(/[\s\0]/g, '')
    start = end + 1
    line++
    if (text === '' || text.startsWith('#') || text.startsWith(';')) continue
    const where = `line ${line}`
    const header = /^\[([^\]]*)\]/.exec(text)
    if (header) {
      const name = header[1]!.toLowerCase()
      const type = ALIASES[name] ?? name
      if (sections.length === 0 && type !== 'net')
        throw cfgError(source.name, where, byteOffset, '[net] as the first section', `[${header[1]}]`)
      if (sections.length >= limits.maxItems)
        throw cfgError(source.name, where, byteOffset, `at most ${limits.maxItems} sections`, 'more')
      sections.push({ type, options: new Map(), line, byteOffset })
      continue
    }
    const equals = text.indexOf('=')
    const section = sections.at(-1)
    if (equals <= 0 || section === undefined) {
      const expected = section === undefined ? '[net] as the first section' : '[section], key=value or a comment'
      throw cfgError(source.name, where, byteOffset, expected, JSON.stringify(text.slice(0, 40)))
    }
    const key = text.slice(0, equals)
    if (!section.options.has(key)) section.options.set(key, text.slice(equals + 1).replace(/#.*$/, ''))
  }
  const [net, ...layers] = sections
  if (net === undefined) throw cfgError(source.name, 'cfg', 0, '[net] as the first section', 'no section')
  if (layers.length === 0)
    throw cfgError(source.name, 'cfg', source.size, 'a section for each layer behind [net]', 'none')
  return { file: source.name, net, layers }
}

/**
 * A whole-number option, read as C's `atoi` does: `1.5` is 1.
 * @throws {FormatError} INVALID_FIELD when it is no number, or outside 32 bits
 */
export function wholeOption(cfg: DarknetCfg, section: CfgSection, key: string, fallback: number): number {
  const text = section.options.get(key)
  if (text === undefined) return fallback
  const value = /^[+-]?\d+/.test(text) ? Number.parseInt(text, 10) : Number.NaN
  if (Math.abs(value) < 2 ** 31) return value
  throw sectionError(cfg, section, `option "${key}"`, 'a whole number', JSON.stringify(text.slice(0, 40)))
}

/** A list of whole numbers such as `layers=-1,-4`. */
export function wholeList(cfg: DarknetCfg, section: CfgSection, key: string): number[] {
  const text = section.options.get(key)
  if (text === undefined) throw sectionError(cfg, section, `option "${key}"`, 'a list of layers', 'none')
  return text.split(',').map((part) => {
    if (/^[+-]?\d{1,9}$/.test(part)) return Number(part)
    throw sectionError(cfg, section, `option "${key}"`, 'whole numbers', JSON.stringify(text.slice(0, 40)))
  })
}

/** An error about one section, with its line. */
export function sectionError(
  cfg: DarknetCfg,
  section: CfgSection,
  what: string,
  expected: string,
  found: string,
  code: 'INVALID_FIELD' | 'UNSUPPORTED_FEATURE' = 'INVALID_FIELD',
): FormatError {
  const where = `${what} of [${section.type}] in line ${section.line}`
  return new FormatError({ code, file: cfg.file, what: where, byteOffset: section.byteOffset, expected, found })
}

function cfgError(file: string, what: string, byteOffset: number, expected: string, found: string): FormatError {
  return new FormatError({ code: 'INVALID_FIELD', file, what, byteOffset, expected, found })
}
