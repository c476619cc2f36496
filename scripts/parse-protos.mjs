/**
 * Writes gen/protos.json: each file of proto/, and each of Google's that they import, as protobufjs parses it, for
 * actors/proto/proto-root.ts. Every process needs these types, and would spend a sixth of its start on the text.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import protobuf from 'protobufjs';

const files = {};
for (const name of readdirSync('proto', { recursive: true }).sort()) {
  if (!name.endsWith('.proto')) continue;
  const {
    root,
    imports = [],
    package: inPackage,
  } = protobuf.parse(readFileSync(join('proto', name), 'utf8'));
  files[name] = { package: inPackage, imports, types: root.lookup(inPackage).toJSON().nested };
  for (const imported of imports) {
    const common = protobuf.common.get(imported); // protobufjs has Google's files itself
    if (common !== null) files[imported] = commonFile(common);
  }
}
writeFileSync('gen/protos.json', `${JSON.stringify(files)}\n`);

function commonFile({ nested }) {
  return { package: 'google.protobuf', imports: [], types: nested.google.nested.protobuf.nested };
}
