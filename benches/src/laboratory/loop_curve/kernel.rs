//! The loop: four numbers, each of which depends on that of the iteration before, so that nothing can be left out, and not on
//! the others, so that a processor has work for all its units: what code costs shows, not how long a multiplication takes.

/// The module as text.
#[cfg(test)]
const TEXT: &str = r#"(module (func (export "run") (param i32) (result i32) (local i32 i32 i32 i32)
    (loop $again
        (local.set 1 (i32.xor (i32.mul (local.get 1) (i32.const 1664525)) (local.get 0)))
        (local.set 2 (i32.add (i32.mul (local.get 2) (i32.const 22695477)) (local.get 0)))
        (local.set 3 (i32.rotl (i32.add (local.get 3) (local.get 0)) (i32.const 7)))
        (local.set 4 (i32.add
            (i32.xor (local.get 4) (i32.shl (local.get 0) (i32.const 3)))
            (i32.shr_u (local.get 0) (i32.const 2))))
        (br_if $again (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (i32.xor (i32.xor (i32.xor (local.get 1) (local.get 2)) (local.get 3)) (local.get 4))))"#;

/// The same, in its binary form.
pub(super) const BYTES: &[u8] = &[
    0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, // magic, version
    0x01, 0x06, 0x01, 0x60, 0x01, 0x7f, 0x01, 0x7f, // type 0: (i32) -> i32
    0x03, 0x02, 0x01, 0x00, // function 0 has type 0
    0x07, 0x07, 0x01, 0x03, b'r', b'u', b'n', 0x00, 0x00, // it is exported as `run`
    0x0a, 0x51, 0x01, 0x4f, 0x01, 0x04, 0x7f, // its code, with four locals of type i32
    0x03, 0x40, // loop
    0x20, 0x01, 0x41, 0x8d, 0xcc, 0xe5, 0x00, 0x6c, // local.get 1, i32.const 1664525, i32.mul
    0x20, 0x00, 0x73, 0x21, 0x01, // local.get 0, i32.xor, local.set 1
    0x20, 0x02, 0x41, 0xb5, 0x9c, 0xe9, 0x0a, 0x6c, // local.get 2, i32.const 22695477, i32.mul
    0x20, 0x00, 0x6a, 0x21, 0x02, // local.get 0, i32.add, local.set 2
    0x20, 0x03, 0x20, 0x00, 0x6a, // local.get 3, local.get 0, i32.add
    0x41, 0x07, 0x77, 0x21, 0x03, // i32.const 7, i32.rotl, local.set 3
    0x20, 0x04, 0x20, 0x00, 0x41, 0x03, 0x74,
    0x73, // local.get 4, local.get 0, i32.const 3, i32.shl, i32.xor
    0x20, 0x00, 0x41, 0x02, 0x76, 0x6a, 0x21,
    0x04, // local.get 0, i32.const 2, i32.shr_u, i32.add, local.set 4
    0x20, 0x00, 0x41, 0x01, 0x6b, 0x22, 0x00, // local.get 0, i32.const 1, i32.sub, local.tee 0
    0x0d, 0x00, 0x0b, // br_if 0, end
    0x20, 0x01, 0x20, 0x02, 0x73, 0x20, 0x03, 0x73, 0x20, 0x04, 0x73,
    0x0b, // all of them, i32.xor between, end
];

/// What a call of so many iterations returns.
pub(super) fn result(iterations: u32) -> u32 {
    let numbers = (1..=iterations).rev().fold([0u32; 4], |[a, b, c, d], left| {
        [
            a.wrapping_mul(1_664_525) ^ left,
            b.wrapping_mul(22_695_477).wrapping_add(left),
            c.wrapping_add(left).rotate_left(7),
            (d ^ left << 3).wrapping_add(left >> 2),
        ]
    });
    numbers.into_iter().fold(0, std::ops::BitXor::bitxor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_those_of_the_text() {
        let (bytes, text) = (osr_ir::wasm::import(BYTES), osr_ir::wasm::import_text(TEXT));
        assert_eq!(bytes.expect("a module"), text.expect("a module"));
    }
}
