//! Functions, and tags, are linked to imports of their own type only, whatever module it is written in: types that differ in
//! what their references refer to are different.

use std::sync::Arc;

use osr_engine::{Imports, Instance, InstantiationError, Store, Tag};
use osr_ir::{ExportItem, Signature, Type};
use osr_tests::guest::{eager, parse};

/// Parameters, each of a type of its own.
const DIFFERENT: [&str; 9] = [
    "funcref",
    "(ref func)",
    "(ref null $i)",
    "(ref $i)",
    "(ref null $f)",
    "(ref extern)",
    "(ref null $of_i)",
    "(ref null $of_non_null_i)",
    "externref",
];

/// The types that they mention: of some modules in this order, after others and twice.
const TYPES: &str = "(type $i (func (result i32)))
    (type $f (func (result f32)))
    (type $of_i (func (param (ref null $i))))
    (type $of_non_null_i (func (param (ref $i))))";
const TYPES_AGAIN: &str = "(type (func (param i64)))
    (type $f (func (result f32)))
    (type $i_before (func (result i32)))
    (type $of_non_null_i (func (param (ref $i_before))))
    (type $i (func (result i32)))
    (type $of_i (func (param (ref null $i))))";

fn instantiate(store: &Store, text: &str, imports: &Imports) -> Result<Arc<Instance>, InstantiationError> {
    store.instantiate(eager(), parse(text), imports)
}

/// All that `instance` exports, as `m`.
fn exported(instance: &Arc<Instance>) -> Imports {
    let mut imports = Imports::new();
    imports.instance("m", instance);
    imports
}

/// Whether what `make` makes of a parameter is imported where the same is made of another.
fn check(export: impl Fn(&str) -> String, import: impl Fn(&str) -> String) {
    for exported_type in DIFFERENT {
        let store = Store::new();
        let text = format!("(module {TYPES} {})", export(exported_type));
        let exporter = instantiate(&store, &text, &Imports::new()).expect("it imports nothing");
        for types in [TYPES, TYPES_AGAIN] {
            for imported_type in DIFFERENT {
                let text = format!("(module {types} {})", import(imported_type));
                let linked = instantiate(&store, &text, &exported(&exporter));
                let context = format!("{exported_type} imported as {imported_type}");
                match linked {
                    Ok(_) => assert_eq!(exported_type, imported_type, "{context}"),
                    Err(InstantiationError::IncompatibleImport { expected, found, .. }) => {
                        assert_ne!(exported_type, imported_type, "{context}");
                        assert_ne!(expected, found, "{context}: one can tell them apart");
                    }
                    Err(error) => panic!("{context}: {error}"),
                }
            }
        }
    }
}

#[test]
fn functions_are_imported_as_of_their_own_type() {
    check(
        |ty| format!(r#"(func (export "f") (param i32 {ty}))"#),
        |ty| format!(r#"(import "m" "f" (func (param i32 {ty})))"#),
    );
}

/// What is imported and exported again is of the type that it was imported as.
#[test]
fn functions_of_the_host_are_of_the_type_that_they_are_imported_as() {
    let mut imports = Imports::new();
    let signature = Signature::new(vec![Type::Funcref], vec![]);
    imports.function("env", "f", signature, |_, _, _| Ok(()));
    let store = Store::new();
    let import = |module, ty| format!(r#"{TYPES} (import "{module}" "f" (func $f (param {ty})))"#);
    let text = format!(r#"(module {} (export "f" (func $f)))"#, import("env", "(ref $i)"));
    let instance = instantiate(&store, &text, &imports).expect("it has a type that it can be of");
    let function = instance.exported_function("f").expect("an export");
    let signature = instance.module().signature_of(function).to_string();
    assert!(signature.starts_with("(funcref nonnull to s"), "{signature}");
    let importing = |ty| instantiate(&store, &format!("(module {})", import("m", ty)), &exported(&instance));
    assert!(importing("(ref $i)").is_ok());
    assert!(importing("funcref").is_err());
    let other = format!("(module {})", import("env", "externref"));
    assert!(instantiate(&store, &other, &imports).is_err());
}

#[test]
fn tags_are_imported_as_of_their_own_type() {
    check(
        |ty| format!(r#"(tag (export "t") (param {ty}))"#),
        |ty| format!(r#"(import "m" "t" (tag (param {ty})))"#),
    );
}

/// A tag of the host's says as much of its values as the host knows.
#[test]
fn tags_of_the_host_are_of_the_type_that_they_are_imported_as() {
    let mut imports = Imports::new();
    imports.tag("m", "t", &Tag::new("t", &[Type::Funcref]));
    let importing = |ty| {
        let text = format!(r#"(module {TYPES} (import "m" "t" (tag (param {ty}))) (export "t" (tag 0)))"#);
        instantiate(&Store::new(), &text, &imports)
    };
    let instance = importing("(ref $i)").expect("it is linked");
    assert!(matches!(instance.module().export("t"), Some(ExportItem::Tag(_))));
    assert!(importing("i32").is_err());
}
