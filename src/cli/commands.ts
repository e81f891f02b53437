import type { Command } from './command.ts'
import { compareCommand } from './compare.ts'
import { inspectCommand } from './inspect.ts'
import { transferCommand } from './transfer.ts'

/** Every command, in the order in which help lists them. */
export const COMMANDS: readonly Command[] = [inspectCommand, compareCommand, transferCommand]
