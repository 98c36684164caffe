//! Function references.
//!
//! A reference is one word: 0 is null; otherwise the low half is the function's number in the store and the
//! high half its signature's number plus one, so that `call_indirect` loads and checks it at once.

/// The word that refers to the function of that number, whose signature has that number.
pub fn reference(signature: u32, function: u32) -> u64 {
    u64::from(signature_half(signature)) << 32 | u64::from(function)
}

/// The high half of references to functions whose signature has that number.
pub fn signature_half(signature: u32) -> u32 {
    signature + 1
}

/// The number of the function that a reference refers to; `None` if it is null.
pub fn referenced(reference: u64) -> Option<u32> {
    (reference != 0).then_some(reference as u32)
}
