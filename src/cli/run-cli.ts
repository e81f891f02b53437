import { ToolError } from '../errors.ts'
import { type Console, parseCall } from './command.ts'
import { COMMANDS } from './commands.ts'
import { ExitCode } from './exit-code.ts'
import { describeFailure } from './failure.ts'
import { renderCommandHelp, renderOverview } from './help.ts'
import { packageVersion } from './package-version.ts'

/**
 * Runs one command line and returns its exit status. Every failure ends here: one that the user can act on as a
 * single sentence, a bug of ours as a report with its stack.
 */
export async function runCli(words: readonly string[], console: Console): Promise<ExitCode> {
  try {
    return await dispatch(words, console)
  } catch (error) {
    console.err(`${describeFailure(error)}\n`)
    return ExitCode.failed
  }
}

async function dispatch(words: readonly string[], console: Console): Promise<ExitCode> {
  const [name, ...rest] = words
  if (name === 'help' && rest.length > 0) return dispatch([...rest, '--help'], console)
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    console.out(renderOverview(COMMANDS, packageVersion(), console.columns))
    return name === undefined ? ExitCode.failed : ExitCode.clean
  }
  if (name === '--version') {
    console.out(`${packageVersion()}\n`)
    return ExitCode.clean
  }
  const command = COMMANDS.find((candidate) => candidate.name === name)
  if (command === undefined) {
    const known = COMMANDS.map((candidate) => candidate.name).join(', ')
    throw new ToolError('USAGE', `there is no command "${name}"; there are: ${known}. See: modelwright --help`)
  }
  const call = parseCall(command, rest)
  if (call.flag('help')) {
    console.out(renderCommandHelp(command, console.columns))
    return ExitCode.clean
  }
  return command.run(call, call.flag('quiet') ? { ...console, interactive: false } : console)
}
