//! Peers: other engines, each a command that runs a program from its start to its exit.

use std::str::FromStr;

/// Where the command has the program's file.
const FILE: &str = "{}";

/// Another engine.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    /// What it is called.
    pub(super) name: String,
    words: Vec<String>,
}

impl Peer {
    /// The command that runs the program in `file`.
    pub(super) fn command(&self, file: &str) -> Vec<String> {
        self.words.iter().map(|word| word.replace(FILE, file)).collect()
    }
}

impl FromStr for Peer {
    type Err = String;

    fn from_str(text: &str) -> Result<Peer, String> {
        let usage = || format!("give NAME=COMMAND, with {FILE} in the place of the program's file");
        let (name, command) = text.split_once('=').ok_or_else(usage)?;
        let words = shlex::split(command).ok_or("a quote in the command is not closed")?;
        if name.is_empty() || !words.iter().skip(1).any(|word| word.contains(FILE)) {
            return Err(usage());
        }
        Ok(Peer { name: name.to_owned(), words })
    }
}

#[cfg(test)]
mod tests {
    use super::Peer;

    #[test]
    fn a_peer_is_a_name_and_a_command_that_has_a_place_for_the_file() {
        let peer: Peer = "v8=node 'my runner.mjs' {}".parse().expect("it is well formed");
        assert_eq!(peer.name, "v8");
        assert_eq!(peer.command("a b.wasm"), ["node", "my runner.mjs", "a b.wasm"]);
        for bad in ["node run.mjs {}", "v8=node run.mjs", "=node {}", "v8=node '{}", "v8={}"] {
            assert!(bad.parse::<Peer>().is_err(), "{bad}");
        }
    }
}
