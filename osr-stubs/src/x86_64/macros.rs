//! Pieces of assembly that several stubs share. Each expands to template strings of `naked_asm!`, or to the
//! whole of it; operands in braces are those of the stub that uses the piece.

/// Builds a frame, as every function with a frame pointer begins. `rsp` is a multiple of 16 afterwards: it was
/// one at the call, and two words were pushed.
///
/// ```text
///   on entry                          afterwards
///   rsp ──>| return address |               | return address |
///                              rsp = rbp ──>| caller's rbp   |
/// ```
macro_rules! frame {
    () => {
        concat!(
            "push rbp\n",
            ".cfi_def_cfa_offset 16\n",
            ".cfi_offset rbp, -16\n",
            "mov rbp, rsp\n",
            ".cfi_def_cfa_register rbp\n",
        )
    };
}

/// The row of code that runs in such a [`frame`] without having built it.
macro_rules! in_frame {
    () => {
        concat!(".cfi_def_cfa rbp, 16\n", ".cfi_offset rbp, -16\n")
    };
}

/// The row of code that runs in a compiled frame which it knows nothing of but that it has a frame pointer.
/// The frame may have saved any callee-saved register, and where is not known: unwinders are told that
/// these are lost rather than that they are unchanged.
macro_rules! in_compiled_frame {
    () => {
        concat!(
            in_frame!(),
            ".cfi_undefined rbx\n",
            ".cfi_undefined r12\n",
            ".cfi_undefined r13\n",
            ".cfi_undefined r14\n",
            ".cfi_undefined r15\n",
        )
    };
}

/// A stub that leaves compiled code for the runtime: builds a [`frame`] and stores into the context in `rdi`
/// where compiled code was left, which is where a walk of its frames starts. Then the given instructions, then
/// their operands. Changes no register but `rsp` and `rbp`.
///
/// ```text
///   exit_slot ───────>| return address into the compiled frame |
///   rsp = rbp ───────>| the compiled frame's rbp: exit_frame   |
/// ```
macro_rules! exit_stub {
    ($($instructions:expr),* ; $($operands:tt)*) => {
        naked_asm!(
            ".cfi_startproc",
            "push rbp",
            ".cfi_def_cfa_offset 16",
            ".cfi_offset rbp, -16",
            "mov qword ptr [rdi + {exit_frame}], rbp",
            // The old rbp is in two places already: use the register for the slot's address.
            "lea rbp, [rsp + 8]",
            "mov qword ptr [rdi + {exit_slot}], rbp",
            "mov rbp, rsp",
            ".cfi_def_cfa_register rbp",
            $($instructions,)*
            ".cfi_endproc",
            exit_frame = const offset_of!(Context, exit_frame),
            exit_slot = const offset_of!(Context, exit_slot),
            $($operands)*
        )
    };
}

/// The instruction once for each of `xmm0` to `xmm7`, which carry arguments; `\\i` in it is the number.
macro_rules! each_xmm_argument {
    ($($instruction:expr),+) => {
        concat!(".irp i, 0, 1, 2, 3, 4, 5, 6, 7\n", $($instruction),+, "\n.endr\n")
    };
}

/// The instruction once for each of `xmm0` to `xmm15`; `\\i` in it is the number.
macro_rules! each_xmm {
    ($instruction:expr) => {
        concat!(".irp i, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15\n", $instruction, "\n.endr\n",)
    };
}

/// Loads the argument registers from the [`NativeArguments`](crate::NativeArguments) within what register
/// `$base` points to, which is not one of them. `{integer}` and `{float}` are the offsets.
macro_rules! load_arguments {
    ($base:literal) => {
        concat!(
            "mov rsi, qword ptr [",
            $base,
            " + {integer} + 0]\n",
            "mov rdx, qword ptr [",
            $base,
            " + {integer} + 8]\n",
            "mov rcx, qword ptr [",
            $base,
            " + {integer} + 16]\n",
            "mov r8, qword ptr [",
            $base,
            " + {integer} + 24]\n",
            "mov r9, qword ptr [",
            $base,
            " + {integer} + 32]\n",
            each_xmm_argument!("movsd xmm\\i, qword ptr [", $base, " + {float} + 8 * \\i]"),
        )
    };
}

/// The reverse of [`load_arguments`].
macro_rules! store_arguments {
    ($base:literal) => {
        concat!(
            "mov qword ptr [",
            $base,
            " + {integer} + 0], rsi\n",
            "mov qword ptr [",
            $base,
            " + {integer} + 8], rdx\n",
            "mov qword ptr [",
            $base,
            " + {integer} + 16], rcx\n",
            "mov qword ptr [",
            $base,
            " + {integer} + 24], r8\n",
            "mov qword ptr [",
            $base,
            " + {integer} + 32], r9\n",
            each_xmm_argument!("movsd qword ptr [", $base, " + {float} + 8 * \\i], xmm\\i"),
        )
    };
}

/// Loads the result registers from the [`NativeResults`](crate::NativeResults) within what register `$base`
/// points to. `{result_integer}` and `{result_float}` are the offsets.
macro_rules! load_results {
    ($base:literal) => {
        concat!(
            "mov rax, qword ptr [",
            $base,
            " + {result_integer} + 0]\n",
            "mov rdx, qword ptr [",
            $base,
            " + {result_integer} + 8]\n",
            "movsd xmm0, qword ptr [",
            $base,
            " + {result_float} + 0]\n",
            "movsd xmm1, qword ptr [",
            $base,
            " + {result_float} + 8]\n",
        )
    };
}

/// The reverse of [`load_results`].
macro_rules! store_results {
    ($base:literal) => {
        concat!(
            "mov qword ptr [",
            $base,
            " + {result_integer} + 0], rax\n",
            "mov qword ptr [",
            $base,
            " + {result_integer} + 8], rdx\n",
            "movsd qword ptr [",
            $base,
            " + {result_float} + 0], xmm0\n",
            "movsd qword ptr [",
            $base,
            " + {result_float} + 8], xmm1\n",
        )
    };
}

/// Stores the callee-saved registers into the [`CalleeSaved`](crate::CalleeSaved) within what register `$base` points
/// to. `{rbx}`, `{r12}` to `{r15}` and `{rbp}` are the offsets.
macro_rules! store_callee_saved {
    ($base:literal) => {
        concat!(
            "mov qword ptr [",
            $base,
            " + {rbx}], rbx\n",
            "mov qword ptr [",
            $base,
            " + {r12}], r12\n",
            "mov qword ptr [",
            $base,
            " + {r13}], r13\n",
            "mov qword ptr [",
            $base,
            " + {r14}], r14\n",
            "mov qword ptr [",
            $base,
            " + {r15}], r15\n",
            "mov qword ptr [",
            $base,
            " + {rbp}], rbp\n",
        )
    };
}

/// Loads the current context into `$register`, from thread-local storage: the offset of the variable from `fs`
/// is in the global offset table (the initial-exec model), so this calls nothing and is safe in signal handlers.
macro_rules! load_current_context {
    ($register:literal) => {
        concat!(
            "mov ",
            $register,
            ", qword ptr [rip + osr_current_context@gottpoff]\n",
            "mov ",
            $register,
            ", qword ptr fs:[",
            $register,
            "]\n",
        )
    };
}

pub(super) use {
    each_xmm, each_xmm_argument, exit_stub, frame, in_compiled_frame, in_frame, load_arguments,
    load_current_context, load_results, store_arguments, store_callee_saved, store_results,
};
