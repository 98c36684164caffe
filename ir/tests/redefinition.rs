//! Further bodies, state maps and scripts: what the text says, what is refused, and default maps.

use osr_ir::{Addition, AdditionError, FunctionIndex, Module, VerifiedModule, default_map, text};

/// A function that counts down, a body of it that counts down in steps of two registers, and one with nothing in common.
const MODULE: &str = "import tick () = \"env\" \"tick\"
function count (r0: i32) -> (i32) {
  r1: i32, r2: i32
b0:
  r1 = i32.const 0
  jump b1
b1:
  call tick ()
  r2 = i32.const 1
  r0 = i32.sub r0, r2
  r1 = i32.add r1, r2
  branch r0, b1, b2
b2:
  return r1
}
body renamed of count (r0: i32) -> (i32) {
  r1: i32, r2: i32, r3: i64
b0:
  r3 = i64.const 5
  r2 = i32.const 0
  jump b1
b1:
  call tick ()
  jump b2
b2:
  r1 = i32.const 1
  r0 = i32.sub r0, r1
  r2 = i32.add r2, r1
  branch r0, b1, b3
b3:
  return r2
}
body other of count (r0: i32) -> (i32) {
b0:
  r0 = i32.load8_u r0
  return r0
}
";

fn with(items: &str) -> Result<Module, String> {
    let module = text::parse(&format!("memory 1\n{MODULE}{items}")).map_err(|error| error.to_string())?;
    VerifiedModule::new(module.clone()).map_err(|error| error.to_string())?;
    Ok(module)
}

#[test]
fn what_is_printed_reads_back_as_the_same() {
    let module = with(
        "map count to renamed {
           p1 to p1: r0 = r0, r2 = (r1 i32.const 0x10 i32.add i32.eqz), r3 = i64.const -1
           p2 to p2: r0 = (r0 r0 i32.sub), r2 = i32.const 3
         }
         map renamed to other { p0 to p0: r0 = r0 }
         at 3 invalidate
         at 7 redefine count to renamed carry
         at 9 redefine count to count run_out",
    )
    .expect("a valid module");
    assert_eq!(module.alternatives.len(), 2);
    assert_eq!(text::parse(&text::print(&module)).expect("it reads back"), module);
}

#[test]
fn default_maps_pair_what_is_equal() {
    let module = with("").expect("a valid module");
    let [count, renamed, other] = [1, 2, 3].map(FunctionIndex::new);
    let print = |from, to| text::print_state_map(&module, &default_map::propose(&module, from, to));
    assert_eq!(
        print(count, renamed),
        "map count to renamed {
  p0 to p0: r0 = r0
  p1 to p1: r0 = r0, r2 = r1
  p2 to p2: r0 = r0, r2 = r1
}
"
    );
    assert_eq!(
        print(renamed, count),
        "map renamed to count {
  p0 to p0: r0 = r0
  p1 to p1: r0 = r0, r1 = r2
  p2 to p2: r0 = r0, r1 = r2
}
"
    );
    assert_eq!(print(count, other), "map count to other {\n  p0 to p0: r0 = r0\n}\n");
}

#[test]
fn refusals_say_what_and_where() {
    let refused = [
        ("map count to renamed { p9 to p1 }", "map `count` to `renamed`, p9: the old body has no such point"),
        ("map count to renamed { p1 to p9 }", "map `count` to `renamed`, p1: the new body has no p9"),
        (
            "map count to renamed { p1 to p1: r0 = r0 }",
            "map `count` to `renamed`, p1: r2 of the new body is live at p1, and has no value",
        ),
        (
            "map count to renamed { p1 to p1: r0 = r0, r2 = r2 }",
            "map `count` to `renamed`, p1: the value of r2 reads r2, which is not live there in the old body",
        ),
        (
            "map count to renamed { p1 to p1: r0 = r0, r2 = i64.const 0 }",
            "map `count` to `renamed`, p1: the value of r2 has type i64, not i32",
        ),
        (
            "map count to renamed { p1 to p1: r0 = r0, r2 = (r0 r1 i32.div_s) }",
            "map `count` to `renamed`, p1: the value of r2 may trap: `i32.div_s` does for some operands",
        ),
        (
            "map count to renamed { p1 to p1: r0 = r0, r2 = (r0 i32.add) }",
            "map `count` to `renamed`, p1: the steps of the value of r2 do not leave one value",
        ),
        (
            "map count to renamed { p1 to p1: r0 = r0, r0 = r0, r2 = r1 }",
            "map `count` to `renamed`, p1: r0 of the new body has two values",
        ),
        (
            "map count to renamed { p0 to p0: r0 = r0 p0 to p0: r0 = r0 }",
            "map `count` to `renamed`, p0: that point has a second entry",
        ),
        (
            "map other to count { p1 to p0: r0 = r0 }",
            "map `other` to `count`, p1: that is a point of the old body at which execution does not resume",
        ),
        ("map count to count { }", "map `count` to `count`: those are not two bodies of one function"),
        ("at 0 invalidate", "script: call 0 is not after call 0: calls ascend from 1"),
        ("at 2 redefine tick to tick run_out", "`tick` cannot be redefined as `tick`: it is imported"),
        (
            "at 2 redefine count to renamed, count to count carry",
            "`count` cannot be redefined as `count`: it is changed twice",
        ),
        (
            "function main () { b0: return } at 2 redefine count to main carry",
            "`count` cannot be redefined as `main`: that is no body of it",
        ),
        (
            "export \"x\" function renamed",
            "export \"x\" names `renamed`, which is a further body of a function: name the function",
        ),
        (
            "body more of renamed (r0: i32) -> (i32) { b0: return r0 }",
            "`more` cannot be a body of `renamed`: that is an alternative itself",
        ),
        (
            "body more of count () { b0: return }",
            "`more` cannot be a body of `count`: they have different signatures",
        ),
        (
            "body more of tick () { b0: return }",
            "`more` cannot be a body of `tick`: an imported function has no bodies",
        ),
        (
            "at 3 redefine count to renamed",
            "39:31: expected `run_out`, `invalidate`, `carry` or `carry_all`, found the end of the file",
        ),
        ("map count to renamed { p1 p1 }", "39:27: expected `to`, found `p1`"),
    ];
    for (items, expected) in refused {
        assert_eq!(with(items).expect_err(items), expected, "{items}");
    }
}

/// [`MODULE`] with room for two bodies, and what becomes of it if `items` are added.
fn adding(items: &str) -> (Module, Result<(), String>) {
    let mut module = with("").expect("a valid module");
    module.reserve_bodies(2);
    let added = text::parse_addition(&module, "items.ir", items)
        .map_err(|error| error.to_string())
        .and_then(|addition| module.add_bodies(addition).map_err(|error| error.to_string()));
    (module, added)
}

const EXTRA: &str = "body extra of count (r0: i32) -> (i32) {\nb0:\n  r0 = call count (r0)\n  return r0\n}\n";

#[test]
fn added_bodies_are_as_those_of_the_module() {
    let items = format!("{EXTRA}map count to extra {{ p1 to p0: r0 = r0 }} redefine count to extra carry");
    let (module, added) = adding(&items);
    added.expect("it fits");
    let extra = module.added_bodies().next().expect("it is there");
    let count = FunctionIndex::new(1);
    assert_eq!((module.function_of(extra), &*module.function(extra).name), (count, "extra"));
    assert_eq!(module.state_map(count, extra).expect("it was added").entries.len(), 1);
    assert!(module.has_alternatives(count));
    let origin = module.origin_of(extra);
    let offset = origin.source_map(extra).and_then(|map| {
        map.offset(osr_ir::Points::of(body_of(&module, extra)).position(osr_ir::Point::new(1)))
    });
    let place = origin.place(offset.expect("the text has it")).expect("a place");
    assert_eq!(place.to_string(), "items.ir:3:3");
    // A second addition goes behind the first, and can refer to it.
    let more = "body further of count (r0: i32) -> (i32) { b0: return r0 } map extra to further { p0 to p0: r0 = r0 }";
    let addition = text::parse_addition(&module, "more.ir", more).expect("it is well formed");
    let same = addition.clone();
    module.add_bodies(addition).expect("it fits");
    assert_eq!(module.added_bodies().count(), 2);
    assert_eq!(module.add_bodies(same), Err(AdditionError::Outdated));
    let full = Addition::to(&module);
    assert!(full.is_empty());
    assert_eq!(module.add_bodies(full), Ok(()));
    // A clone has what was added; what has nothing can be given it.
    assert_eq!(module.clone(), module);
    let (other, nothing) = adding("");
    nothing.expect("there is nothing to refuse");
    assert_ne!(other, module);
    other.add_bodies_of(&module);
    assert_eq!(other, module);
}

fn body_of(module: &Module, function: FunctionIndex) -> &osr_ir::Body {
    module.function(function).body().expect("it is defined")
}

#[test]
fn what_cannot_be_added_is_refused_and_changes_nothing() {
    let [two, three] = [2, 3].map(|bodies| {
        (0..bodies)
            .map(|n| format!("body b{n} of count (r0: i32) -> (i32) {{ b0: return r0 }}\n"))
            .collect::<String>()
    });
    let twice = "map count to b0 { p0 to p0: r0 = r0 } map count to b0 { }";
    let refused = [
        (three.clone(), "no room for 3 more bodies: 2 are left of those that were reserved"),
        ("memory 1".to_owned(), "1:1: expected body, map or redefine, found `memory`"),
        (EXTRA.replace("call count", "call cuont"), "3:13: unknown function `cuont`"),
        (EXTRA.replace("body extra", "body other"), "1:6: there is a function `other` already"),
        (
            EXTRA.replace("r0: i32", "r0: i64"),
            "1:22: the module has no signature (i64) -> (i32): nothing but bodies and maps is added to it",
        ),
        (
            EXTRA.replace("r0 = call count (r0)", "r0 = call_indirect t0 (i32) -> (i32) [r0] (r0)"),
            "3:22: `t0` is not defined",
        ),
        (
            EXTRA.replace("of count", "of tick"),
            "`extra` cannot be a body of `tick`: an imported function has no bodies",
        ),
        (
            EXTRA.replace("of count", "of other"),
            "`extra` cannot be a body of `other`: that is an alternative itself",
        ),
        (
            EXTRA.replace("call count", "call other"),
            "function f4 names `other`, which is a further body of a function: name the function",
        ),
        (EXTRA.replace("return r0", "return"), "function `extra`, b0:1: 0 returned values, not 1"),
        (
            format!("{EXTRA}map count to extra {{ p1 to p0: r0 = i64.const 0 }}"),
            "map `count` to `extra`, p1: the value of r0 has type i64, not i32",
        ),
        (format!("{two}{twice}"), "there is a second map `count` to `b0`"),
        (
            format!("{EXTRA}redefine tick to extra carry"),
            "`tick` cannot be redefined as `extra`: it is imported",
        ),
        (
            format!("{EXTRA}redefine count to extra carry redefine count to extra carry"),
            "6:31: there is a second `redefine`",
        ),
    ];
    let before = adding("").0;
    for (items, expected) in refused {
        let (module, added) = adding(&items);
        assert_eq!(added.expect_err(&items), expected, "{items}");
        assert_eq!(module, before, "{items}");
    }
}
