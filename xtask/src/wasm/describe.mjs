// Runs the module of the first argument once for each of the others, a list of words in JSON, and prints what it said.
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WASI } from 'node:wasi';

const [, , path, ...runs] = process.argv;
const module = await WebAssembly.compile(readFileSync(path));
const folder = mkdtempSync(join(tmpdir(), 'afmpeg-'));
const said = [];
try {
  for (const run of runs) {
    const file = join(folder, 'stdout');
    const stdout = openSync(file, 'w');
    const wasi = new WASI({ version: 'preview1', args: JSON.parse(run), env: {}, stdout, returnOnExit: true });
    const code = wasi.start(await WebAssembly.instantiate(module, wasi.getImportObject()));
    closeSync(stdout);
    said.push({ code, stdout: readFileSync(file, 'utf8') });
  }
} finally {
  rmSync(folder, { recursive: true });
}
console.log(JSON.stringify(said));
