// Calls a function of a WebAssembly program that imports nothing again and again, in the JavaScript engine that executes this,
// and prints what it returned last:
//
//   node repeat.mjs PROGRAM.wasm EXPORT CALLS [ARGUMENT..]      (also bun)

import { readFileSync } from "node:fs";

const [file, name, calls, ...words] = process.argv.slice(2);
const called = new WebAssembly.Instance(new WebAssembly.Module(readFileSync(file)), {}).exports[name];
let result;
for (let call = 0; call < Number(calls); call++) {
  result = called(...words.map(Number));
}
console.log(String(result));
