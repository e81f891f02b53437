import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { type ByteSource, checkRange } from '../bytes/byte-source.ts'
import { ToolError } from '../errors.ts'

/** A pipe put in the file's place after it was looked at must not make us wait for its writer. */
const OPEN_FLAGS = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0)

/** A file on disk as a ByteSource that can be closed. Nothing is read ahead. */
export interface FileSource extends ByteSource {
  close(): Promise<void>
}

/**
 * Opens `path` for ranged reading; `name` is what messages show.
 * @throws {ToolError} CANNOT_READ when the system refuses, here or in `read`
 */
export async function openFileSource(path: string, name = path): Promise<FileSource> {
  const refuse = (cause: unknown): never => {
    throw new ToolError('CANNOT_READ', `${name}: cannot read: ${(cause as Error).message}`, { cause })
  }
  const handle: FileHandle = await open(path, OPEN_FLAGS).catch(refuse)
  const { size } = await handle.stat()
  const readInto = async (offset: number, target: Uint8Array) => {
    const { length } = target
    checkRange({ name, size }, offset, length)
    let done = 0
    while (done < length) {
      const { bytesRead } = await handle.read(target, done, length - done, offset + done).catch(refuse)
      if (bytesRead === 0) checkRange({ name, size: offset + done }, offset, length)
      done += bytesRead
    }
  }
  return {
    name,
    size,
    async read(offset, length) {
      checkRange({ name, size }, offset, length)
      // Not zeroed: it is filled to the end, or not returned.
      const bytes = new Uint8Array(Buffer.allocUnsafeSlow(length).buffer)
      await readInto(offset, bytes)
      return bytes
    },
    readInto,
    close: () => handle.close(),
  }
}
