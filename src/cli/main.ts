#!/usr/bin/env node
import { runCli } from './run-cli.ts'

/** The process around the command line: streams, width, colour, exit status. */
const { stdout, stderr, env } = process
const color = stdout.isTTY === true && !env.NO_COLOR && env.TERM !== 'dumb'

// A closed pipe (`modelwright ... | head`) is the reader's choice, not a failure.
stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  process.exit(process.exitCode ?? 0)
})

process.exitCode = await runCli(process.argv.slice(2), {
  out: (text) => stdout.write(text),
  err: (text) => stderr.write(text),
  columns: stdout.columns ?? 100,
  color,
  interactive: stderr.isTTY === true,
})
