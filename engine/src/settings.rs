//! What an experiment can choose.

/// Which tiers execute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Tier {
    /// The interpreter only.
    Interpreter,
    /// Optimized code from the first call on. The interpreter executes what landings give it, up to
    /// the next loop header or call.
    Optimized,
    /// Start in the interpreter, tier up at [`Settings::threshold`].
    #[default]
    Auto,
}

/// The settings of an engine. Sizes are in bytes.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which tiers execute.
    pub tier: Tier,
    /// Function entries plus back-edges in the interpreter before a function tiers up.
    pub threshold: u32,
    /// Every that many safepoints reached in compiled code, all versions active on the stack are
    /// invalidated. `None`: never.
    pub stress_hijack: Option<u64>,
    /// Every that many safepoints reached in compiled code, all compiled frames are hijacked; their
    /// versions stay current, and are entered again. Lands often without compiling. `None`: never.
    pub stress_redirect: Option<u64>,
    /// Size of the stack of interpreter frames. Address space; memory is used as it is touched.
    pub value_stack_bytes: usize,
    /// Native stack that guest code leaves free for the runtime: a landing needs more of it than
    /// compiled code does.
    pub stack_reserve_bytes: usize,
    /// Address space for compiled code.
    pub code_bytes: usize,
    /// Check invariants that cost time: conservative stack scans before each release, released code
    /// kept inaccessible, dead registers and slots poisoned at landings.
    pub checked: bool,
    /// Count the landings of each call site ([`Instance::covered_sites`](crate::Instance::covered_sites)).
    pub coverage: bool,
}

impl Settings {
    /// Whether something is done at every so manieth safepoint.
    pub(crate) fn has_stress(&self) -> bool {
        self.stress_hijack.is_some() || self.stress_redirect.is_some()
    }

    /// The default of [`Settings::threshold`]: interpreting a loop this often costs about as much as
    /// compiling a small function does.
    pub const DEFAULT_THRESHOLD: u32 = 1_000;
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            tier: Tier::Auto,
            threshold: Settings::DEFAULT_THRESHOLD,
            stress_hijack: None,
            stress_redirect: None,
            value_stack_bytes: 64 << 20,
            stack_reserve_bytes: 256 << 10,
            code_bytes: 1 << 30,
            checked: cfg!(debug_assertions),
            coverage: false,
        }
    }
}
