//! What is run: a bundled program, a file, or a command line.

use std::path::Path;

use super::RegretOptions;
use crate::error::Error;
use crate::guest::suite;
use crate::laboratory::measuring::{Origin, Subject};
use crate::laboratory::subjects;

/// Something that `osr-bench run` can run.
#[derive(Debug)]
pub(super) struct Workload {
    /// What it is called.
    pub(super) name: String,
    /// The arguments of `osr-bench run`; of a program that is in this binary, without the file.
    pub(super) arguments: Vec<String>,
    /// The name and the bytes of a program that is in this binary.
    pub(super) bundled: Option<(String, &'static [u8])>,
}

impl Workload {
    /// All that `options` name; all bundled programs if they name nothing.
    pub(super) fn chosen(options: &RegretOptions) -> Result<Vec<Workload>, Error> {
        let has_subjects = !options.subjects.programs.is_empty() || options.command.is_empty();
        let subjects = if has_subjects { subjects::chosen(&options.subjects)? } else { Vec::new() };
        let commands = options.command.iter().map(|line| Workload::of_command(line));
        subjects.iter().map(|subject| Ok(Workload::of_subject(subject))).chain(commands).collect()
    }

    /// The file of the program, if it is one.
    pub(super) fn file(&self) -> Option<&String> {
        self.arguments.iter().find(|word| is_module(word))
    }

    fn of_subject(subject: &Subject) -> Workload {
        let mut arguments = vec!["--stack-size".to_owned(), "256M".to_owned()];
        arguments.extend(subject.invoke.iter().flat_map(|name| ["--invoke".to_owned(), name.clone()]));
        let bundled = match &subject.origin {
            Origin::File(path) => {
                arguments.insert(0, path.display().to_string());
                None
            }
            Origin::Bundled(name) | Origin::Kernel(name) => Some((name.clone(), suite::bytes(name))),
        };
        arguments.push("--".to_owned());
        arguments.extend(subject.arguments.iter().cloned());
        Workload { name: subject.name(), arguments, bundled }
    }

    /// `line` is what follows `osr-bench run`, quoted as for a shell.
    fn of_command(line: &str) -> Result<Workload, Error> {
        let arguments = shlex::split(line).filter(|words| !words.is_empty());
        let arguments = arguments.ok_or_else(|| Error::CommandLine { line: line.to_owned() })?;
        let file = arguments.iter().find(|word| is_module(word)).unwrap_or(&arguments[0]);
        let name =
            Path::new(file).file_stem().map_or(file.into(), |stem| stem.to_string_lossy()).into_owned();
        Ok(Workload { name, arguments, bundled: None })
    }
}

fn is_module(word: &str) -> bool {
    Path::new(word).extension().is_some_and(|extension| extension == "wasm" || extension == "wat")
}
