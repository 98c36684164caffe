//! Which part of memory a function of WASI may write: for those who record what calls do, and would otherwise
//! have to compare all of memory.

use std::ops::Range;

/// A part of memory, in terms of arguments.
#[derive(Clone, Copy)]
enum Part {
    /// So many bytes at the address that is argument `.0`.
    Bytes(usize, u64),
    /// At the address that is argument `.0`, as many items as argument `.1` says, of so many bytes each.
    Items(usize, usize, u64),
    /// The buffers of a list of so many as argument `.1` says, which is at the address that is argument `.0`.
    Buffers(usize, usize),
}

/// The parts of memory that the function of that name may write when it is called with `arguments`, in the state of
/// `memory` before the call: in no order, and not all in bounds. `None` if it may write anywhere.
///
/// ```
/// let memory = [0; 64];
/// assert_eq!(osr_wasi::written("fd_tell", &[3, 40], &memory), Some(vec![40..48]));
/// ```
pub fn written(function: &str, arguments: &[u64], memory: &[u8]) -> Option<Vec<Range<u64>>> {
    let mut ranges = Vec::new();
    for part in parts(function)? {
        let argument = |index: usize| arguments.get(index).map(|word| u64::from(*word as u32));
        match *part {
            Part::Bytes(address, bytes) => ranges.push(argument(address)?..argument(address)? + bytes),
            Part::Items(address, count, bytes) => {
                ranges.push(argument(address)?..argument(address)? + argument(count)? * bytes);
            }
            Part::Buffers(list, count) => ranges.extend(buffers(memory, argument(list)?, argument(count)?)),
        }
    }
    Some(ranges)
}

/// The buffers of a list of address and length pairs, as far as it is in bounds.
fn buffers(memory: &[u8], list: u64, count: u64) -> impl Iterator<Item = Range<u64>> {
    let entries = memory.get(list as usize..).unwrap_or_default().as_chunks::<8>().0;
    entries.iter().take(count as usize).map(|&[a, b, c, d, e, f, g, h]| {
        let (address, length) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
        u64::from(address)..u64::from(address) + u64::from(length)
    })
}

fn parts(function: &str) -> Option<&'static [Part]> {
    use Part::{Buffers, Bytes, Items};
    Some(match function {
        "args_get" | "environ_get" => return None,
        "args_sizes_get" | "environ_sizes_get" => &[Bytes(0, 4), Bytes(1, 4)],
        "clock_res_get" | "fd_prestat_get" | "fd_tell" => &[Bytes(1, 8)],
        "clock_time_get" => &[Bytes(2, 8)],
        "fd_fdstat_get" => &[Bytes(1, 24)],
        "fd_filestat_get" => &[Bytes(1, 64)],
        "fd_pread" => &[Buffers(1, 2), Bytes(4, 4)],
        "fd_prestat_dir_name" => &[Items(1, 2, 1)],
        "fd_pwrite" | "sock_send" => &[Bytes(4, 4)],
        "fd_read" => &[Buffers(1, 2), Bytes(3, 4)],
        "fd_readdir" => &[Items(1, 2, 1), Bytes(4, 4)],
        "fd_seek" => &[Bytes(3, 8)],
        "fd_write" => &[Bytes(3, 4)],
        "path_filestat_get" => &[Bytes(4, 64)],
        "path_open" => &[Bytes(8, 4)],
        "path_readlink" => &[Items(3, 4, 1), Bytes(5, 4)],
        "poll_oneoff" => &[Items(1, 2, 32), Bytes(3, 4)],
        "random_get" => &[Items(0, 1, 1)],
        "sock_accept" => &[Bytes(2, 4)],
        "sock_recv" => &[Buffers(1, 2), Bytes(4, 4), Bytes(5, 2)],
        "fd_advise"
        | "fd_allocate"
        | "fd_close"
        | "fd_datasync"
        | "fd_fdstat_set_flags"
        | "fd_fdstat_set_rights"
        | "fd_filestat_set_size"
        | "fd_filestat_set_times"
        | "fd_renumber"
        | "fd_sync"
        | "path_create_directory"
        | "path_filestat_set_times"
        | "path_link"
        | "path_remove_directory"
        | "path_rename"
        | "path_symlink"
        | "path_unlink_file"
        | "proc_exit"
        | "proc_raise"
        | "sched_yield"
        | "sock_shutdown" => &[],
        _ => return None,
    })
}
