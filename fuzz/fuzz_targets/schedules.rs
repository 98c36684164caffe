//! A random module does the same in every tier and under every schedule: what `osr-bench soak` does, guided
//! by coverage. The first eight bytes are the seed of arguments and schedules, the others make the module.
#![no_main]

use libfuzzer_sys::fuzz_target;
use osr_tests::random::{check_module, module_of};

fuzz_target!(|bytes: &[u8]| {
    let Some((seed, entropy)) = bytes.split_first_chunk() else { return };
    let seed = u64::from_le_bytes(*seed);
    if let Some(module) = module_of(seed, entropy) {
        check_module("fuzzed", seed, &module);
    }
});
