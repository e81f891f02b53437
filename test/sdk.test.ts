import { expect, test } from 'vitest'
import * as sdk from '../src/index.ts'

/** What programs can import. A name that goes away breaks them: remove one only with a line in CHANGELOG.md. */
test('the SDK exports these names and no others', () => {
  expect(Object.keys(sdk).sort()).toEqual([
    'CAUSES',
    'DEFAULT_LIMITS',
    'DTYPES',
    'FORMATS',
    'FormatError',
    'InternalError',
    'ToolError',
    'bisectFaults',
    'compare',
    'compareWithEvidence',
    'comparisonSchema',
    'createSha256',
    'decodeImage',
    'decodeValues',
    'inspect',
    'inspectTensor',
    'inspectionSchema',
    'openInput',
    'readModel',
    'readSettings',
    'readTensor',
    'renderComparison',
    'renderComparisonPage',
    'renderInspection',
    'renderTransfer',
    'reproduce',
    'settingsSchema',
    'tensorReportSchema',
    'transfer',
    'transferMapSchema',
    'transferSchema',
    'writeOutput',
  ])
})
