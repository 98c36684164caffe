//! Reading a case file. Lines that begin with `;;!` are commands; `;;=` lines below them are what is
//! expected, which is not read here: it is compared as text.

use std::ops::Range;

use osr_engine::{CompiledTier, Settings, Tiers};
use osr_ir::{ExportItem, FunctionIndex, Module, Value};

use super::Case;
use super::error::{CaseError, Problem};
use super::options::{self, Words};
use super::value::parse_value;

/// What begins a command.
pub(super) const COMMAND: &str = ";;!";
/// What begins a line of expected text.
pub(super) const EXPECTED: &str = ";;=";

/// What a case states in one of its lines, or expects in several.
#[derive(Clone, Debug)]
pub struct Command {
    /// Its line, and those of the text that it expects, from 0.
    pub lines: Range<usize>,
    /// What it states.
    pub verb: Verb,
}

impl Command {
    fn expects_lines(&self) -> bool {
        !matches!(self.verb, Verb::Call(_))
    }
}

/// What is stated.
#[derive(Clone, Debug)]
pub enum Verb {
    /// What a call returns, or how it traps, in every configuration.
    Call(Call),
    /// The frame maps of a function.
    Maps(Maps),
    /// The events of a call.
    Events(Events),
}

/// A call of an exported function.
#[derive(Clone, Debug)]
pub struct Call {
    /// The function's name.
    pub function: String,
    /// Its arguments.
    pub arguments: Vec<Value>,
}

/// A function to be compiled.
#[derive(Clone, Debug)]
pub struct Maps {
    /// The function.
    pub function: FunctionIndex,
    /// The tier that compiles it.
    pub tier: CompiledTier,
    /// How.
    pub settings: Settings,
}

/// A call, in an instance of its own, whose events are expected.
#[derive(Clone, Debug)]
pub struct Events {
    /// The call.
    pub call: Call,
    /// How it is executed.
    pub settings: Settings,
}

impl Case {
    /// Reads `text`, the contents of the file `name`.
    ///
    /// # Errors
    /// If it is no case; the error says where.
    pub fn parse(name: &str, text: String) -> Result<Case, CaseError> {
        let file = || name.to_owned();
        let module = module(name, &text).map_err(|message| CaseError::Program { file: file(), message })?;
        let located = |line, problem| CaseError::Line { file: file(), line: line + 1, problem };
        let mut commands: Vec<Command> = Vec::new();
        for (line, words) in text.lines().enumerate() {
            let words = words.trim_start();
            if let Some(words) = words.strip_prefix(COMMAND) {
                let verb = verb(&module, words).map_err(|problem| located(line, problem))?;
                commands.push(Command { lines: line..line + 1, verb });
            } else if words.starts_with(EXPECTED) {
                let above =
                    commands.last_mut().filter(|above| above.lines.end == line && above.expects_lines());
                above.ok_or_else(|| located(line, Problem::StrayExpectation))?.lines.end += 1;
            }
        }
        if commands.is_empty() {
            return Err(CaseError::Empty { file: file() });
        }
        Ok(Case { name: file(), text, module, commands })
    }
}

/// The program, or the place and what is wrong with it.
fn module(name: &str, text: &str) -> Result<Module, String> {
    if name.ends_with(".ir") {
        osr_ir::text::parse(text).map_err(|error| error.to_string())
    } else {
        osr_ir::wasm::import_text(text).map_err(|error| error.to_string())
    }
}

fn verb(module: &Module, words: &str) -> Result<Verb, Problem> {
    let mut words = words.split_whitespace();
    match words.next().unwrap_or_default() {
        "call" => call(module, &mut words.take_while(|&word| word != "=>")).map(Verb::Call),
        "maps" => maps(module, &mut words).map(Verb::Maps),
        "events" => events(module, &mut words).map(Verb::Events),
        other => Err(Problem::UnknownVerb(other.to_owned())),
    }
}

fn call<'w>(module: &Module, words: Words<'w, '_>) -> Result<Call, Problem> {
    let name = words.next().ok_or(Problem::NoFunction)?;
    let Some(ExportItem::Function(function)) = module.export(name) else {
        return Err(Problem::UnknownFunction { kind: "exported", name: name.to_owned() });
    };
    let types = &module.signature_of(function).parameters;
    let texts: Vec<&str> = words.collect();
    if texts.len() != types.len() {
        let (function, expected, found) = (name.to_owned(), types.len(), texts.len());
        return Err(Problem::ArgumentCount { function, expected, found });
    }
    let value = |(&ty, text): (_, &str)| {
        parse_value(ty, text).ok_or_else(|| Problem::Argument { text: text.to_owned(), ty })
    };
    let arguments = types.iter().zip(texts).map(value).collect::<Result<_, _>>()?;
    Ok(Call { function: name.to_owned(), arguments })
}

fn maps(module: &Module, words: Words<'_, '_>) -> Result<Maps, Problem> {
    let name = words.next().ok_or(Problem::NoFunction)?;
    let is_it = |&index: &FunctionIndex| {
        let function = module.function(index);
        function.is_defined() && function.name == name
    };
    let function = module
        .function_indices()
        .find(is_it)
        .ok_or_else(|| Problem::UnknownFunction { kind: "defined", name: name.to_owned() })?;
    let settings = options::settings(words)?;
    let tier = match settings.tiers {
        Tiers::Auto | Tiers::Optimized => CompiledTier::Optimized,
        Tiers::Baseline => CompiledTier::Baseline,
        Tiers::Interpreter => return Err(Problem::NotCompiled),
    };
    Ok(Maps { function, tier, settings })
}

fn events(module: &Module, words: Words<'_, '_>) -> Result<Events, Problem> {
    let words: Vec<&str> = words.collect();
    let options = words.iter().position(|word| word.starts_with("--")).unwrap_or(words.len());
    let (words, options) = words.split_at(options);
    let call = call(module, &mut words.iter().copied())?;
    Ok(Events { call, settings: options::settings(&mut options.iter().copied())? })
}

#[cfg(test)]
mod tests {
    use super::{Case, CaseError, Problem, Verb};

    const PROGRAM: &str = "import g () = \"env\" \"invalidate\"\nexport \"f\" function f
        function f (r0: i32, r1: f64) -> (i32) {\nb0:\n  return r0\n}\n";

    fn parse(commands: &str) -> Result<Case, CaseError> {
        Case::parse("f.ir", format!("{commands}\n{PROGRAM}"))
    }

    #[test]
    fn commands_are_read_with_their_expectations() {
        let case = parse(
            "; A comment.\n;;! maps f --tier baseline\n;;= a line\n;;= one more\n;;! call f -3 1.5 => -3\n\
             ;;! events f 1 inf --tier auto --threshold 3 --stress invalidate=2 --stress land=random:7",
        );
        let commands = case.expect("a case").commands;
        assert_eq!(
            commands.iter().map(|command| command.lines.clone()).collect::<Vec<_>>(),
            [1..4, 4..5, 5..6]
        );
        let Verb::Events(events) = &commands[2].verb else { panic!("{commands:?}") };
        assert_eq!((events.call.arguments.len(), events.settings.threshold), (2, Some(3)));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (command, message) in [
            (";;! run f 1 2", "there is no command `run`: write `call`, `maps` or `events`"),
            (";;!", "there is no command ``: write `call`, `maps` or `events`"),
            (";;! call", "which function?"),
            (";;! call g => 1", "there is no exported function `g`"),
            (";;! call f 1 => 1", "`f` takes 2 argument(s), 1 given"),
            (";;! call f 1 x => 1", "`x` is not a value of type f64"),
            (";;! call f 4294967296 1 => 1", "`4294967296` is not a value of type i32"),
            (";;! maps g", "there is no defined function `g`"),
            (";;! maps f optimized", "there is no option `optimized` here"),
            (";;! maps f --tier interpreter", "only `baseline` and `optimized` code has frame maps"),
            (";;! maps f --tiers auto", "there is no option `--tiers` here"),
            (";;! maps f --unrolling 256", "`--unrolling 256`: a number that fits is needed"),
            (";;! events f 1 2 --threshold", "`--threshold `: a number that fits is needed"),
            (";;! events f 1 2 --stress hijack=0", "`--stress hijack=0`: a period is a number from 1 up"),
            (";;= a line", "`;;=` lines follow `;;! maps` or `;;! events`"),
            (";;! call f 1 2 => 1\n;;= a line", "`;;=` lines follow `;;! maps` or `;;! events`"),
        ] {
            let line = command.lines().count() + 1;
            let error = parse(&format!("; A comment.\n{command}")).expect_err(command);
            assert_eq!(error.to_string(), format!("f.ir:{line}: {message}"));
        }
        let error = parse(";;! maps f --tier x").expect_err("no tier").to_string();
        assert!(error.starts_with("f.ir:1: `--tier x`: unknown variant `x`"), "{error}");
    }

    #[test]
    fn a_file_that_states_nothing_or_is_no_program_is_refused() {
        assert_eq!(parse("; call f 1 2").unwrap_err(), CaseError::Empty { file: "f.ir".to_owned() });
        let error = Case::parse("f.ir", ";;! call f 1\nfunction f (".to_owned()).unwrap_err();
        assert!(error.to_string().starts_with("f.ir:2:"), "{error}");
        let stray = parse(";;! maps f\n\n;;= a line").unwrap_err();
        assert!(matches!(stray, CaseError::Line { line: 3, problem: Problem::StrayExpectation, .. }));
    }
}
