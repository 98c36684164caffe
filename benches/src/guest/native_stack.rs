//! How much native stack a thread has used, found out afterwards.
//!
//! A thread's stack is made of zero pages, and pages that were never touched are not resident. The
//! lowest word that is not zero is the deepest that was written: nothing has to be done while the thread
//! runs. (Holds for a stack that no earlier thread of the process had.)

use osr_stackwalk::{LiveStack, StackBounds, StackMemory};

const PAGE: u64 = 4096;

/// The most bytes of its stack that the calling thread has used so far; 0 if that is not known.
pub(crate) fn peak_bytes() -> u64 {
    let Ok(bounds) = StackBounds::current() else { return 0 };
    let bounds = StackBounds { low: bounds.low.next_multiple_of(PAGE), ..bounds };
    let Some(page) = lowest_resident_page(bounds) else { return 0 };
    // SAFETY: the pages from there up belong to the calling thread's stack and are mapped.
    let stack = unsafe { LiveStack::new(StackBounds { low: page, ..bounds }) };
    let words = (page..bounds.high).step_by(8);
    let deepest = words.into_iter().find(|&address| stack.read(address).is_some_and(|word| word != 0));
    deepest.map_or(0, |address| bounds.high - address)
}

fn lowest_resident_page(bounds: StackBounds) -> Option<u64> {
    let bytes = bounds.high - bounds.low;
    let mut resident = vec![0_u8; bytes.div_ceil(PAGE) as usize];
    // SAFETY: the range is mapped and begins at a page; there is a byte for each page.
    let failed =
        unsafe { libc::mincore(bounds.low as *mut libc::c_void, bytes as usize, resident.as_mut_ptr()) };
    if failed != 0 {
        return None;
    }
    let page = resident.iter().position(|flags| flags & 1 != 0)?;
    Some(bounds.low + page as u64 * PAGE)
}

#[cfg(test)]
mod tests {
    use super::peak_bytes;

    #[inline(never)]
    fn use_stack(bytes: usize) -> u8 {
        let array = [1_u8; 1024];
        let last = std::hint::black_box(&array)[bytes % 1024];
        if bytes <= 1024 { last } else { use_stack(bytes - 1024).wrapping_add(last) }
    }

    #[test]
    fn the_deepest_call_counts_after_it_has_returned() {
        // A size that no other thread of this process has.
        let run = || {
            std::hint::black_box(use_stack(512 << 10));
            peak_bytes()
        };
        let thread = std::thread::Builder::new().stack_size(7 << 20).spawn(run).unwrap();
        let peak = thread.join().unwrap();
        assert!((512 << 10..1 << 20).contains(&peak), "{peak}");
    }
}
