//! The DWARF sections that say which lines code is of: one unit with one subprogram, and its line program.

use std::collections::HashMap;
use std::ops::Range;

use gimli::write::{Address, AttributeValue, DwarfUnit, EndianVec, LineProgram, LineString, Sections};
use gimli::{Encoding, Format, LineEncoding, LittleEndian, constants};

use crate::lines::LineRow;

/// What debuggers of the last ten years read.
const ENCODING: Encoding = Encoding { format: Format::Dwarf32, version: 4, address_size: 8 };

/// Of code called `name` at these addresses, by name; none if nothing is known of its lines.
pub(crate) fn debug_sections(
    name: &str,
    code: &Range<u64>,
    rows: &[LineRow],
) -> Vec<(&'static str, Vec<u8>)> {
    let Some(first) = rows.first() else { return Vec::new() };
    let directory = std::env::current_dir().unwrap_or_default().display().to_string();
    let mut dwarf = DwarfUnit::new(ENCODING);
    dwarf.unit.line_program = line_program(&directory, code, rows);

    let root = dwarf.unit.root();
    let unit = dwarf.unit.get_mut(root);
    let string = |text: &str| AttributeValue::String(text.as_bytes().into());
    let addresses = [
        (constants::DW_AT_low_pc, AttributeValue::Address(Address::Constant(code.start))),
        (constants::DW_AT_high_pc, AttributeValue::Udata(code.end - code.start)),
    ];
    unit.set(constants::DW_AT_producer, string("osr-engine"));
    unit.set(constants::DW_AT_language, AttributeValue::Language(constants::DW_LANG_C));
    unit.set(constants::DW_AT_name, string(&first.line.file));
    unit.set(constants::DW_AT_comp_dir, string(&directory));
    unit.set(constants::DW_AT_stmt_list, AttributeValue::LineProgramRef);
    for (attribute, value) in addresses.clone() {
        unit.set(attribute, value);
    }
    let function = dwarf.unit.add(root, constants::DW_TAG_subprogram);
    let function = dwarf.unit.get_mut(function);
    function.set(constants::DW_AT_name, string(name));
    for (attribute, value) in addresses {
        function.set(attribute, value);
    }

    let mut sections = Sections::new(EndianVec::new(LittleEndian));
    dwarf.write(&mut sections).expect("all values fit their forms");
    let mut written = Vec::new();
    let each = |id: gimli::SectionId, contents: &EndianVec<LittleEndian>| {
        if !contents.slice().is_empty() {
            written.push((id.name(), contents.slice().to_vec()));
        }
        Ok::<(), gimli::write::Error>(())
    };
    sections.for_each(each).expect("nothing fails");
    written
}

fn line_program(directory: &str, code: &Range<u64>, rows: &[LineRow]) -> LineProgram {
    let string = |text: &str| LineString::String(text.into());
    let first = string(&rows[0].line.file);
    let mut program =
        LineProgram::new(ENCODING, LineEncoding::default(), string(directory), None, first, None);
    let folder = program.default_directory();
    let mut files = HashMap::new();
    program.begin_sequence(Some(Address::Constant(code.start)));
    for LineRow { offset, line } in rows {
        let file =
            *files.entry(&line.file).or_insert_with(|| program.add_file(string(&line.file), folder, None));
        let row = program.row();
        (row.address_offset, row.file) = (u64::from(*offset), file);
        (row.line, row.column) = (u64::from(line.line), u64::from(line.column));
        program.generate_row();
    }
    program.end_sequence(code.end - code.start);
    program
}
