import { type Document, isMap, isScalar, LineCounter, type Node, type ParsedNode, parseDocument } from 'yaml'
import type { z } from 'zod'
import type { ExpectedDifference, ExpectedValue } from '../compare/accounted/expected.ts'
import type { OutputKind } from '../compare/agreement/output.ts'
import { ToolError } from '../errors.ts'
import { settingsSchema } from './settings.ts'

/** modelwright.yaml, checked. */
export interface Settings {
  readonly expected: readonly ExpectedDifference[]
  readonly outputs: Readonly<Record<string, OutputKind>>
}

/** A file of wishes is a page long; the largest that we would believe is this. */
export const MAX_SETTINGS_BYTES = 1_000_000
/** Deeper nesting than the schema has is an attack on the stack of whoever reads it. */
const MAX_DEPTH = 16
/** Aliases can make a small file expand without end (CWE-776); the file needs none. */
const NO_ALIASES = 0

/**
 * Parses and checks modelwright.yaml. Plain data only: no tags, no aliases, no duplicate keys.
 * @param file name for messages
 * @throws {ToolError} BAD_SETTINGS with file, line and column, what was expected and what was found
 */
export function parseSettings(text: string, file: string): Settings {
  const lines = new LineCounter()
  const fail = (offset: number, message: string): never => {
    const { line, col } = lines.linePos(offset)
    throw new ToolError('BAD_SETTINGS', `${file}: line ${line}, column ${col}: ${message}`)
  }
  checkDepth(text, (offset): never => {
    addLines(lines, text)
    return fail(offset, `expected at most ${MAX_DEPTH} levels, found more`)
  })
  const document = parseDocument(text, {
    lineCounter: lines,
    version: '1.2',
    schema: 'core',
    strict: true,
    uniqueKeys: true,
    merge: false,
    resolveKnownTags: false,
    stringKeys: true,
    prettyErrors: false,
  })
  const [problem] = [...document.errors, ...document.warnings]
  if (problem) fail(problem.pos[0], problem.message)
  let data: unknown
  try {
    data = document.toJS({ maxAliasCount: NO_ALIASES }) ?? {}
  } catch (cause) {
    return fail(0, `expected plain values, found an alias or anchor (${(cause as Error).message})`)
  }
  const checked = settingsSchema.safeParse(data)
  if (!checked.success) {
    const { issues } = checked.error
    // a misspelt key leaves another one missing: the slip is told, not what follows from it
    const issue = issues.find(({ code }) => code === 'unrecognized_keys') ?? issues[0]!
    const { path, message } = explain(issue, data)
    fail(
      offsetOf(document, path, issue.code === 'unrecognized_keys'),
      `${path.length === 0 ? '' : `${path.join('.')}: `}${message}`,
    )
  }
  const { expected = [], outputs = {} } = checked.data!.compare ?? {}
  return {
    expected: expected.map(({ where, what, reason, values }) => ({
      where: typeof where === 'string' ? [where] : where,
      what,
      reason,
      ...(values === undefined ? {} : { values: values as [ExpectedValue, ExpectedValue] }),
    })),
    outputs,
  }
}

function addLines(lines: LineCounter, text: string): void {
  lines.addNewLine(0)
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) lines.addNewLine(at + 1)
}

/**
 * Bounds nesting before the parser, which works by recursion, sees the text: brackets, and `- - - ` in a row. Brackets
 * in strings are counted too; nobody writes sixteen of them.
 */
function checkDepth(text: string, fail: (offset: number) => never): void {
  let [depth, dashes] = [0, 0]
  for (let at = 0; at < text.length; at++) {
    const character = text[at]
    if (character === '[' || character === '{') depth++
    else if (character === ']' || character === '}') depth = Math.max(0, depth - 1)
    else if (character === '\n') dashes = 0
    else if ((character === '-' || character === '?' || character === ':') && /\s/.test(text[at + 1] ?? ' ')) dashes++
    if (depth + dashes > MAX_DEPTH * 2) fail(at)
  }
  // indentation: one space more per line is one level more
  let levels: number[] = []
  for (const match of text.matchAll(/^( *)\S/gm)) {
    const indent = match[1]!.length
    levels = levels.filter((level) => level < indent)
    levels.push(indent)
    if (levels.length > MAX_DEPTH) fail(match.index + indent)
  }
}

/** Where in the text the value at `path` stands, or the nearest thing around it. */
function offsetOf(document: Document.Parsed<ParsedNode>, path: readonly PropertyKey[], atKey: boolean): number {
  for (let length = atKey ? path.length - 1 : path.length; length >= 0; length--) {
    const inner = path.slice(0, length)
    const node = document.getIn(inner, true) as Node | undefined
    const key = path[length]
    if (isMap(node) && key !== undefined) {
      const pair = node.items.find(({ key: each }) => isScalar(each) && each.value === key)
      if (isScalar(pair?.key) && pair.key.range) return pair.key.range[0]
    }
    if (node?.range) return node.range[0]
  }
  return 0
}

/** One problem in words: what was expected, what was found. */
function explain(issue: z.core.$ZodIssue, data: unknown): { path: PropertyKey[]; message: string } {
  const { path } = issue
  const found = path.reduce<unknown>((value, key) => (value as Record<PropertyKey, unknown> | undefined)?.[key], data)
  const shown = found === undefined ? 'nothing' : JSON.stringify(found)
  const short = shown.length > 60 ? `${shown.slice(0, 60)}…` : shown
  switch (issue.code) {
    case 'unrecognized_keys':
      return { path: [...path, issue.keys[0]!], message: 'expected no such key' }
    case 'invalid_value': {
      const { values } = issue
      const near = nearest(String(found), values.map(String))
      const list =
        values.length > 8
          ? `one of new, removed, replaced, shape or a cause of docs/causes.md`
          : `one of ${values.join(', ')}`
      return { path, message: `expected ${list}, found ${short}${near === undefined ? '' : `. Is it ${near}?`}` }
    }
    case 'invalid_type':
      return {
        path,
        message: `expected ${issue.expected === 'object' ? 'a mapping' : `a ${issue.expected}`}, found ${short}`,
      }
    case 'invalid_union':
      return {
        path,
        message: `${path.at(-1) === 'where' ? 'expected a name, or a list of names' : 'expected a number, a text, true or false, or a list of numbers'}, found ${short}`,
      }
    default:
      return { path, message: `${issue.message[0]!.toLowerCase()}${issue.message.slice(1)}, found ${short}` }
  }
}

/** The word that shares most letters at the same places, where it is nearly the same. */
function nearest(word: string, words: readonly string[]): string | undefined {
  const close = words.filter((each) => each.replaceAll('-', '') === word.toLowerCase().replaceAll(/[-_ ]/g, ''))
  return close[0] ?? words.find((each) => each.startsWith(word) && word.length > 3)
}
