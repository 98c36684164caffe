//! Node.js (V8) as a runner: a child process that calls when it is told to, and takes the time itself.
//!
//! It is told by lines: first the module and the call as JSON, then numbers of calls. It answers each with
//! a line: `ready` or the time in nanoseconds and the results, or `error` with what went wrong.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde::Serialize;

use super::clock::Clock;
use super::runner::{Call, Runner, Sample};

const SCRIPT: &str = include_str!("node.mjs");

/// V8's limit on the stack, in kilobytes; the system's is set above it.
const STACK_KILOBYTES: usize = 400_000;

/// A program on node.
pub(super) struct Node {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

#[derive(Serialize)]
struct Module<'m> {
    /// Hexadecimal.
    wasm: String,
    invoke: &'m str,
    arguments: Vec<(&'static str, String)>,
    results: Vec<&'static str>,
}

/// Whether there is a `node` to run.
pub(super) fn is_installed() -> bool {
    let version = Command::new("node").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    version.is_ok_and(|status| status.success())
}

impl Node {
    /// Starts a process and has it instantiate the module `bytes`.
    pub(super) fn open(bytes: &[u8], call: &Call) -> Result<Node, String> {
        // A deep recursion needs a large stack, which the shell asks for.
        let shell = format!(
            "ulimit -s {} 2>/dev/null && exec node --stack-size={STACK_KILOBYTES} --input-type=module -e \"$0\"; \
             exec node --input-type=module -e \"$0\"",
            STACK_KILOBYTES + STACK_KILOBYTES / 8,
        );
        let mut child = Command::new("sh")
            .args(["-c", &shell, SCRIPT])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("node does not start: {error}"))?;
        let input = child.stdin.take().expect("piped");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        let mut node = Node { child, input, output };
        let ty = |ty: osr_ir::Type| ty.name();
        let module = Module {
            wasm: bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
            invoke: &call.name,
            arguments: call
                .arguments
                .iter()
                .map(|value| (ty(value.ty()), format!("{:#x}", value.to_bits())))
                .collect(),
            results: call.signature.results.iter().copied().map(ty).collect(),
        };
        let answer = node.ask(&serde_json::to_string(&module).expect("our data has string keys"))?;
        if answer == "ready" { Ok(node) } else { Err(answer) }
    }

    fn ask(&mut self, line: &str) -> Result<String, String> {
        let gone = |error: std::io::Error| format!("node ended: {error}");
        writeln!(self.input, "{line}").and_then(|()| self.input.flush()).map_err(gone)?;
        let mut answer = String::new();
        if self.output.read_line(&mut answer).map_err(gone)? == 0 {
            return Err("node ended".to_owned());
        }
        match answer.trim_end().strip_prefix("error ") {
            Some(message) => Err(message.to_owned()),
            None => Ok(answer.trim_end().to_owned()),
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Runner for Node {
    fn sample(&mut self, calls: u32, clock: Clock) -> Result<Sample, String> {
        if clock == Clock::Cpu {
            return Err("node does not tell the processor time of its thread".to_owned());
        }
        let answer = self.ask(&calls.to_string())?;
        let strange = || format!("node answers `{answer}`");
        let mut parts = answer.split(' ');
        let nanoseconds = parts.next().and_then(|part| part.parse().ok()).ok_or_else(strange)?;
        let words = parts.map(|part| u64::from_str_radix(part, 16)).collect::<Result<_, _>>();
        Ok(Sample { nanoseconds, words: words.map_err(|_| strange())? })
    }
}
