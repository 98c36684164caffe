//! Child processes that measure. An interrupt ends them, whoever was interrupted.

use std::io::{self, Read, Write};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::early_end;
use crate::interrupt::{forget_child, watch_child};

/// How a child process ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// By itself.
    Itself(Output),
    /// By an interrupt of this process.
    Interrupted,
    /// It took too long.
    TooLate,
}

/// Runs `command` to its end, with `input` on its standard input; for so long at most.
pub(crate) fn run(mut command: Command, input: &[u8], patience: Option<Duration>) -> io::Result<Ended> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    watch_child(child.id());
    // A process that is gone is told of by how it ended.
    let _ = child.stdin.take().expect("it is piped").write_all(input);
    let said = said(&mut child, patience);
    if said.is_none() {
        child.kill()?;
    }
    forget_child(child.id());
    let status = child.wait()?;
    if early_end::is_wanted() || !status.success() && early_end::has_ended_child(status) {
        return Ok(Ended::Interrupted);
    }
    Ok(said.map_or(Ended::TooLate, |[stdout, stderr]| Ended::Itself(Output { status, stdout, stderr })))
}

/// What `child` says on both streams, until it closes them; for so long at most.
fn said(child: &mut Child, patience: Option<Duration>) -> Option<[Vec<u8>; 2]> {
    let (stdout, stderr) =
        (child.stdout.take().expect("it is piped"), child.stderr.take().expect("it is piped"));
    let complaint = read(stderr);
    let text = match patience {
        None => Some(read_all(stdout)),
        Some(patience) => read(stdout).recv_timeout(patience).ok(),
    };
    Some([text?, complaint.recv().unwrap_or_default()])
}

/// Reads to the end, beside what else is done.
fn read(stream: impl Read + Send + 'static) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(read_all(stream)));
    receiver
}

fn read_all(mut stream: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    // What came until then is what it said.
    let _ = stream.read_to_end(&mut bytes);
    bytes
}
