import type { Command } from './command.ts'
import { compareCommand } from './compare.ts'

/** Every command, in the order in which help lists them. */
export const COMMANDS: readonly Command[] = [compareCommand]
