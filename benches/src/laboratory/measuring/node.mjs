// The other side of node.rs: instantiates a module, then calls it as often as each line says.
import readline from 'node:readline';

const view = new DataView(new ArrayBuffer(8));

// A value from its bits, and its bits in hexadecimal.
function value([type, bits]) {
  view.setBigUint64(0, BigInt(bits), true);
  switch (type) {
    case 'i32': return view.getInt32(0, true);
    case 'i64': return view.getBigInt64(0, true);
    case 'f32': return view.getFloat32(0, true);
    case 'f64': return view.getFloat64(0, true);
    default: return null;
  }
}

function word(type, value) {
  view.setBigUint64(0, 0n, true);
  switch (type) {
    case 'i32': view.setInt32(0, value, true); break;
    case 'i64': view.setBigInt64(0, value, true); break;
    case 'f32': view.setFloat32(0, value, true); break;
    case 'f64': view.setFloat64(0, value, true); break;
    default: if (value !== null) throw new Error('it gives a reference, which cannot be compared');
  }
  return view.getBigUint64(0, true).toString(16);
}

let f, args, results;

function open(line) {
  const module = JSON.parse(line);
  const instance = new WebAssembly.Instance(new WebAssembly.Module(Buffer.from(module.wasm, 'hex')));
  f = instance.exports[module.invoke];
  args = module.arguments.map(value);
  results = module.results;
  return 'ready';
}

function run(calls) {
  const begin = process.hrtime.bigint();
  let got;
  for (let i = 0; i < calls; i++) got = f(...args);
  const end = process.hrtime.bigint();
  const values = results.length === 0 ? [] : results.length === 1 ? [got] : got;
  return [end - begin, ...values.map((value, i) => word(results[i], value))].join(' ');
}

for await (const line of readline.createInterface({ input: process.stdin })) {
  let answer;
  try {
    answer = f === undefined ? open(line) : run(Number(line));
  } catch (error) {
    answer = `error ${String(error.message).replaceAll('\n', ' ')}`;
  }
  process.stdout.write(answer + '\n');
}
