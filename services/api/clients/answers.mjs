// Writes a TypeScript file in which every golden answer is a literal of the type that openapi-typescript made, so that the compiler checks
// each field of each answer: node answers.mjs FOLDER_OF_STORIES FILE, with generated.ts beside FILE
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

const [folder, file] = process.argv.slice(2);
const lines = [
  "import type { components } from './generated';",
  "type Snapshot = components['schemas']['Snapshot'];",
  "type Explanation = components['schemas']['Explanation'];",
];
let read = 0;
for (const name of readdirSync(folder).filter(n => n.endsWith('.golden.json'))) {
  JSON.parse(readFileSync(`${folder}/${name}`, 'utf8')).forEach((told, i) => {
    lines.push(`// ${name}, ${i}`);
    lines.push(`export const answer${read}: Snapshot = ${JSON.stringify(told.answer)};`);
    lines.push(`export const explanation${read}: Explanation = ${JSON.stringify(told.explain)};`);
    read += 1;
  });
}
if (read === 0) throw new Error(`no golden answers in ${folder}`);
writeFileSync(file, `${lines.join('\n')}\n`);
console.log(`${2 * read} answers read`);
