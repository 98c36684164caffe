//! Steps before the call that a run is about: what a host of the program would do first.

use std::path::PathBuf;
use std::str::FromStr;

use osr_engine::{Instance, LinearMemory, Thread, Trap};
use osr_ir::{ExportItem, FunctionIndex, Shown, Signature, Value};

use super::entry;
use super::load::{Program, read};
use super::session::trap_of;
use crate::error::Error;
use crate::number::{read_arguments, show_all};

/// A step.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    kind: Kind,
    /// How it is given on the command line.
    options: Vec<String>,
}

#[derive(Clone, Debug)]
enum Kind {
    /// A call whose results are not shown.
    Initialize(FunctionIndex),
    /// A call.
    Call(FunctionIndex, Vec<Value>),
    /// Bytes for a memory.
    Write(Place, Vec<u8>),
}

/// A place in a memory: `ADDRESS`, or `MEMORY:ADDRESS`, where the memory is `m1` or the name of an export.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    memory: Option<String>,
    address: u64,
}

impl Place {
    fn read(text: &str) -> Option<Place> {
        let (memory, address) = match text.rsplit_once(':') {
            Some((memory, address)) => (Some(memory.to_owned()), address),
            None => (None, text),
        };
        Some(Place { memory, address: number(address)? })
    }

    /// The memory, which `option` is about. It fails if `instance` does not have it.
    fn memory<'i>(&self, instance: &'i Instance, option: &'static str) -> Result<&'i LinearMemory, Error> {
        let found = match &self.memory {
            None => instance.memory(),
            Some(name) => {
                let number = || name.strip_prefix('m').and_then(|digits| digits.parse().ok());
                instance.exported_memory(name).or_else(|| instance.memories().nth(number()?))
            }
        };
        found.ok_or_else(|| Error::NoSuchMemory {
            option,
            place: self.to_string(),
            memories: memories(instance),
        })
    }
}

/// What memories of `instance` are called.
fn memories(instance: &Instance) -> String {
    let exports = instance.module().exports.iter();
    let exported = exports.filter(|export| matches!(export.item, ExportItem::Memory(_)));
    let numbers = (0..instance.memories().count()).map(|number| format!("m{number}"));
    let names: Vec<String> =
        numbers.chain(exported.map(|export| format!("`{}`", Shown(&export.name)))).collect();
    if names.is_empty() { "no memories".to_owned() } else { names.join(", ") }
}

impl std::fmt::Display for Place {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.memory {
            Some(memory) => write!(formatter, "{memory}:{:#x}", self.address),
            None => write!(formatter, "{:#x}", self.address),
        }
    }
}

/// What is to be written where: `PLACE=FILE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WriteOption {
    place: Place,
    file: PathBuf,
}

impl FromStr for WriteOption {
    type Err = String;

    fn from_str(text: &str) -> Result<WriteOption, String> {
        let parts = text.split_once('=').filter(|(_, file)| !file.is_empty());
        let (place, file) = parts.ok_or("write ADDRESS=FILE: 0x400=input.bin")?;
        let place = Place::read(place).ok_or("the address is a decimal, or 0x and hexadecimal digits")?;
        Ok(WriteOption { place, file: PathBuf::from(file) })
    }
}

/// What is to be shown of a memory: `PLACE=LENGTH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReadOption {
    place: Place,
    length: u64,
}

impl FromStr for ReadOption {
    type Err = String;

    fn from_str(text: &str) -> Result<ReadOption, String> {
        let parts =
            text.split_once('=').and_then(|(place, length)| Some((Place::read(place)?, number(length)?)));
        let (place, length) = parts.ok_or("write ADDRESS=LENGTH, in decimal or as 0x..: 0x400=32")?;
        Ok(ReadOption { place, length })
    }
}

impl ReadOption {
    /// The bytes as hexadecimal digits.
    pub(crate) fn show(&self, instance: &Instance) -> Result<String, Error> {
        let ReadOption { place, length } = self;
        let memory = place.memory(instance, "--read")?;
        let bytes = memory.read(place.address, *length);
        let size = memory.bytes();
        let bytes = bytes.ok_or_else(|| {
            let place = place.to_string();
            Error::ReadOutOfBounds { place, length: *length, size }
        })?;
        Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

/// A decimal, or `0x` and hexadecimal digits.
fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// Names of functions that set up a module before anything else is called: WASI's, and that of emscripten, which the
/// program that embeds a module calls.
const INITIALIZERS: [&str; 2] = ["_initialize", "__wasm_call_ctors"];

impl Step {
    /// The call by which `program` is set up: of the function `given`, or else of the one that is known to be for that,
    /// unless the program is started by `invoke` instead.
    pub(crate) fn initialization(
        program: &Program,
        given: Option<&str>,
        invoke: &str,
    ) -> Result<Option<Step>, Error> {
        let is_called = |name: &&&str| {
            let is_there = entry::find(program, Some(name));
            let fits = is_there.is_ok_and(|(_, function)| is_procedure(program, function));
            fits && **name != invoke && invoke != entry::START
        };
        let Some(name) = given.or_else(|| INITIALIZERS.iter().find(is_called).copied()) else {
            return Ok(None);
        };
        let (_, function) = entry::find(program, Some(name))?;
        if !is_procedure(program, function) {
            let signature = program.module.signature_of(function).to_string();
            return Err(Error::NoInitializer { name: name.to_owned(), signature });
        }
        let options = vec!["--init".to_owned(), name.to_owned()];
        Ok(Some(Step { kind: Kind::Initialize(function), options }))
    }

    /// The call that `text` asks for: `NAME`, or `NAME=ARG,ARG..`. A function may have such a name, too.
    pub(crate) fn call(program: &Program, text: &str) -> Result<Step, Error> {
        let (name, arguments) = match text.rsplit_once('=') {
            Some((name, arguments)) if entry::find(program, Some(text)).is_err() => (name, arguments),
            _ => (text, ""),
        };
        let (name, function) = entry::find(program, Some(name))?;
        let texts: Vec<String> =
            arguments.split(',').filter(|text| !text.is_empty()).map(|text| text.trim().to_owned()).collect();
        let values = read_arguments(name, program.module.signature_of(function), &texts)?;
        let options = vec!["--invoke".to_owned(), text.to_owned()];
        Ok(Step { kind: Kind::Call(function, values), options })
    }

    /// The write that `option` asks for. The file is read now.
    pub(crate) fn write(option: &WriteOption) -> Result<Step, Error> {
        let options = vec!["--write".to_owned(), format!("{}={}", option.place, option.file.display())];
        Ok(Step { kind: Kind::Write(option.place.clone(), read(&option.file)?), options })
    }

    /// How it is given on the command line.
    pub(crate) fn options(&self) -> &[String] {
        &self.options
    }

    /// Takes the step; returns what is to be shown of it.
    pub(crate) fn take(&self, thread: &Thread) -> Result<Result<Vec<String>, Trap>, Error> {
        let called = |function: FunctionIndex, words: &[u64]| trap_of(thread.call(function, words));
        Ok(match &self.kind {
            Kind::Initialize(function) => called(*function, &[]).map(|_| Vec::new()),
            Kind::Call(function, arguments) => {
                let words: Vec<u64> = arguments.iter().flat_map(|value| value.to_words()).collect();
                let types = &thread.instance().module().signature_of(*function).results;
                called(*function, &words).map(|words| show_all(types, &words))
            }
            Kind::Write(place, bytes) => {
                let memory = place.memory(thread.instance(), "--write")?;
                if !memory.write(place.address, bytes) {
                    let (size, bytes) = (memory.bytes(), bytes.len());
                    return Err(Error::WriteOutOfBounds { place: place.to_string(), bytes, size });
                }
                Ok(Vec::new())
            }
        })
    }
}

fn is_procedure(program: &Program, function: FunctionIndex) -> bool {
    *program.module.signature_of(function) == Signature::default()
}

#[cfg(test)]
mod tests {
    use super::WriteOption;

    #[test]
    fn writes_are_an_address_and_a_file() {
        let read = |text: &str| text.parse::<WriteOption>().ok().map(|option| option.place.address);
        assert_eq!(read("16=a"), Some(16));
        assert_eq!(read("0x400=a=b"), Some(1024));
        assert_eq!(read("m1:0x400=a:b"), Some(1024));
        for text in ["", "=a", "1", "1=", "x=a", "-1=a", "0x=a"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
