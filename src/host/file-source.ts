import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { type ByteSource, checkRange } from '../bytes/byte-source.ts'

/** A file on disk as a ByteSource that can be closed. Nothing is read ahead. */
export interface FileSource extends ByteSource {
  close(): Promise<void>
}

/** Opens `path` for ranged reading; `name` is what messages show. */
export async function openFileSource(path: string, name = path): Promise<FileSource> {
  const handle: FileHandle = await open(path, constants.O_RDONLY)
  const { size } = await handle.stat()
  return {
    name,
    size,
    async read(offset, length) {
      checkRange({ name, size }, offset, length)
      const bytes = new Uint8Array(length)
      let done = 0
      while (done < length) {
        const { bytesRead } = await handle.read(bytes, done, length - done, offset + done)
        if (bytesRead === 0) checkRange({ name, size: offset + done }, offset, length)
        done += bytesRead
      }
      return bytes
    },
    close: () => handle.close(),
  }
}
