//! Function names: from the name section, else an export, else the import, else the index; made unique.

use std::collections::{HashMap, HashSet};

use crate::module::{ExportItem, FunctionKind, Module};

/// Names every function of `module`. `section` holds what the name section says, by function index.
pub(super) fn assign(module: &mut Module, section: &HashMap<u32, &str>) {
    let mut wanted: Vec<Option<String>> = vec![None; module.functions.len()];
    for (&index, name) in section {
        if let Some(slot) = wanted.get_mut(index as usize).filter(|_| !name.is_empty()) {
            *slot = Some((*name).to_owned());
        }
    }
    for export in &module.exports {
        if let ExportItem::Function(index) = export.item
            && !export.name.is_empty()
        {
            wanted[index.index()].get_or_insert_with(|| export.name.clone());
        }
    }
    let mut unique = Unique::default();
    for (index, (function, wanted)) in module.functions.iter_mut().zip(wanted).enumerate() {
        let imported = match &function.kind {
            FunctionKind::Import(import) => Some(import.name.clone()).filter(|name| !name.is_empty()),
            FunctionKind::Defined(_) => None,
        };
        function.name = unique.name(wanted.or(imported).unwrap_or_else(|| format!("f{index}")));
    }
}

/// Names given so far, and per name the number that its next double gets.
#[derive(Default)]
struct Unique {
    given: HashSet<String>,
    next: HashMap<String, u32>,
}

impl Unique {
    /// `name`, or `name.2`, `name.3` ... if it has been given.
    fn name(&mut self, name: String) -> String {
        if self.given.insert(name.clone()) {
            return name;
        }
        let next = self.next.entry(name.clone()).or_insert(2);
        loop {
            let numbered = format!("{name}.{next}");
            *next += 1;
            if self.given.insert(numbered.clone()) {
                return numbered;
            }
        }
    }
}
