import { type ParseArgsConfig, parseArgs } from 'node:util'
import { ToolError } from '../errors.ts'
import type { ExitCode } from './exit-code.ts'

/** Where a command writes. stdout is the result, stderr is progress and warnings. */
export interface Console {
  out(text: string): void
  err(text: string): void
  /** of the terminal, or a sensible width for files */
  readonly columns: number
  readonly color: boolean
  /** whether a person watches stderr: progress is drawn only then */
  readonly interactive: boolean
}

/** A command as data: arguments, help, docs and parsing all come from it. */
export interface Command {
  readonly name: string
  /** one line, for the list of commands */
  readonly summary: string
  readonly arguments: readonly Argument[]
  readonly options: Readonly<Record<string, Option>>
  /** a few paragraphs for the help page */
  readonly description: string
  readonly examples: readonly Example[]
  /** what each exit status means here */
  readonly exits: Readonly<Record<ExitCode, string>>
  run(call: Call, console: Console): Promise<ExitCode>
}

export interface Argument {
  readonly name: string
  readonly description: string
  readonly repeated?: true
}

export interface Option {
  /** placeholder of the value; absent for a switch */
  readonly value?: string
  readonly description: string
  readonly repeated?: true
  /** one letter that stands for it: `-o` */
  readonly short?: string
}

export interface Example {
  readonly command: string
  readonly description: string
}

/** A parsed command line. */
export interface Call {
  readonly arguments: readonly string[]
  flag(option: string): boolean
  text(option: string): string | undefined
  texts(option: string): readonly string[]
}

/** Options that every command has. */
export const COMMON_OPTIONS: Readonly<Record<string, Option>> = {
  quiet: { description: 'no progress and no warnings on stderr' },
  help: { description: 'show this help', short: 'h' },
}

/**
 * Parses the words after the command's name.
 * @throws {ToolError} USAGE naming the word that is wrong and what was expected
 */
export function parseCall(command: Command, words: readonly string[]): Call {
  const options = { ...command.options, ...COMMON_OPTIONS }
  const config: ParseArgsConfig['options'] = Object.fromEntries(
    Object.entries(options).map(([name, option]) => [
      name,
      {
        type: option.value === undefined ? 'boolean' : 'string',
        multiple: option.repeated === true,
        ...(option.short === undefined ? {} : { short: option.short }),
      },
    ]),
  )
  let parsed: ReturnType<typeof parseArgs>
  try {
    parsed = parseArgs({ args: [...words], options: config, allowPositionals: true, strict: true })
  } catch (cause) {
    throw new ToolError(
      'USAGE',
      `${(cause as Error).message.split('. To specify')[0]}. See: modelwright ${command.name} --help`,
      { cause },
    )
  }
  const { values, positionals } = parsed
  if (values.help !== true) checkArguments(command, positionals)
  return {
    arguments: positionals,
    flag: (name) => values[name] === true,
    text: (name) => values[name] as string | undefined,
    texts: (name) => (values[name] as string[] | undefined) ?? [],
  }
}

function checkArguments(command: Command, words: readonly string[]): void {
  const wanted = command.arguments
  const endless = wanted.some((argument) => argument.repeated)
  if (words.length >= wanted.length && (endless || words.length === wanted.length)) return
  const missing = wanted[words.length]
  const what = missing ? `${missing.name} is missing` : `"${words[wanted.length]}" is one argument too many`
  throw new ToolError('USAGE', `${what}. Usage: ${usageLine(command)}`)
}

/** `modelwright compare REFERENCE CANDIDATE [options]` */
export function usageLine(command: Command): string {
  const words = command.arguments.map(({ name, repeated }) => (repeated ? `${name}...` : name))
  return ['modelwright', command.name, ...words, '[options]'].join(' ')
}
