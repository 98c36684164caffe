//! Growth: what optimizing adds to a body, estimated before it is decided what is inlined.

use osr_compiler::unrolled_instructions;
use osr_ir::{Body, FunctionKind, Instruction, Module, Points};

use crate::settings::Settings;
use crate::settings::inlining::Inlining;

/// Instructions that unrolling and inlining add to `body`, whose points are `points`, about.
pub(crate) fn growth(module: &Module, body: &Body, points: &Points, settings: &Settings) -> u32 {
    let unrolled = unrolled_instructions(body, points, settings.copies());
    let inlined = settings.inlining.map_or(0, |inlining| inlined_instructions(module, body, inlining));
    u32::try_from(unrolled).unwrap_or(u32::MAX).saturating_add(inlined)
}

/// Instructions that inlining adds to `body`, about: those of the small functions that it calls, and that have been called
/// before, as far as `inlining` allows. What these call in turn is not counted.
fn inlined_instructions(module: &Module, body: &Body, inlining: Inlining) -> u32 {
    let size = |instruction: &Instruction| match instruction {
        Instruction::Call { function, .. } => match &module.function(*function).kind {
            FunctionKind::Defined(callee) if callee.is_made() => callee.instruction_count() as u32,
            _ => 0,
        },
        _ => 0,
    };
    let sizes = body.blocks.iter().flat_map(|block| &block.instructions).map(size);
    sizes.filter(|&size| size <= inlining.callee).fold(0, u32::saturating_add).min(inlining.growth)
}

#[cfg(test)]
mod tests {
    use osr_ir::{FunctionIndex, text};

    use super::inlined_instructions;
    use crate::settings::inlining::Inlining;

    #[test]
    fn small_callees_count_as_far_as_the_budget_allows() {
        let module = text::parse(
            "function small (r0: i32) -> (i32) {
             b0:
               return r0
             }
             function large (r0: i32) -> (i32) {
             b0:
               r0 = i32.add r0, r0
               r0 = i32.add r0, r0
               return r0
             }
             function calls (r0: i32) -> (i32) {
             b0:
               r0 = call small (r0)
               r0 = call large (r0)
               r0 = call small (r0)
               return r0
             }",
        );
        let module = module.expect("it is well formed");
        let body = module.function(FunctionIndex::new(2)).body().expect("it is defined");
        let of = |callee, budget| {
            inlined_instructions(&module, body, Inlining { callee, growth: budget, depth: 1, recursion: 0 })
        };
        assert_eq!([of(0, 100), of(1, 100), of(3, 100), of(3, 4)], [0, 2, 5, 4]);
    }
}
