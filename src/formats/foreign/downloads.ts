import { type ForeignRow, type ForeignView, sizeInWords, textMatches } from './view.ts'

const title = ({ text = '' }: ForeignView) =>
  /<title[^>]{0,200}>([^<]{1,200})/i.exec(text)?.[1]?.trim().replaceAll(/\s+/g, ' ')

const LFS = /^version https:\/\/git-lfs\.github\.com\/spec\/v1\b/

/** What arrives instead of a model when a download or checkout goes wrong. */
export const DOWNLOADS: readonly ForeignRow[] = [
  {
    when: ({ size, isFolder }) => size === 0 && !isFolder,
    name: 'an empty file',
    hint: 'The download or copy failed before its first byte: fetch it again.',
  },
  {
    when: ({ head, tail, isFolder }) =>
      !isFolder && !head.some((byte) => byte !== 0) && !tail.some((byte) => byte !== 0),
    name: ({ size }) => `a file of ${size} zero bytes${size > 66_560 ? ', as far as its two ends show' : ''}`,
    hint: 'Its space was reserved but never written: fetch it again.',
  },
  {
    when: textMatches(LFS),
    name: ({ text = '' }) => {
      const size = Number(/^size (\d{1,15})$/m.exec(text)?.[1] ?? Number.NaN)
      const id = /^oid (\w{1,20}:[0-9a-f]{6,128})$/m.exec(text)?.[1]
      const object = Number.isNaN(size) ? 'an object' : `an object of ${sizeInWords(size)}`
      return `a Git LFS pointer to ${object}${id === undefined ? '' : ` (${id})`}`
    },
    hint: 'Fetch the object itself: run `git lfs pull` in the repository, or download the raw file.',
  },
  {
    when: textMatches(/^\s*(?:<!--[^>]{0,500}-->\s*)?<(?:!doctype\s+html|html|head|body)\b/i),
    name: (view) => (title(view) ? `a web page, "${title(view)}"` : 'a web page'),
    hint: 'The download saved a page (sign-in, error or preview) under the name of the file: download the raw file.',
  },
  {
    when: textMatches(/^\s*<\?xml[^>]{0,200}>\s*<Error>|^\s*<Error>\s*<Code>/),
    name: ({ text = '' }) =>
      `an error message of a storage server (${/<Code>([^<]{1,80})/.exec(text)?.[1] ?? 'no code'})`,
    hint: 'The download was refused: check the address and its expiry date, and fetch the file again.',
  },
  {
    when: ({ json, size }) =>
      size < 4096 &&
      typeof json === 'object' &&
      json !== null &&
      !Array.isArray(json) &&
      ['error', 'message', 'errors', 'detail'].some((key) => Object.hasOwn(json, key)) &&
      Object.keys(json).length <= 6,
    name: 'an error message of a server, in JSON',
    hint: ({ text = '' }) => `It says: ${text.trim().slice(0, 120)} - fetch the file again.`,
  },
  {
    when: textMatches(
      /^(?:Not Found|404: Not Found|Access denied|Forbidden|Entry not found|Invalid username or password\.?)\s*$/i,
    ),
    name: ({ text = '' }) => `a refusal of a server ("${text.trim().slice(0, 60)}")`,
    hint: 'Check the address and your access, and fetch the file again.',
  },
]
