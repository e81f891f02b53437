import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

/** The package and its lock file, as far as they can be judged without the network. `.ci/run` packs and installs. */
const root = join(import.meta.dirname, '..')
const read = <Shape>(name: string) => JSON.parse(readFileSync(join(root, name), 'utf8')) as Shape

interface Locked {
  readonly version?: string
  readonly integrity?: string
  readonly resolved?: string
  readonly hasInstallScript?: true
  readonly optionalDependencies?: Readonly<Record<string, string>>
}
const { packages } = read<{ packages: Record<string, Locked> }>('package-lock.json')

test('the lock file names every platform of every package: without one, `npm ci` refuses on a fresh clone', () => {
  const missing = Object.entries(packages).flatMap(([path, { optionalDependencies }]) =>
    Object.keys(optionalDependencies ?? {})
      .filter((name) => !(`${path}/node_modules/${name}` in packages) && !(`node_modules/${name}` in packages))
      .map((name) => `${name} of ${path}`),
  )
  expect(missing).toEqual([])
})

test('every locked package has its digest and names no registry', () => {
  const entries = Object.entries(packages).filter(([path]) => path !== '')
  expect(entries.filter(([, { integrity }]) => !integrity?.startsWith('sha512-')).map(([path]) => path)).toEqual([])
  expect(entries.filter(([, { resolved }]) => resolved !== undefined).map(([path]) => path)).toEqual([])
})

test('the package states what its users get', () => {
  const manifest = read<{ type: string; files: string[]; peerDependenciesMeta: Record<string, { optional: boolean }> }>(
    'package.json',
  )
  expect(manifest.type).toBe('module')
  expect(manifest.files).toEqual(['dist', 'docs', 'README.md', 'CHANGELOG.md', 'LICENSE'])
  expect(Object.values(manifest.peerDependenciesMeta).every(({ optional }) => optional)).toBe(true)
})
