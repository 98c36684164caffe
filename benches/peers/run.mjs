// Runs a WebAssembly program in the JavaScript engine that executes this, from its start to its exit:
//
//   node run.mjs PROGRAM.wasm [EXPORT [ARGUMENT..]]      (also bun)
//
// What it imports from WASI it gets; without EXPORT, `_start` is called.

import { readFileSync } from "node:fs";

const [file, name = "_start", ...words] = process.argv.slice(2);
const module = new WebAssembly.Module(readFileSync(file));
const imported = new Set(WebAssembly.Module.imports(module).map((item) => item.module));

if (imported.has("wasi_snapshot_preview1")) {
  const { WASI } = await import("node:wasi");
  const wasi = new WASI({ version: "preview1", args: [file, ...words], returnOnExit: false });
  wasi.start(new WebAssembly.Instance(module, wasi.getImportObject()));
} else {
  const called = new WebAssembly.Instance(module, {}).exports[name];
  const result = called(...words.map((word) => (word.endsWith("n") ? BigInt(word.slice(0, -1)) : Number(word))));
  if (result !== undefined) {
    console.log(String(result));
  }
}
