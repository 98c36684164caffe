//! What a linear memory holds, kept to be put back.

use std::io;

use crate::memory::linear_memory::LinearMemory;

/// Bytes that are kept, compared and put back together.
const CHUNK: usize = 4096;

/// The contents of a memory: chunks that are all zero are not kept.
#[derive(Debug)]
pub(crate) struct SavedMemory {
    pages: u32,
    /// By ascending number.
    chunks: Vec<(usize, Box<[u8]>)>,
}

impl SavedMemory {
    /// What `memory` holds. No guest code may run meanwhile.
    pub(crate) fn of(memory: &LinearMemory) -> SavedMemory {
        let chunks = memory.contents().chunks(CHUNK).enumerate();
        let chunks = chunks.filter(|(_, bytes)| !is_zero(bytes));
        let chunks = chunks.map(|(number, bytes)| (number, bytes.into())).collect();
        SavedMemory { pages: memory.pages(), chunks }
    }

    /// Makes `memory`, which has not become smaller, hold that again: only what is different is written. No guest code
    /// may run meanwhile.
    ///
    /// # Errors
    /// If the system does not take back what it has grown by.
    pub(crate) fn restore(&self, memory: &LinearMemory) -> io::Result<()> {
        memory.shrink(self.pages)?;
        let mut kept = self.chunks.iter().peekable();
        memory.change(|contents| {
            for (number, bytes) in contents.chunks_mut(CHUNK).enumerate() {
                match kept.next_if(|(kept, _)| *kept == number) {
                    Some((_, saved)) if bytes != &**saved => bytes.copy_from_slice(saved),
                    None if !is_zero(bytes) => bytes.fill(0),
                    _ => {}
                }
            }
        });
        Ok(())
    }
}

fn is_zero(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks::<8>();
    words.iter().fold(0, |all, word| all | u64::from_ne_bytes(*word)) == 0
        && rest.iter().all(|&byte| byte == 0)
}

#[cfg(test)]
mod tests {
    use super::SavedMemory;
    use crate::memory::linear_memory::LinearMemory;

    #[test]
    fn memory_is_as_it_was_and_what_it_grows_by_is_zero() {
        let memory = LinearMemory::new(2, None).expect("a memory");
        assert!(memory.write(5, b"kept") && memory.write(70_000, b"kept, too"));
        let saved = SavedMemory::of(&memory);
        let hash = memory.hash();
        assert_eq!(saved.chunks.len(), 2, "zeros are not kept");
        assert!(memory.write(4, b"other") && memory.write(9_000, b"new") && memory.write(70_000, &[0; 9]));
        assert_eq!(memory.grow(1), Some(2));
        assert!(memory.write(2 << 16, b"beyond"));
        saved.restore(&memory).expect("the system takes a page back");
        assert_eq!((memory.hash(), memory.pages()), (hash, 2));
        assert_eq!(memory.read(70_000, 9).as_deref(), Some(&b"kept, too"[..]));
        assert_eq!(memory.grow(1), Some(2));
        assert_eq!(memory.read(2 << 16, 6), Some(vec![0; 6]));
    }
}
