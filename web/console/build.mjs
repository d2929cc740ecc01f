// Builds the page: node build.mjs FOLDER. The same sources give the same bytes.
import { build } from 'esbuild';
import { copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const out = process.argv[2];
if (!out) throw new Error('usage: node build.mjs FOLDER');
const here = dirname(fileURLToPath(import.meta.url));
await rm(out, { recursive: true, force: true });
await mkdir(out, { recursive: true });

const { metafile } = await build({
  absWorkingDir: here,
  entryPoints: {
    app: 'src/main.tsx', // brings app.css along
    theme: 'src/theme.ts',
    widget: 'src/widget/widget.ts',
  },
  outdir: out,
  bundle: true,
  minify: true,
  format: 'iife',
  target: ['chrome105', 'firefox115', 'safari16.4'],
  jsx: 'automatic',
  jsxImportSource: 'preact',
  legalComments: 'none',
  metafile: true,
  logLevel: 'warning',
});
for (const name of ['index.html', 'preview.html', 'logo.svg']) await copyFile(join(here, 'src', name), join(out, name));

// The licences of what is in the bundles ask to go along with them.
const packages = new Set();
for (const input of Object.keys(metafile.inputs)) {
  const found = /^node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(input);
  if (found) packages.add(found[1]);
}
const licenses = [];
for (const name of [...packages].sort()) {
  const folder = join(here, 'node_modules', name);
  const { version } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'));
  const text = await readFile(join(folder, 'LICENSE'), 'utf8');
  licenses.push(`${name} ${version}\n\n${text.trim()}\n`);
}
await writeFile(join(out, 'licenses.txt'), licenses.join(`\n${'-'.repeat(72)}\n\n`));
