//! The programs that are measured: bundled ones by name, or a file.

use std::path::{Path, PathBuf};

use clap::{Args, Parser, ValueEnum};
use osr_engine::{Delegates, Settings, Tiers};
use osr_ir::Value;

use super::measuring::{Origin, Subject};
use crate::error::Error;
use crate::guest::entry;
use crate::guest::host;
use crate::guest::load::{Program, load};
use crate::guest::session::Session;
use crate::guest::suite::{self, Recorded};
use crate::guest::trapped::Trapped;
use crate::number::{read_arguments, show_all};

/// Native stack for finding out what a file's function returns, and as much for interpreter frames.
const STACK_BYTES: usize = 256 << 20;

/// Options that choose programs.
#[derive(Debug, Args)]
pub(crate) struct SubjectOptions {
    /// Bundled programs, by name, or files (.wasm, .wat, .ir) [default: all bundled programs].
    #[arg(value_name = "PROGRAM")]
    pub(crate) programs: Vec<String>,
    /// The arguments that bundled programs are measured with.
    #[arg(long, value_enum, default_value_t = SizeName::Small)]
    pub(crate) size: SizeName,
    /// Bundled programs as they are before LLVM's optimizer (`tests/programs/wasm-ssa/`): their calls are there to be inlined.
    #[arg(long)]
    pub(crate) unoptimized: bool,
    /// The exported function of a file [default: as of `run`].
    #[arg(long, value_name = "NAME")]
    pub(crate) invoke: Option<String>,
    /// An argument of a file's function; may be repeated.
    #[arg(long, value_name = "ARG", allow_negative_numbers = true)]
    pub(crate) argument: Vec<String>,
}

/// What calls find.
#[derive(Debug, Args)]
pub(crate) struct Rewinding {
    /// Before each call, put memories, tables and globals back to what they were before the first, outside of what is timed:
    /// for programs that change their state for good, such as replayed ones, whose second call would end at once.
    #[arg(long)]
    pub(crate) rewind: bool,
}

impl Rewinding {
    /// `subjects`, to be called so.
    pub(crate) fn apply(&self, subjects: Vec<Subject>) -> Vec<Subject> {
        subjects.into_iter().map(|subject| Subject { rewind: self.rewind, ..subject }).collect()
    }
}

/// Recorded arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SizeName {
    /// A call takes milliseconds in the interpreter.
    Small,
    /// A call takes about a second in optimized code.
    Bench,
}

/// The programs that `options` choose. Files are loaded, and called once, so that whatever is wrong with
/// them is known before anything is measured.
pub(crate) fn chosen(options: &SubjectOptions) -> Result<Vec<Subject>, Error> {
    let recorded = suite::all();
    if options.programs.is_empty() {
        check_one_file(options, &[])?;
        return Ok(recorded
            .iter()
            .map(|program| bundled(program, options.size, options.unoptimized))
            .collect());
    }
    let subject = |name: &String| match recorded.iter().find(|program| program.name == *name) {
        Some(program) => Ok(bundled(program, options.size, options.unoptimized)),
        None if is_path(name) => {
            check_one_file(options, &options.programs)?;
            file(Path::new(name), options)
        }
        None => {
            let programs = recorded.iter().map(|program| &*program.name).collect::<Vec<_>>().join(", ");
            Err(Error::NoSuchSubject { name: name.clone(), programs })
        }
    };
    let subjects = options.programs.iter().map(subject).collect::<Result<Vec<_>, _>>()?;
    if !options.programs.iter().any(|name| is_path(name)) {
        check_one_file(options, &[])?;
    }
    Ok(subjects)
}

/// The bundled program of that name, with the arguments for a short call.
pub(crate) fn bundled_by_name(name: &str) -> Result<Subject, Error> {
    let named = suite::named(&[name.to_owned()])?;
    Ok(bundled(&named[0], SizeName::Small, false))
}

/// What a line says that is to be measured: the name of a bundled program, with the arguments for a short call, or what
/// follows `osr-bench run`, which names a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// A bundled program.
    Bundled(String),
    /// A file, and what is called in it.
    File(FileLine),
}

/// `FILE [--invoke NAME] [ARG]..`
#[derive(Clone, Debug, PartialEq, Eq, Parser)]
#[command(no_binary_name = true, disable_help_flag = true)]
pub(crate) struct FileLine {
    path: PathBuf,
    #[arg(allow_negative_numbers = true)]
    arguments: Vec<String>,
    #[arg(long)]
    invoke: Option<String>,
}

impl Line {
    /// Reads `line`.
    pub(crate) fn read(line: &str) -> Result<Line, Error> {
        let words = shlex::split(line).unwrap_or_default();
        match words.first() {
            Some(file) if is_path(file) => {
                let read = FileLine::try_parse_from(&words).map(Line::File);
                read.map_err(|_| Error::ProgramLine { line: line.to_owned() })
            }
            _ => {
                suite::named(&[line.to_owned()])?;
                Ok(Line::Bundled(line.to_owned()))
            }
        }
    }

    /// What is measured. A file's function is called once, to find out what it returns.
    pub(crate) fn subject(&self) -> Result<Subject, Error> {
        match self {
            Line::Bundled(name) => bundled_by_name(name),
            Line::File(FileLine { path, arguments, invoke }) => {
                let options = SubjectOptions {
                    programs: Vec::new(),
                    size: SizeName::Small,
                    unoptimized: false,
                    invoke: invoke.clone(),
                    argument: arguments.clone(),
                };
                file(path, &options)
            }
        }
    }

    /// What its program is called in results.
    pub(crate) fn name(&self) -> String {
        match self {
            Line::Bundled(name) => name.clone(),
            Line::File(FileLine { path, .. }) => path.display().to_string(),
        }
    }

    /// Reads the program.
    pub(crate) fn load(&self) -> Result<Program, Error> {
        match self {
            Line::Bundled(name) => suite::load(name),
            Line::File(FileLine { path, .. }) => load(path),
        }
    }
}

/// Whether it is meant as a path: bundled programs have names without dots and slashes.
fn is_path(name: &str) -> bool {
    name.contains(['.', '/'])
}

fn check_one_file(options: &SubjectOptions, programs: &[String]) -> Result<(), Error> {
    let given = [("--invoke", options.invoke.is_some()), ("--argument", !options.argument.is_empty())];
    match given.into_iter().find(|&(_, given)| given && programs.len() != 1) {
        Some((option, _)) => Err(Error::OptionForOneFile { option }),
        None => Ok(()),
    }
}

fn bundled(program: &Recorded, size: SizeName, unoptimized: bool) -> Subject {
    let (arguments, expected) = match size {
        SizeName::Small => (&program.small, &program.expect),
        SizeName::Bench => (&program.bench, &program.expect_bench),
    };
    let name = if unoptimized { suite::unoptimized(&program.name) } else { program.name.clone() };
    Subject {
        origin: Origin::Bundled(name),
        invoke: Some(program.invoke.clone()),
        arguments: arguments.iter().map(i64::to_string).collect(),
        expected: expected.clone(),
        rewind: false,
    }
}

fn file(path: &Path, options: &SubjectOptions) -> Result<Subject, Error> {
    let program = load(path)?;
    let (name, function) = entry::find(&program, options.invoke.as_deref())?;
    let signature = program.module.signature_of(function);
    let arguments: Vec<Value> = read_arguments(name, signature, &options.argument)?;
    host::missing::check(&program, &host::env::imports(true))?;
    let settings =
        Settings { tiers: Tiers::Interpreter, value_stack_bytes: STACK_BYTES, ..Settings::default() };
    let (imports, again) = (host::env::imports(true), false);
    let session = Session {
        program: &program,
        steps: &[],
        added: &[],
        reads: &[],
        function,
        arguments: &arguments,
        settings: &settings,
        delegates: Delegates::default(),
        stack_bytes: STACK_BYTES,
        imports,
        handle: None,
        again,
        hash_memory: false,
    };
    let result = session.run()?.result;
    let words = result.map_err(|trap| Error::Trap(Box::new(Trapped::of(&program.module, trap))))?;
    Ok(Subject {
        origin: Origin::File(PathBuf::from(path)),
        invoke: Some(name.to_owned()),
        arguments: options.argument.clone(),
        expected: show_all(&signature.results, &words).join(" "),
        rewind: false,
    })
}
