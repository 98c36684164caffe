//! A recursion to be hijacked: its functions keep so many values while they call one another. The command and the
//! criterion bench share it.

use osr_ir::Module;

/// The functions of a recursion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// One that calls itself.
    Uniform,
    /// Seven in turn, each with two live values more than the one before.
    Mixed,
}

impl Shape {
    fn functions(self) -> usize {
        match self {
            Shape::Uniform => 1,
            Shape::Mixed => 7,
        }
    }
}

/// A module whose `descend(depth, x)` calls `env.bottom` when it is depth + 1 frames deep. It keeps `live` values across its
/// call of itself, or more of them in the functions that it calls in turn.
pub(crate) fn recursion(live: usize, shape: Shape) -> Module {
    let functions = shape.functions();
    let mut text =
        String::from("import bottom () = \"env\" \"bottom\"\nexport \"descend\" function descend0\n");
    for number in 0..functions {
        let next = (number + 1) % functions;
        text += &descending(live + 2 * number, &format!("descend{number}"), &format!("descend{next}"));
    }
    osr_ir::text::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// The function `name`, which keeps `live` values while it calls `next`.
fn descending(live: usize, name: &str, next: &str) -> String {
    let (one, depth, condition) = (live + 2, live + 3, live + 4);
    let registers: Vec<String> = (2..condition).map(|register| format!("r{register}: i64")).collect();
    let mut text = format!("function {name} (r0: i64, r1: i64) -> (i64) {{\n  ");
    text += &format!("{}, r{condition}: i32\nb0:\n", registers.join(", "));
    // The live values: each depends on the argument, so that none is a constant.
    for value in 0..live {
        text += &format!("  r{0} = i64.const {1}\n  r{0} = i64.add r{0}, r1\n", value + 2, value * 7 + 1);
    }
    text += &format!("  r{condition} = i64.eqz r0\n  branch r{condition}, b1, b2\n");
    text += "b1:\n  call bottom ()\n  jump b3\nb2:\n";
    text += &format!("  r{one} = i64.const 1\n  r{depth} = i64.sub r0, r{one}\n");
    text += &format!("  r{depth} = call {next} (r{depth}, r2)\n  jump b3\nb3:\n");
    for value in 1..live {
        text += &format!("  r2 = i64.add r2, r{}\n", value + 2);
    }
    text + "  return r2\n}\n"
}
