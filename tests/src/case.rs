//! The hand-written cases: `.wat` and `.ir` files whose head says what each call gives.

use osr_ir::{Module, Type, Value};

use crate::program::folder_of_programs;

/// One call of a case file.
#[derive(Clone, Debug)]
pub struct Call {
    /// The exported function.
    pub function: String,
    /// Its arguments, as text.
    pub arguments: Vec<String>,
    /// What it gives.
    pub expected: Expected,
}

/// What a call gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Results, as text, separated by spaces.
    Results(String),
    /// A trap of the kind of that name.
    Trap(String),
}

/// A case file.
#[derive(Clone, Debug)]
pub struct Case {
    /// The file's name.
    pub name: String,
    /// What it holds.
    pub module: Module,
    /// The calls, in order.
    pub calls: Vec<Call>,
}

/// All case files.
///
/// # Panics
/// If one is not valid.
pub fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = ["wat", "ir"].into_iter().flat_map(cases_in).collect();
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    cases
}

fn cases_in(kind: &str) -> Vec<Case> {
    let Ok(folder) = std::fs::read_dir(folder_of_programs().join(kind)) else { return Vec::new() };
    let paths = folder.map(|entry| entry.expect("a readable folder").path());
    paths
        .filter(|path| path.extension().is_some_and(|extension| extension == kind))
        .map(|path| {
            let name = path.file_name().expect("a file").to_string_lossy().into_owned();
            let text = std::fs::read_to_string(&path).expect("a readable file");
            let module = match kind {
                "wat" => osr_ir::wasm::import_text(&text).unwrap_or_else(|error| panic!("{name}: {error}")),
                _ => osr_ir::text::parse(&text).unwrap_or_else(|error| panic!("{name}: {error}")),
            };
            let calls = text.lines().filter_map(parse_call).collect();
            Case { name, module, calls }
        })
        .collect()
}

/// `;; invoke: NAME ARGUMENTS => RESULTS`, or `=> trap KIND`.
fn parse_call(line: &str) -> Option<Call> {
    let line = line.trim_start_matches(';').trim().strip_prefix("invoke:")?;
    let (call, expected) = line.split_once("=>").expect("`=>` in an invoke line");
    let mut words = call.split_whitespace().map(str::to_owned);
    let function = words.next().expect("a function in an invoke line");
    let expected = match expected.trim().strip_prefix("trap ") {
        Some(kind) => Expected::Trap(kind.to_owned()),
        None => Expected::Results(expected.trim().to_owned()),
    };
    Some(Call { function, arguments: words.collect(), expected })
}

/// The value of type `ty` that `text` spells.
///
/// # Panics
/// If it spells none.
pub fn parse_value(ty: Type, text: &str) -> Value {
    match ty {
        Type::I32 => Value::I32(text.parse().expect("an i32")),
        Type::I64 => Value::I64(text.parse().expect("an i64")),
        Type::F32 => Value::F32(text.parse::<f32>().expect("an f32").to_bits()),
        Type::F64 => Value::F64(text.parse::<f64>().expect("an f64").to_bits()),
        Type::Funcref => Value::NullFuncref,
    }
}

/// `word`, a value of type `ty`, as text.
pub fn print_word(ty: Type, word: u64) -> String {
    match ty {
        Type::I32 => (word as i32).to_string(),
        Type::I64 => (word as i64).to_string(),
        Type::F32 => f32::from_bits(word as u32).to_string(),
        Type::F64 => f64::from_bits(word).to_string(),
        Type::Funcref => {
            if word == 0 {
                "null".into()
            } else {
                "function".into()
            }
        }
    }
}
