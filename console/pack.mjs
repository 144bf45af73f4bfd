// Packs the parts of the pages, once and for all; the server sends whichever form a browser takes.
import { readFile, readdir, writeFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';

const folder = new URL('dist/assets/', import.meta.url);
for (const name of await readdir(folder)) {
  const bytes = await readFile(new URL(name, folder));
  await writeFile(new URL(`${name}.gz`, folder), gzipSync(bytes, { level: 9 }));
}
