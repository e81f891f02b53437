import { ToolError } from '../errors.ts'

/**
 * Path of a companion file relative to the folder of the main one, with `/`. Names of files come from models: one that
 * does not lie in that folder is refused, so that nothing is ever written outside the folder of the output.
 *
 * @param main as the user gave it; ending in `/` where it is a folder
 * @throws {ToolError} NOT_WRITABLE
 */
export function relativePath(main: string, companion: string): string {
  const folder = segments(main.replace(/[^\\/]*$/, ''))
  const whole = segments(companion)
  const inside = whole.slice(folder.length)
  const safe = folder.every((part, index) => whole[index] === part) && inside.length > 0 && !inside.includes('..')
  if (safe) return inside.join('/')
  throw new ToolError('NOT_WRITABLE', `${companion} does not lie in the folder of ${main}: it cannot be copied along`)
}

/** Parts of a path without `.` and with `name/..` taken out. */
function segments(path: string): string[] {
  const parts: string[] = []
  for (const part of path.split(/[\\/]/)) {
    if (part === '' || part === '.') continue
    if (part === '..' && parts.length > 0 && parts.at(-1) !== '..') parts.pop()
    else parts.push(part)
  }
  return parts
}
