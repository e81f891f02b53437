import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import { type Command, usageLine } from '../src/cli/command.ts'
import { COMMANDS } from '../src/cli/commands.ts'
import { optionRows } from '../src/cli/help.ts'
import { CATALOGUE } from '../src/compare/hypotheses/catalogue.ts'
import { CAUSES } from '../src/compare/vocabulary.ts'
import { FORMATS } from '../src/formats/registry.ts'
import { comparisonSchema } from '../src/report/comparison.ts'
import { inspectionSchema, tensorReportSchema } from '../src/report/inspection.ts'
import { transferMapSchema, transferSchema } from '../src/report/transfer.ts'
import { settingsSchema } from '../src/settings/settings.ts'

/**
 * Writes the generated pages under docs/ from the data that the program itself runs on: commands, formats, schemas.
 * With `--check` nothing is written and a stale page fails.
 */
const root = join(import.meta.dirname, '..')

const STAGES = [
  [
    'stated',
    'differences that both files show, each put right alone; then all together, less those that are not needed',
  ],
  ['exact', 'changes without free numbers'],
  ['wide', 'more of these, many and seldom right: operators put between others, axes and channels in other orders'],
  ['borrowed', 'weights of other layers, and weights put into another order'],
  ['fitted', 'numbers fitted on the first input, judged on the others'],
] as const

const pages: Readonly<Record<string, string>> = {
  'docs/cli.md': cliPage(),
  'docs/formats.md': formatsPage(),
  'docs/causes.md': causesPage(),
  'docs/schemas/comparison.schema.json': schemaPage(comparisonSchema, 'Comparison', 'modelwright compare --json'),
  'docs/schemas/inspection.schema.json': schemaPage(inspectionSchema, 'Inspection', 'modelwright inspect --json'),
  'docs/schemas/transfer.schema.json': schemaPage(transferSchema, 'Transfer', 'modelwright transfer --json'),
  'docs/schemas/transfer-map.schema.json': schemaPage(
    transferMapSchema,
    'TransferMap',
    'modelwright transfer (FILE.map.json), read back with --map',
  ),
  'docs/schemas/tensor-report.schema.json': schemaPage(
    tensorReportSchema,
    'TensorReport',
    'modelwright inspect --tensor NAME --json',
  ),
  'docs/schemas/modelwright-yaml.schema.json': schemaPage(settingsSchema, 'Settings', 'modelwright.yaml'),
}

const check = process.argv.includes('--check')
const stale = Object.entries(pages).filter(([path, text]) => current(path) !== text)
if (check && stale.length > 0) {
  console.error(`stale: ${stale.map(([path]) => path).join(', ')}. Run: npm run docs`)
  process.exitCode = 1
}
if (!check) {
  for (const [path, text] of stale) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text)
  }
  console.log(stale.length === 0 ? 'docs are current' : `written: ${stale.map(([path]) => path).join(', ')}`)
}

function current(path: string): string | undefined {
  try {
    return readFileSync(join(root, path), 'utf8')
  } catch {
    return undefined // not there yet: stale
  }
}

function cliPage(): string {
  const sections = COMMANDS.map((command: Command) =>
    [
      `## ${command.name}`,
      `${command.summary[0]!.toUpperCase()}${command.summary.slice(1)}.`,
      `\`\`\`\n${usageLine(command)}\n\`\`\``,
      command.description,
      rows(
        ['argument', 'meaning'],
        command.arguments.map(({ name, description }) => [`\`${name}\``, description]),
      ),
      rows(
        ['option', 'meaning'],
        optionRows(command).map(([option, description]) => [`\`${option}\``, description]),
      ),
      rows(['exit status', 'meaning'], Object.entries(command.exits)),
      ...command.examples.map(({ command: line, description }) => `${description}:\n\n\`\`\`sh\n${line}\n\`\`\``),
    ].join('\n\n'),
  )
  return `# Command line\n\nMade by \`npm run docs\` from \`src/cli/\`; do not edit.\n\n${sections.join('\n\n')}\n`
}

function formatsPage(): string {
  const table = rows(
    ['id', 'format', 'usual names', 'specification'],
    FORMATS.map(({ id, title, extensions, spec }) => [
      `\`${id}\``,
      title,
      extensions.map((extension) => `\`${extension}\``).join(' '),
      spec,
    ]),
  )
  return `# Formats\n\nMade by \`npm run docs\` from \`src/formats/registry.ts\`; do not edit. A format is recognised by content; names only break ties.\n\n${table}\n`
}

function causesPage(): string {
  const table = rows(
    ['label', 'meaning', 'how it is proved: the region runs again, and'],
    Object.entries(CAUSES).map(([label, meaning]) => [`\`${label}\``, meaning, proofsOf(label).join('; ')]),
  )
  const stages = STAGES.map(([stage, meaning]) => `- *${stage}*: ${meaning}`).join('\n')
  return `# Causes\n\nMade by \`npm run docs\` from \`src/compare/vocabulary.ts\` and \`src/compare/hypotheses/catalogue.ts\`; do not edit. What a comparison may name in \`causes\`.\n\n\`proved\` means: the faulty region was run again with one thing changed, on the reference's own values, and both sides then computed the same on at least two inputs that played no part in choosing the change, slightly and strongly disturbed ones among them. Either the candidate was changed and gave the reference's values (a repair), or the reference was changed and gave the candidate's (the fault, rebuilt). Where several changes do, the one with the fewest fitted numbers is named, and the others are listed as not to be told apart. Changes are tried in this order:\n\n${stages}\n\n${table}\n`
}

function proofsOf(label: string): string[] {
  return CATALOGUE.filter(({ labels }) => labels.some((each) => each === label)).map(({ how }) => how)
}

function schemaPage(schema: z.ZodType, title: string, source: string): string {
  const json = z.toJSONSchema(schema, { target: 'draft-2020-12' })
  return `${JSON.stringify({ title, description: source.endsWith('.yaml') ? `The file ${source}` : `Output of ${source}`, ...json }, null, 2)}\n`
}

function rows(head: readonly string[], body: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...body.map(line)].join('\n')
}
