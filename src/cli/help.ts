import { COMMON_OPTIONS, type Command, type Option, usageLine } from './command.ts'

/** The page of `modelwright --help`. */
export function renderOverview(commands: readonly Command[], version: string): string {
  const width = Math.max(...commands.map(({ name }) => name.length))
  return `modelwright ${version}: reads deep-learning models safely, inspects them, and shows where two of them part.

Usage: modelwright COMMAND [options]

Commands:
${commands.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`).join('\n')}

  modelwright COMMAND --help    what a command takes, with examples
  modelwright --version

Exit status: 0 clean, 1 a difference or finding, 2 could not run or nothing was compared.
Nothing that a file contains is ever executed.
`
}

/** The page of `modelwright COMMAND --help`. */
export function renderCommandHelp(command: Command): string {
  const sections = [
    `modelwright ${command.name}: ${command.summary}`,
    `Usage: ${usageLine(command)}`,
    command.description,
    `Arguments:\n${table(command.arguments.map(({ name, description }) => [name, description]))}`,
    `Options:\n${table(optionRows(command))}`,
    `Exit status:\n${table(Object.entries(command.exits))}`,
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

function spelling(name: string, { value, repeated }: Option): string {
  return `--${name}${value === undefined ? '' : ` ${value}`}${repeated ? ' ...' : ''}`
}

function table(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([left]) => left.length))
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`).join('\n')
}
