//! Records in files: what `--record-imports` writes and `--imports replay:FILE` reads.
//!
//! ```json
//! {"format":"osr-imports","version":1,"program_hash":"0123456789abcdef",
//!   "functions":[{"module":"wasi_snapshot_preview1","name":"fd_write"}]}
//! {"function":0,"arguments":[1,1024,1,1020],"outcome":{"returned":[0]},"writes":[{"address":1020,"bytes":"06"}]}
//! ```
//!
//! The first line (which is one) says of what program, and which globals `--global` gave it; the others are calls, in their order. Words are as the guest
//! has them, without a sign; bytes are hexadecimal.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Imported, Record};
use crate::cli::Variable;
use crate::error::Error;
use crate::json;
use crate::new_file::NewFile;

const FORMAT: &str = "osr-imports";
const VERSION: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
struct Head {
    format: String,
    version: u32,
    program_hash: String,
    functions: Vec<Imported>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    globals: Vec<Variable>,
}

/// Writes `record`, which is of the program with that hash and these globals, and puts the file in place.
pub(crate) fn write(
    file: NewFile,
    program_hash: &str,
    globals: &[Variable],
    record: &Record,
) -> Result<(), Error> {
    let (format, program_hash) = (FORMAT.to_owned(), program_hash.to_owned());
    let (functions, globals) = (record.functions.clone(), globals.to_vec());
    let head = Head { format, version: VERSION, program_hash, functions, globals };
    let mut text = line(&head);
    for call in &record.calls {
        text += &line(call);
    }
    file.replace(text.as_bytes())
}

fn line(value: &impl Serialize) -> String {
    json::line(value) + "\n"
}

/// Reads the record at `path`, if it is of the program with that hash, and the globals.
pub(crate) fn read(path: &Path, program_hash: &str) -> Result<(Record, Vec<Variable>), Error> {
    let text = fs::read_to_string(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    let refuse =
        |number: usize, problem: String| Error::Record { path: path.to_owned(), line: number, problem };
    let mut lines = text.lines().zip(1..);
    let (first, _) = lines.next().unwrap_or_default();
    let head: Head =
        serde_json::from_str(first).map_err(|error| refuse(1, format!("not a record: {error}")))?;
    if head.format != FORMAT || head.version != VERSION {
        let (format, version) = (head.format, head.version);
        return Err(refuse(1, format!("of format `{format}`, version {version}, not `{FORMAT}`, {VERSION}")));
    }
    if head.program_hash != program_hash {
        let recorded = head.program_hash;
        return Err(refuse(1, format!("of a program of hash {recorded}, not {program_hash}")));
    }
    let call = |(text, number): (&str, usize)| {
        serde_json::from_str(text).map_err(|error| refuse(number, format!("not a call: {error}")))
    };
    let calls = lines.map(call).collect::<Result<_, _>>()?;
    Ok((Record { functions: head.functions, calls }, head.globals))
}

/// Bytes as hexadecimal digits.
pub(super) mod hexadecimal {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(in super::super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
        let text: String = bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect();
        serializer.serialize_str(&text)
    }

    pub(in super::super) fn deserialize<'d, D: Deserializer<'d>>(
        deserializer: D,
    ) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let byte = |&[high, low]: &[u8; 2]| Some((digit(high)? << 4 | digit(low)?) as u8);
        let bytes: Option<Vec<u8>> = pairs.iter().map(byte).collect();
        bytes
            .filter(|_| rest.is_empty())
            .ok_or_else(|| D::Error::custom("bytes are pairs of hexadecimal digits"))
    }
}
