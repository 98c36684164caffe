// Checks the recorded results with an engine that is not ours:
//
//   node --stack-size=60000 tests/programs/check.mjs [--bench] [NAME...]
//
// (after `ulimit -s unlimited`, for the deep recursions). C programs: both builds against
// programs.json. WAT cases (`tests/cases/`): their `;;! call` lines, without the places of traps; needs
// `wat2wasm` (wabt).
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { execFileSync } from 'node:child_process';

const here = import.meta.dirname;
const bench = process.argv.includes('--bench');
const names = process.argv.slice(2).filter(a => !a.startsWith('--'));
const wanted = name => names.length === 0 || names.includes(name);
let checked = 0, failed = 0;

function report(what, got, expected) {
  checked++;
  if (got === expected) return;
  failed++;
  console.log(`${what}: got ${got}, expected ${expected}`);
}

// V8's message -> the kind written in the cases. V8 says "table index is out of bounds" both for
// call_indirect and for table.get, so `undefined element` and `out of bounds table access` agree.
const traps = [
  [/unreachable/, ['unreachable']],
  [/divide by zero|remainder by zero/, ['integer divide by zero']],
  [/divide result unrepresentable/, ['integer overflow']],
  [/float unrepresentable/, ['invalid conversion to integer', 'integer overflow']],
  [/memory access out of bounds|data segment.* out of bounds/, ['out of bounds memory access']],
  [/table index is out of bounds|table or elem access out of bounds|element segment/,
    ['undefined element', 'out of bounds table access']],
  [/null function or function signature mismatch/,
    ['uninitialized element', 'indirect call type mismatch']],
  [/Maximum call stack size exceeded/, ['stack exhausted']],
];

function print(result) {
  if (result === undefined) return '';
  if (Array.isArray(result)) return result.map(print).join(' ');
  if (typeof result === 'number') {
    if (Object.is(result, -0)) return '-0';
    if (Math.abs(result) === Infinity) return result > 0 ? 'inf' : '-inf';
  }
  return String(result);
}

// f32 results arrive as doubles: print the shortest decimal that is the same f32.
function printAs(type, value) {
  if (type !== 'f32' || !Number.isFinite(value)) return print(value);
  for (let digits = 1; digits < 10; digits++) {
    const text = Number(value.toPrecision(digits));
    if (Math.fround(text) === value) return print(text);
  }
  return print(value);
}

function argument(type, text) {
  if (type === 'i64') return BigInt(text);
  return Number(text.replace(/^(-?)inf$/, '$1Infinity'));
}

// Parameter and result types of the exported functions, from the text: every export in the WAT
// cases is written (func $name (export "name") (param ...) (result ...).
function signature(text, name) {
  const at = text.indexOf(`(export "${name}")`);
  const head = text.slice(at).match(/^\(export "[^"]*"\)\s*((?:\((?:param|result)[^)]*\)\s*)*)/)[1];
  const types = kind => [...head.matchAll(new RegExp(`\\(${kind}([^)]*)\\)`, 'g'))]
    .flatMap(m => m[1].trim().split(/\s+/).filter(t => t && !t.startsWith('$')));
  return { params: types('param'), results: types('result') };
}

function instantiate(module) {
  let instance;
  const env = {
    print_i32() {}, print_i64() {}, print_f64() {}, invalidate() {},
    call_back: index => instance.exports.table.get(index)(),
  };
  instance = new WebAssembly.Instance(module, { env });
  return instance;
}

function invoke(instance, text, name, args) {
  const { params, results } = signature(text, name);
  try {
    const r = instance.exports[name](...args.map((a, i) => argument(params[i], a)));
    return { value: results.length < 2 ? (results.length ? printAs(results[0], r) : '')
      : r.map((v, i) => printAs(results[i], v)).join(' ') };
  } catch (error) {
    const kinds = traps.find(([message]) => message.test(error.message));
    return { trap: kinds ? kinds[1] : [`unknown: ${error.message}`] };
  }
}

// Every line must hold in an instance of its own, and after all the lines before it in one.
function checkWat(file) {
  const text = fs.readFileSync(file, 'utf8');
  const wasm = path.join(os.tmpdir(), `check-${process.pid}.wasm`);
  execFileSync('wat2wasm', [file, '-o', wasm]);
  const module = new WebAssembly.Module(fs.readFileSync(wasm));
  fs.unlinkSync(wasm);
  const shared = instantiate(module);
  for (const [, call, expected] of text.matchAll(/^;;! call (.*?)\s*=>[ \t]*(.*)$/gm)) {
    const [name, ...args] = call.split(/\s+/);
    for (const instance of [instantiate(module), shared]) {
      const got = invoke(instance, text, name, args);
      const what = `${path.basename(file)}: ${call}`;
      const kind = expected.match(/^trap (.*?)(?: in .*)?$/)?.[1];
      if (kind && got.trap?.includes(kind)) checked++;
      else report(what, got.trap ? `trap ${got.trap[0]}` : got.value, expected);
    }
  }
}

for (const p of JSON.parse(fs.readFileSync(path.join(here, 'programs.json')))) {
  if (!wanted(p.name)) continue;
  for (const build of ['wasm', 'wasm-ssa']) {
    const file = path.join(here, build, `${p.name}.wasm`);
    const instance = new WebAssembly.Instance(new WebAssembly.Module(fs.readFileSync(file)));
    const run = instance.exports[p.invoke];
    report(`${build}/${p.name}`, print(run(...p.small)), p.expect);
    if (bench) report(`${build}/${p.name} bench`, print(run(...p.bench)), p.expect_bench);
  }
}
const cases = path.join(here, '../cases');
for (const file of fs.readdirSync(cases).filter(f => f.endsWith('.wat')).sort())
  if (wanted(path.basename(file, '.wat'))) checkWat(path.join(cases, file));
console.log(`${checked} checked, ${failed} failed`);
process.exit(failed ? 1 : 0);
