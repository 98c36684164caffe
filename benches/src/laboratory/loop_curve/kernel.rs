//! The loop: a number that depends on that of the iteration before, so that nothing can be left out.

/// The module as text.
#[cfg(test)]
const TEXT: &str = r#"(module (func (export "run") (param i32) (result i32) (local i32)
    (loop $again
        (local.set 1 (i32.xor (i32.mul (local.get 1) (i32.const 1664525)) (local.get 0)))
        (br_if $again (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (local.get 1)))"#;

/// The same, in its binary form.
pub(super) const BYTES: &[u8] = &[
    0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, // magic, version
    0x01, 0x06, 0x01, 0x60, 0x01, 0x7f, 0x01, 0x7f, // type 0: (i32) -> i32
    0x03, 0x02, 0x01, 0x00, // function 0 has type 0
    0x07, 0x07, 0x01, 0x03, b'r', b'u', b'n', 0x00, 0x00, // it is exported as `run`
    0x0a, 0x21, 0x01, 0x1f, 0x01, 0x01, 0x7f, // its code, with a local of type i32
    0x03, 0x40, // loop
    0x20, 0x01, 0x41, 0x8d, 0xcc, 0xe5, 0x00, 0x6c, // local.get 1, i32.const 1664525, i32.mul
    0x20, 0x00, 0x73, 0x21, 0x01, // local.get 0, i32.xor, local.set 1
    0x20, 0x00, 0x41, 0x01, 0x6b, 0x22, 0x00, // local.get 0, i32.const 1, i32.sub, local.tee 0
    0x0d, 0x00, 0x0b, // br_if 0, end
    0x20, 0x01, 0x0b, // local.get 1, end
];

/// What a call of so many iterations returns.
pub(super) fn result(iterations: u32) -> u32 {
    (1..=iterations).rev().fold(0u32, |number, left| number.wrapping_mul(1_664_525) ^ left)
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
