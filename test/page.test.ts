import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openInput } from '../src/host/open-input.ts'
import { renderComparisonPage } from '../src/report/html/comparison-page.ts'
import { compare } from '../src/tasks/compare.ts'

/** The report page in a real browser: complete, alone, and without a word from outside. */
const browserPath = findChromium()
const folder = mkdtempSync(join(tmpdir(), 'modelwright-page-'))
const file = join(folder, 'report.html')
const digits = join(import.meta.dirname, '../examples/digits')

function findChromium(): string | undefined {
  for (const name of ['chromium', 'chromium-browser', 'google-chrome']) {
    try {
      return execFileSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).trim()
    } catch {
      // not this one
    }
  }
  return undefined
}

beforeAll(async () => {
  const reference = await openInput(join(digits, 'reference/digits.onnx'))
  const candidate = await openInput(join(digits, 'mistakes/same-padding/digits.onnx'))
  writeFileSync(file, renderComparisonPage(await compare(reference, candidate)))
  await Promise.all([reference.close(), candidate.close()])
})

afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe.skipIf(browserPath === undefined)(
  `report page${browserPath === undefined ? ' (skipped: no Chromium on this machine)' : ''}`,
  () => {
    test('shows verdict, faulty region, cause and drift; asks for nothing outside; filters its tables', async () => {
      const browser = await chromium.launch({
        executablePath: browserPath!,
        args: [
          '--no-sandbox',
          '--disable-gpu',
          '--disable-quic',
          '--no-first-run',
          '--disable-background-networking',
          '--disable-component-update',
          '--disable-sync',
        ],
      })
      try {
        const page = await browser.newPage({ viewport: { width: 1200, height: 900 } })
        const requests: string[] = []
        const problems: string[] = []
        page.on('request', (request) => requests.push(request.url()))
        page.on('pageerror', (error) => problems.push(error.message))
        page.on('console', (message) => message.type() === 'error' && problems.push(message.text()))
        await page.goto(`file://${file}`)
        expect(await page.locator('.verdict .word').textContent()).toBe('mismatch')
        const fault = (await page.locator('#faults').textContent()) ?? ''
        expect(fault).toContain('/down/Conv_output_0')
        expect(fault).toContain('padding')
        expect(await page.locator('#regions svg circle').count()).toBeGreaterThan(2)
        expect(await page.locator('#regions svg').getAttribute('aria-label')).toContain(
          'stands out at /down/Conv_output_0',
        )
        const rows = page.locator('#regions tbody tr:not([hidden])')
        const all = await rows.count()
        await page.locator('#regions .filter').fill('/down/')
        expect(await rows.count()).toBeLessThan(all)
        expect(await rows.count()).toBeGreaterThan(0)
        expect(await page.evaluate("JSON.parse(document.getElementById('report').textContent).verdict")).toBe(
          'mismatch',
        )
        await page.setViewportSize({ width: 390, height: 844 })
        expect(await page.evaluate('document.documentElement.scrollWidth'), 'nothing is wider than a telephone').toBe(
          390,
        )
        expect(requests).toEqual([`file://${file}`])
        expect(problems).toEqual([])
      } finally {
        await browser.close()
      }
    })
  },
)
