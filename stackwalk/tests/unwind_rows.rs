//! Unwind rows: written with gimli, parsed back, evaluated, and used to pop a frame.
#![allow(missing_docs)]

mod support;

use gimli::X86_64;
use gimli::write::{Address, CallFrameInstruction as Cfi, FrameDescriptionEntry};
use osr_stackwalk::{
    ArrayStack, CalleeSaved, CalleeSavedRegs, CfiRow, CfiRows, CompactRows, Error, Popped, ReturnSlot, Save,
    UnwindSection,
};
use support::cfi::{cie, fde};
use support::{BASE, POISON};

const CODE: u64 = 0x7000_0000_0000;

/// `push rbp; mov rbp, rsp; sub rsp, n; save rbx and r14`.
fn framed(address: u64) -> FrameDescriptionEntry {
    let rules = [
        (1, Cfi::CfaOffset(16)),
        (1, Cfi::Offset(X86_64::RBP, -16)),
        (4, Cfi::CfaRegister(X86_64::RBP)),
        (15, Cfi::Offset(X86_64::RBX, -24)),
        (15, Cfi::Offset(X86_64::R14, -40)),
    ];
    fde(address, 100, &rules)
}

fn saves(row: &CfiRow) -> [Save; 6] {
    CalleeSaved::ALL.map(|register| row.save(register))
}

#[test]
fn rows_follow_the_prologue() {
    let rows = CfiRows::new(&cie(), framed(CODE)).unwrap();
    assert_eq!(rows.length(), 100);
    let cfa = |offset| rows.at(offset).map(|row| (row.cfa_register(), row.cfa_offset()));
    let rbp = Some(CalleeSaved::Rbp);
    assert_eq!(
        [0, 1, 3, 4, 99].map(|at| cfa(at).unwrap()),
        [(None, 8), (None, 16), (None, 16), (rbp, 16), (rbp, 16)]
    );
    assert_eq!(cfa(100), None);
    assert_eq!(saves(rows.at(0).unwrap()), [Save::Same; 6]);
    assert_eq!(saves(rows.at(14).unwrap())[1], Save::At(-16));
    assert_eq!(saves(rows.at(14).unwrap())[0], Save::Same);
    let (same, at) = (Save::Same, Save::At);
    assert_eq!(saves(rows.body()), [at(-24), at(-16), same, same, at(-40), same]);
    assert_eq!(rows.at(99), Some(rows.body()));
}

#[test]
fn a_return_offset_belongs_to_the_call_before_it() {
    let rows = CfiRows::new(&cie(), framed(CODE)).unwrap();
    assert_eq!(rows.at_return(0), None);
    assert_eq!(rows.at_return(15), rows.at(14));
    assert_ne!(rows.at_return(15), rows.at(15));
    // A call that never returns may be the last instruction.
    assert_eq!(rows.at_return(100), Some(rows.body()));
    assert_eq!(rows.at_return(101), None);
}

#[test]
fn a_popped_frame_gives_back_every_register() {
    let rows = CfiRows::new(&cie(), framed(CODE)).unwrap();
    // rsp at BASE; rbp at word 6, so the CFA is word 8.
    let mut words = [POISON; 8];
    (words[3], words[5], words[6]) = (0x14, 0xb, 0xbb);
    let stack = ArrayStack { base: BASE, words: &words };
    let regs = CalleeSavedRegs { rbx: 1, rbp: BASE + 48, r12: 3, r13: 4, r14: 5, r15: 6 };
    let registers = CalleeSavedRegs { rbx: 0xb, rbp: 0xbb, r12: 3, r13: 4, r14: 0x14, r15: 6 };
    let popped = Popped { stack_pointer: BASE + 64, return_slot: ReturnSlot::new(BASE + 56), registers };
    assert_eq!(rows.body().pop(&stack, BASE, &regs), Ok(popped));
    // At the function's entry only the return address is there.
    let popped = Popped { stack_pointer: BASE + 8, return_slot: ReturnSlot::new(BASE), registers: regs };
    assert_eq!(rows.at(0).unwrap().pop(&stack, BASE, &regs), Ok(popped));

    let short = ArrayStack { base: BASE + 32, words: &words[4..] };
    let missing = Error::Unreadable { address: BASE + 24 };
    assert_eq!(rows.body().pop(&short, BASE, &regs), Err(missing));
    let inward = CalleeSavedRegs { rbp: BASE - 16, ..regs };
    assert_eq!(
        rows.body().pop(&stack, BASE, &inward),
        Err(Error::DidNotAdvance { slot: ReturnSlot::new(BASE - 8) })
    );
}

#[test]
fn what_is_lost_is_an_error_only_when_it_is_asked_for() {
    let rules = [
        (0, Cfi::Undefined(X86_64::R13)),
        (0, Cfi::Register(X86_64::R12, X86_64::RAX)),
        (0, Cfi::SameValue(X86_64::R15)),
    ];
    let rows = CfiRows::new(&cie(), fde(CODE, 8, &rules)).unwrap();
    let row = rows.body();
    let (same, unknown) = (Save::Same, Save::Unknown);
    assert_eq!(saves(row), [same, same, unknown, unknown, same, same]);
    let stack = ArrayStack { base: BASE, words: &[1] };
    let lost = |register| Error::Unrecoverable { cfa: BASE + 8, register };
    assert_eq!(row.pop(&stack, BASE, &CalleeSavedRegs::default()), Err(lost(CalleeSaved::R12)));
    assert_eq!(row.restore(&stack, BASE + 8, CalleeSaved::R13, 7), Err(lost(CalleeSaved::R13)));
    assert_eq!(row.restore(&stack, BASE + 8, CalleeSaved::R15, 7), Ok(7));
}

#[test]
fn rows_that_ordinary_code_does_not_have_are_refused() {
    let refused = |rules: &[(u32, Cfi)]| match CfiRows::new(&cie(), fde(CODE, 64, rules)) {
        Err(Error::UnsupportedCfi { address, what }) => (address - CODE, what),
        other => panic!("not refused: {other:?}"),
    };
    let mut expression = gimli::write::Expression::new();
    expression.op_breg(X86_64::RSP, 8);
    assert_eq!(refused(&[(5, Cfi::CfaExpression(expression))]), (5, "a CFA that is an expression"));
    let clobbered = (0, "a CFA from a register that calls clobber");
    assert_eq!(refused(&[(0, Cfi::Cfa(X86_64::R10, 8))]), clobbered);
    let elsewhere = (9, "a return address that is not at CFA - 8");
    assert_eq!(refused(&[(9, Cfi::Offset(X86_64::RA, -16))]), elsewhere);
    let outermost = CfiRows::new(&cie(), fde(CODE, 64, &[(3, Cfi::Undefined(X86_64::RA))])).unwrap();
    assert!(outermost.body().is_outermost() && !outermost.at(0).unwrap().is_outermost());
}

#[test]
fn a_section_holds_its_descriptions_in_any_order_and_its_cies_once() {
    let mut section = UnwindSection::new();
    assert!(section.is_empty());
    assert_eq!(section.to_bytes().unwrap(), [0; 4], "a terminator");
    section.add(&cie(), framed(CODE + 0x1000));
    let one = section.to_bytes().unwrap();
    assert_eq!(CfiRows::parse(&one), CfiRows::new(&cie(), framed(CODE)));
    section.add(&cie(), fde(CODE, 16, &[]));
    let two = section.to_bytes().unwrap();
    assert_eq!(section.len(), 2);
    let cies = |bytes: &[u8]| {
        let section = gimli::EhFrame::new(bytes, gimli::LittleEndian);
        let bases = gimli::BaseAddresses::default();
        let mut entries = gimli::UnwindSection::entries(&section, &bases);
        std::iter::from_fn(|| entries.next().unwrap())
            .filter(|entry| matches!(entry, gimli::CieOrFde::Cie(_)))
            .count()
    };
    assert_eq!((cies(&one), cies(&two)), (1, 1));
    // The lower address is the first, whatever the order of adding.
    assert_eq!(CfiRows::parse(&two).unwrap().length(), 16);
}

#[test]
fn broken_sections_are_errors() {
    let mut section = UnwindSection::new();
    section.add(&cie(), framed(CODE));
    section.add(&cie(), framed(CODE + 99));
    let bytes = section.to_bytes().unwrap();
    assert_eq!(CfiRows::parse(&bytes), Err(Error::OverlappingCfi { address: CODE + 99 }));
    assert!(matches!(CfiRows::parse(&bytes[..bytes.len() - 9]), Err(Error::MalformedCfi { .. })));
    let none = Error::MalformedCfi { address: 0, source: gimli::Error::NoUnwindInfoForAddress };
    assert_eq!(CfiRows::parse(&[0; 4]), Err(none));
    let mut symbolic = UnwindSection::new();
    let address = Address::Symbol { symbol: 0, addend: 0 };
    symbolic.add(&cie(), FrameDescriptionEntry::new(address, 4));
    assert!(matches!(symbolic.to_bytes(), Err(Error::UnwritableCfi(_))));
}

/// A prologue that saves `saves`: each at an offset of the code, and from the CFA.
fn prologue(saves: &[(u32, gimli::Register, i32)]) -> Vec<(u32, Cfi)> {
    let mut rules =
        vec![(1, Cfi::CfaOffset(16)), (1, Cfi::Offset(X86_64::RBP, -16)), (4, Cfi::CfaRegister(X86_64::RBP))];
    rules.extend(saves.iter().map(|&(at, register, offset)| (at, Cfi::Offset(register, offset))));
    rules
}

#[test]
fn compact_rows_say_the_same() {
    use X86_64 as R;
    for saves in [
        vec![],
        vec![(8, R::R15, -32)],
        vec![(31, R::RBX, -248), (46, R::R13, -240), (47, R::R14, -232)],
        vec![(11, R::RBX, -64), (16, R::R12, -56), (24, R::R13, -48), (32, R::R14, -40), (40, R::R15, -32)],
    ] {
        let rows = CfiRows::new(&cie(), fde(CODE, 80, &prologue(&saves))).unwrap();
        let compact = CompactRows::of(&rows).unwrap();
        assert_eq!(CfiRows::new(&cie(), compact.to_fde(CODE, 80)).unwrap(), rows);
        let expected = saves.iter().map(|&(_, register, offset)| (register, offset + 16));
        let registers = CompactRows::REGISTERS.map(CalleeSaved::dwarf);
        assert!(compact.saves().map(|(position, offset)| (registers[position], offset)).eq(expected));
    }
}

#[test]
fn rows_that_do_not_fit_are_not_made_compact() {
    use X86_64 as R;
    let mut rows: Vec<Vec<(u32, Cfi)>> = [
        vec![(32, R::RBX, -32)],
        vec![(8, R::RBX, -256)],
        vec![(8, R::RBX, 8)],
        vec![(8, R::RBX, -32), (24, R::R12, -24)],
        vec![(8, R::RBX, -32), (13, R::R12, -16)],
        vec![(8, R::R12, -32), (13, R::RBX, -24)],
        vec![(8, R::RBX, -32), (13, R::RBX, -24)],
    ]
    .iter()
    .map(|saves| prologue(saves))
    .collect();
    rows.push(vec![]);
    rows.push(prologue(&[])[..2].to_vec());
    rows.push([prologue(&[]), vec![(9, Cfi::Undefined(R::RBX))]].concat());
    rows.push([prologue(&[(8, R::RBX, -32)]), vec![(60, Cfi::SameValue(R::RBX))]].concat());
    rows.push([prologue(&[]), vec![(60, Cfi::Cfa(R::RSP, 8))]].concat());
    rows.push([prologue(&[]), vec![(60, Cfi::Undefined(R::RA))]].concat());
    for rules in rows {
        let rows = CfiRows::new(&cie(), fde(CODE, 80, &rules)).unwrap();
        assert_eq!(CompactRows::of(&rows), None, "{rules:?}");
    }
}
