//! An ELF image that describes one version: its name, where its code is, how its frames are unwound, and its lines.
//!
//! ```text
//!   .text      at the code, without contents: the code is in memory
//!   .eh_frame  the unwind rows, with absolute addresses
//!   .debug_*   the lines, if they are known
//!   .symtab    one function
//! ```

use std::ops::Range;

use object::Endianness;
use object::elf;
use object::write::elf::{FileHeader, SectionHeader, Sym, Writer};

/// Of a program for this machine, which is where it is to be.
const HEADER: FileHeader = FileHeader {
    os_abi: elf::ELFOSABI_NONE,
    abi_version: 0,
    e_type: elf::ET_EXEC,
    e_machine: elf::EM_X86_64,
    e_entry: 0,
    e_flags: 0,
};

/// The image of code called `name` at those addresses, of which debuggers are told what is in `sections`, by name.
pub(crate) fn image(name: &str, code: Range<u64>, sections: &[(&'static str, Vec<u8>)]) -> Vec<u8> {
    let bytes = code.end - code.start;
    let mut image = Vec::new();
    let mut writer = Writer::new(Endianness::Little, true, &mut image);

    // First everything is given its place,
    writer.reserve_file_header();
    writer.reserve_null_section_index();
    let text_name = writer.add_section_name(b".text");
    let text = writer.reserve_section_index();
    let names: Vec<_> = sections.iter().map(|(name, _)| writer.add_section_name(name.as_bytes())).collect();
    for _ in sections {
        writer.reserve_section_index();
    }
    writer.reserve_symtab_section_index();
    writer.reserve_strtab_section_index();
    writer.reserve_shstrtab_section_index();
    let symbol_name = writer.add_string(name.as_bytes());
    writer.reserve_null_symbol_index();
    writer.reserve_symbol_index(Some(text));
    let offsets: Vec<_> = sections.iter().map(|(_, contents)| writer.reserve(contents.len(), 8)).collect();
    writer.reserve_symtab();
    writer.reserve_strtab();
    writer.reserve_shstrtab();
    writer.reserve_section_headers();

    // and then written, in the same order.
    writer.write_file_header(&HEADER).expect("the header has room for some sections");
    for (_, contents) in sections {
        writer.write_align(8);
        writer.write(contents);
    }
    writer.write_null_symbol();
    writer.write_symbol(&Sym {
        name: Some(symbol_name),
        section: Some(text),
        st_info: (elf::STB_GLOBAL << 4) | elf::STT_FUNC,
        st_other: elf::STV_DEFAULT,
        st_shndx: 0,
        st_value: code.start,
        st_size: bytes,
    });
    writer.write_strtab();
    writer.write_shstrtab();
    writer.write_null_section_header();
    let section = SectionHeader {
        name: Some(text_name),
        sh_type: elf::SHT_NOBITS,
        sh_flags: u64::from(elf::SHF_ALLOC | elf::SHF_EXECINSTR),
        sh_addr: code.start,
        sh_offset: 0,
        sh_size: bytes,
        sh_link: 0,
        sh_info: 0,
        sh_addralign: 1,
        sh_entsize: 0,
    };
    writer.write_section_header(&section);
    for (((_, contents), name), offset) in sections.iter().zip(names).zip(offsets) {
        writer.write_section_header(&SectionHeader {
            name: Some(name),
            sh_type: elf::SHT_PROGBITS,
            sh_flags: 0,
            sh_addr: 0,
            sh_offset: offset as u64,
            sh_size: contents.len() as u64,
            sh_addralign: 8,
            ..section
        });
    }
    writer.write_symtab_section_header(1);
    writer.write_strtab_section_header();
    writer.write_shstrtab_section_header();
    image
}

#[cfg(test)]
mod tests {
    use object::read::elf::ElfFile64;
    use object::{Object, ObjectSection, ObjectSymbol};

    use super::image;

    #[test]
    fn an_image_says_what_it_was_made_of() {
        let image = image("fib[optimized]", 0x5000..0x5040, &[(".eh_frame", vec![1, 2, 3, 4])]);
        let file = ElfFile64::<object::Endianness>::parse(&*image).expect("it is an ELF file");
        let symbol = file.symbols().next().expect("it has a symbol");
        assert_eq!(symbol.name(), Ok("fib[optimized]"));
        assert_eq!((symbol.address(), symbol.size()), (0x5000, 0x40));
        let text = file.section_by_name(".text").expect("it has code");
        assert_eq!((text.address(), text.size()), (0x5000, 0x40));
        let unwind = file.section_by_name(".eh_frame").expect("it has unwind rows");
        assert_eq!(unwind.data(), Ok(&[1, 2, 3, 4][..]));
    }
}
