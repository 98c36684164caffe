//! Bodies that are added to functions of a program while it runs: `--add CALL=FILE`.

use std::path::PathBuf;
use std::str::FromStr;

use osr_ir::text;

use super::load::{Program, read, text_error, text_of};
use super::schedule_file::program_hash;
use crate::error::Error;

/// At which call the bodies of which file are added: `CALL=FILE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AddOption {
    call: u64,
    file: PathBuf,
}

impl FromStr for AddOption {
    type Err = String;

    fn from_str(text: &str) -> Result<AddOption, String> {
        let parts = text.split_once('=').filter(|(_, file)| !file.is_empty());
        let (call, file) = parts.ok_or("write CALL=FILE: 50=faster.ir")?;
        let call = call.parse().ok().filter(|&call| call > 0).ok_or("calls are counted from 1")?;
        Ok(AddOption { call, file: PathBuf::from(file) })
    }
}

/// A file of bodies.
#[derive(Clone, Debug)]
pub(crate) struct AddedFile {
    /// When they are added: at the entry of the call with this number.
    pub(crate) call: u64,
    /// The name of the file.
    pub(crate) name: String,
    /// What it holds.
    pub(crate) text: String,
}

impl AddedFile {
    /// The value of the option, and the hash of the file.
    pub(crate) fn identity(&self) -> (String, String) {
        (format!("{}={}", self.call, self.name), program_hash(self.text.as_bytes()))
    }
}

/// Reads the files of `options`, by ascending calls, and makes room for their bodies in `program`. Each is verified as it will be
/// when the program runs: with those before it.
pub(crate) fn read_added(options: &[AddOption], program: &mut Program) -> Result<Vec<AddedFile>, Error> {
    let mut options = options.to_vec();
    options.sort_by_key(|option| option.call);
    let mut scratch = program.module.clone();
    let added = options.into_iter().map(|AddOption { call, file }| {
        let (name, text) = (file.display().to_string(), text_of(&file, read(&file)?)?);
        let addition = text::parse_addition(&scratch, &name, &text)
            .map_err(|error| text_error(name.clone(), text.clone(), &error))?;
        scratch.reserve_bodies(scratch.reserved_bodies() + addition.len());
        let invalid = |message| Error::Verify { path: file.clone(), message };
        scratch.add_bodies(addition).map_err(|error| invalid(error.to_string()))?;
        Ok(AddedFile { call, name, text })
    });
    let added = added.collect::<Result<_, Error>>()?;
    program.module.reserve_bodies(scratch.reserved_bodies());
    Ok(added)
}

#[cfg(test)]
mod tests {
    use super::AddOption;

    #[test]
    fn bodies_are_added_at_a_call_from_a_file() {
        let read = |text: &str| text.parse::<AddOption>().ok().map(|option| option.call);
        assert_eq!(read("50=a.ir"), Some(50));
        for text in ["", "0=a", "50", "50=", "x=a", "-1=a", "=a"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
