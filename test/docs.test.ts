import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { expect, test } from 'vitest'
import { EXPECTED_KINDS } from '../src/compare/accounted/expected.ts'
import { JUDGEMENT_RULE, SAME_RATIO, SUSPICIOUS_RATIO } from '../src/compare/regions/judge-regions.ts'
import { REPRO_RATIO } from '../src/compare/repro/shrink.ts'
import { parseSettings } from '../src/settings/parse-settings.ts'

/** Links between our pages lead somewhere. Links to the web are not followed: tests stay off the network. */
const root = join(import.meta.dirname, '..')
const pages = [
  ...readdirSync(root).filter((name) => name.endsWith('.md')),
  ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name)),
  'examples/digits/README.md',
].filter((name) => existsSync(join(root, name)))

/** The name that a heading has in a link: lower case, words joined by hyphens. */
const anchorOf = (heading: string) =>
  heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
    .trim()
    .replaceAll(' ', '-')

const withoutCode = (text: string) => text.replaceAll(/```[\s\S]*?```/g, '').replaceAll(/`[^`\n]*`/g, '')
const anchorsOf = (page: string) =>
  [...readFileSync(page, 'utf8').matchAll(/^#+ (.+)$/gm)].map((match) => anchorOf(match[1]!))

test.each(pages)('the links of %s lead somewhere', (page) => {
  const text = withoutCode(readFileSync(join(root, page), 'utf8'))
  for (const [, target] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
    if (/^[a-z]+:/.test(target!)) continue
    const [path, anchor] = target!.split('#')
    const file = path === '' ? join(root, page) : join(root, dirname(page), path!)
    expect(existsSync(file), `${page} links to ${target}: there is no ${relative(root, file)}`).toBe(true)
    if (anchor) expect(anchorsOf(file), `${page} links to ${target}`).toContain(anchor)
  }
})

test('ARCHITECTURE.md explains every room of the table that is enforced', () => {
  const table = readFileSync(join(root, 'ARCHITECTURE.md'), 'utf8')
  const rooms = [...table.matchAll(/^\| `(\w+)\/` \|/gm)].map((match) => match[1]!)
  const enforced = readFileSync(join(root, 'test/architecture.test.ts'), 'utf8')
  const folders = readdirSync(join(root, 'src'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
  expect(rooms.sort()).toEqual(folders.sort())
  for (const room of rooms) expect(enforced).toMatch(new RegExp(`^ {2}${room}: \\{`, 'm'))
})

test('what the README names, `npm run` knows', () => {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: object }
  for (const page of pages) {
    for (const [, name] of readFileSync(join(root, page), 'utf8').matchAll(/npm run (?:--silent )?([\w:-]+)/g))
      expect(Object.keys(scripts), `${page} says "npm run ${name}"`).toContain(name)
  }
})

test('docs/comparison.md states the rule as the program has it', () => {
  const page = readFileSync(join(root, 'docs/comparison.md'), 'utf8')
  expect(page).toContain(`| up to ${SAME_RATIO} | same |`)
  expect(page).toContain(`| up to ${SUSPICIOUS_RATIO} | suspicious |`)
  expect(page.replaceAll(/\s+/g, ' ')).toContain(`more than ${REPRO_RATIO} times the floor`)
  expect(JUDGEMENT_RULE).toContain('quarter unit in the last place')
  expect(JUDGEMENT_RULE).toContain('half a unit')
  expect(JUDGEMENT_RULE).toContain('sqrt(K)/8 units')
})

test('the example of docs/accounted.md is a good file, and its words are all there are', () => {
  const page = readFileSync(join(root, 'docs/accounted.md'), 'utf8')
  const [, example = ''] = /```yaml\n([\s\S]*?)```/.exec(page) ?? []
  expect(parseSettings(example, 'modelwright.yaml').expected).toHaveLength(3)
  for (const kind of Object.keys(EXPECTED_KINDS)) expect(page).toContain(`| \`${kind}\` |`)
})
