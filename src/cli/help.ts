import { wrap } from '../report/text.ts'
import { COMMON_OPTIONS, type Command, type Option, usageLine } from './command.ts'

/** Text past this is hard to follow, however wide the terminal. */
const MAX_COLUMNS = 100

/** The page of `modelwright --help`. */
export function renderOverview(commands: readonly Command[], version: string, columns: number): string {
  const width = Math.min(MAX_COLUMNS, columns)
  const what = 'reads deep-learning models safely, inspects them, and shows where two of them part.'
  return `${wrap(`modelwright ${version}: ${what}`, width, 0)}

Usage: modelwright COMMAND [options]

Commands:
${table(
  commands.map(({ name, summary }) => [name, summary]),
  width,
)}

  modelwright COMMAND --help    what a command takes, with examples
  modelwright --version

Exit status: 0 clean, 1 a difference or finding, 2 could not run or nothing was compared,
130 ended by Ctrl-C (nothing half-written is left).
Nothing that a file contains is ever executed.
`
}

/** The page of `modelwright COMMAND --help`. */
export function renderCommandHelp(command: Command, columns: number): string {
  const width = Math.min(MAX_COLUMNS, columns)
  const sections = [
    wrap(`modelwright ${command.name}: ${command.summary}`, width, 0),
    `Usage: ${usageLine(command)}`,
    wrap(command.description.replaceAll('\n', ' '), width, 0),
    `Arguments:\n${table(
      command.arguments.map(({ name, description }) => [name, description]),
      width,
    )}`,
    `Options:\n${table(optionRows(command), width)}`,
    `Exit status:\n${table(Object.entries(command.exits), width)}`,
    `Examples:\n${command.examples.map(({ command: line, description }) => `  ${line}\n      ${description}`).join('\n')}`,
  ]
  return `${sections.join('\n\n')}\n`
}

/** Options with their placeholders, own ones first. */
export function optionRows(command: Command): [string, string][] {
  return Object.entries({ ...command.options, ...COMMON_OPTIONS }).map(([name, option]) => [
    spelling(name, option),
    option.description,
  ])
}

function spelling(name: string, { value, repeated, short }: Option): string {
  return `${short === undefined || name === 'help' ? '' : `-${short}, `}--${name}${value === undefined ? '' : ` ${value}`}${repeated ? ' ...' : ''}`
}

/** Two columns; the right one is wrapped within its own. Where the left one is wide, the right one begins below it. */
function table(rows: readonly (readonly [string, string])[], columns: number): string {
  const width = Math.min(Math.max(...rows.map(([left]) => left.length)), 22)
  const indent = width + 4
  return rows
    .map(([left, right]) => {
      const head = left.length > width ? `  ${left}\n${' '.repeat(indent)}` : `  ${left.padEnd(width)}  `
      return head + wrap(right, columns, indent)
    })
    .join('\n')
}
