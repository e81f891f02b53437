import type { Model, ModelFile } from '../model/model.ts'
import { relativePath } from './relative-path.ts'

/** Formats that find their second file by its name: the same as the main one's, with another ending. */
export const PAIRED_BY_NAME: ReadonlySet<string> = new Set(['darknet', 'ncnn', 'caffe', 'tf-checkpoint'])

/**
 * Where each file of the model goes, relative to the folder of the output; empty for the one that the user names: the
 * main file, or of a pair the one with that ending.
 *
 * A companion keeps its name, unless the main file gets another one and the format can follow: ONNX, which states the
 * names of its external files, and formats that pair files by their names. So an output can lie beside its target.
 */
export function companionPaths(model: Model, files: readonly ModelFile[], out: string): ReadonlyMap<ModelFile, string> {
  const main = files[0]!
  const isPair = PAIRED_BY_NAME.has(model.format)
  const named = (isPair && files.find(({ name }) => ending(name) === ending(out))) || main
  const from = baseName(named.name)
  const to = baseName(out)
  const follows = from !== to && (model.format === 'onnx' || isPair)
  const paths = new Map<ModelFile, string>([[named, '']])
  for (const file of files.filter((one) => one !== named)) {
    const path = relativePath(main.name, file.name)
    paths.set(file, follows ? renamed(path, from, to) : path)
  }
  return paths
}

/** `model.onnx.data` follows `model.onnx`, `yolo.cfg` follows `yolo.weights`; other names get the new one in front. */
function renamed(path: string, from: string, to: string): string {
  const folder = path.slice(0, path.length - baseName(path).length)
  const name = baseName(path)
  if (name.startsWith(from)) return folder + to + name.slice(from.length)
  if (name.startsWith(`${stem(from)}.`)) return folder + stem(to) + name.slice(stem(from).length)
  return `${folder}${stem(to)}.${name}`
}

function baseName(path: string): string {
  return path.replace(/^.*[\\/]/, '')
}

function ending(path: string): string {
  return /\.[^.\\/]*$/.exec(path)?.[0] ?? ''
}

function stem(name: string): string {
  return name.replace(/\.[^.]+$/, '')
}
