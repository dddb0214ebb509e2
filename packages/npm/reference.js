// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// The reference of the package as a page, made of its declarations: everything that `index.d.ts` and `ffmpeg-wasm.d.ts`
// export, with its comments.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const DECLARATION = /^export (?:declare )?(?:abstract )?(class|interface|type|function|const|enum) (\w+)/;

/** The declarations of a file by name: the comment before one, and its text up to where it ends. */
function declarations(text) {
  const found = new Map();
  const lines = text.split('\n');
  for (let at = 0; at < lines.length; at++) {
    const name = DECLARATION.exec(lines[at])?.[2];
    if (name === undefined) continue;
    let start = at;
    if (lines[at - 1]?.trim().endsWith('*/')) while (!lines[--start].startsWith('/**'));
    let end = at;
    // tsc ends what spans lines with a brace or a semicolon at its first column, or with the line of a type.
    if (lines[at].endsWith('{')) while (!lines[++end].startsWith('}'));
    else while (!lines[end].endsWith(';')) end++;
    const before = found.get(name);
    const code = lines
      .slice(start, end + 1)
      .join('\n')
      .replace(/\bdeclare /g, '');
    found.set(name, before === undefined ? code : `${before}\n${code}`);
    at = end;
  }
  return found;
}

/** What a file exports, its own declarations and those that it passes on. */
function exported(folder, file) {
  const text = readFileSync(join(folder, file), 'utf8');
  const all = declarations(text);
  for (const [, names, from] of text.matchAll(/^export (?:type )?\{([^}]*)\} from '\.\/([^']+)\.js';/gm)) {
    const others = declarations(readFileSync(join(folder, `${from}.d.ts`), 'utf8'));
    for (const name of names
      .split(',')
      .map((name) => name.replace(/\btype\b/, '').trim())
      .filter((name) => name !== '')) {
      const code = others.get(name);
      if (code === undefined) throw new Error(`${from}.d.ts does not declare ${name}, which ${file} exports`);
      all.set(name, code);
    }
  }
  return all;
}

export function reference(folder) {
  const parts = ['# Reference\n'];
  for (const [module, file] of [
    ['afmpeg', 'index.d.ts'],
    ['afmpeg/ffmpeg.wasm', 'ffmpeg-wasm.d.ts'],
  ]) {
    const names = [...exported(folder, file)].sort(([one], [other]) => one.localeCompare(other, 'en'));
    if (names.length === 0) throw new Error(`${file} exports nothing`);
    parts.push(`## \`${module}\`\n`);
    for (const [name, code] of names) parts.push(`### ${name}\n\n\`\`\`ts\n${code}\n\`\`\`\n`);
  }
  return parts.join('\n');
}
