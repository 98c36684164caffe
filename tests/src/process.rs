//! What the operating system says about this process.

/// Bytes of memory in use.
///
/// # Panics
/// If the system does not say.
pub fn resident_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").expect("procfs");
    let pages: u64 =
        text.split_whitespace().nth(1).and_then(|word| word.parse().ok()).expect("a number of pages");
    pages * 4096
}

/// The lines of the list of mappings.
///
/// # Panics
/// If the system does not say.
pub fn mappings() -> Vec<String> {
    let text = std::fs::read_to_string("/proc/self/maps").expect("procfs");
    text.lines().map(str::to_owned).collect()
}
