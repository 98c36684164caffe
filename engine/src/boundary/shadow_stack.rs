//! Shadow stacks: where the processor checks return addresses against a copy of its own (Intel CET,
//! AMD's equivalent), a hijacked return ends the process. Better to say so first.

/// `ARCH_SHSTK_STATUS` of `arch_prctl(2)`, Linux 6.6.
const SHADOW_STACK_STATUS: libc::c_long = 0x5005;

/// Whether the current thread has a shadow stack. Kernels that do not know of any have none.
pub(crate) fn is_enabled() -> bool {
    let mut features: u64 = 0;
    // SAFETY: the call writes one word, to a local.
    let status = unsafe { libc::syscall(libc::SYS_arch_prctl, SHADOW_STACK_STATUS, &raw mut features) };
    status == 0 && features & 1 != 0
}
