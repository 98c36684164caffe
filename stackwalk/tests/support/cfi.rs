//! Unwind descriptions of the code in tests.
#![allow(dead_code, missing_docs, unreachable_pub)]

use gimli::write::{Address, CallFrameInstruction as Cfi, CommonInformationEntry, FrameDescriptionEntry};
use gimli::{Encoding, Format, X86_64};
use osr_stackwalk::UnwindSection;

/// What every x86-64 function starts with: CFA = rsp + 8, the return address right below.
pub fn cie() -> CommonInformationEntry {
    let encoding = Encoding { address_size: 8, format: Format::Dwarf32, version: 1 };
    let mut cie = CommonInformationEntry::new(encoding, 1, -8, X86_64::RA);
    cie.add_instruction(Cfi::Cfa(X86_64::RSP, 8));
    cie.add_instruction(Cfi::Offset(X86_64::RA, -8));
    cie
}

pub fn fde(address: u64, length: u32, rules: &[(u32, Cfi)]) -> FrameDescriptionEntry {
    let mut fde = FrameDescriptionEntry::new(Address::Constant(address), length);
    for (offset, rule) in rules {
        fde.add_instruction(*offset, rule.clone());
    }
    fde
}

pub fn eh_frame(fdes: impl IntoIterator<Item = FrameDescriptionEntry>) -> Vec<u8> {
    let mut section = UnwindSection::new();
    for fde in fdes {
        section.add(&cie(), fde);
    }
    section.to_bytes().unwrap()
}
