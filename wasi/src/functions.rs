//! The functions, as imports.

use std::sync::Arc;

use osr_engine::{HostCall, HostError, Imports};
use osr_ir::{Signature, Type};
use wasi_common::WasiCtx;
use wasi_common::snapshots::preview_0::wasi_unstable;
use wasi_common::snapshots::preview_1::wasi_snapshot_preview1;
use wiggle::{GuestMemory, run_in_dummy_executor};

use crate::MODULES;
use crate::exit::Exit;

/// Provides all functions of WASI preview 1, and of its predecessor `wasi_unstable`, with what `context` allows.
/// Functions that were provided under their names are replaced.
///
/// They access the memory of the instance that calls them. A program that ends itself by `proc_exit` traps, with
/// [`Exit`] as the cause.
pub fn provide(context: WasiCtx, imports: &mut Imports) {
    let context = Arc::new(context);
    provide_preview_1(&context, imports);
    provide_preview_0(&context, imports);
    MODULES.iter().for_each(|module| provide_exit(module, imports));
}

/// What a function has to be told: as words to be taken apart, and as types of WebAssembly.
trait Argument {
    const TYPE: Type;
    fn read(word: u64) -> Self;
}

impl Argument for i32 {
    const TYPE: Type = Type::I32;
    fn read(word: u64) -> i32 {
        word as i32
    }
}

impl Argument for i64 {
    const TYPE: Type = Type::I64;
    fn read(word: u64) -> i64 {
        word as i64
    }
}

/// Runs a function of wasi-common on the memory of the caller. It returns an error number.
fn run(
    call: &HostCall<'_>,
    results: &mut [u64],
    function: impl AsyncFnOnce(&mut GuestMemory<'_>) -> wiggle::error::Result<i32>,
) -> Result<(), HostError> {
    let done = call.with_memory(|bytes| {
        // The functions of a synchronous context never wait.
        run_in_dummy_executor(function(&mut GuestMemory::Unshared(bytes)))
    });
    let done = done.ok_or_else(|| HostError::Failed("the program has no memory".to_owned()))?;
    let failed = |error: wiggle::error::Error| HostError::Failed(format!("{error:#}"));
    results[0] = u64::from(done.and_then(|returned| returned).map_err(failed)? as u32);
    Ok(())
}

/// Provides `proc_exit`: any code will do. wasi-common knows those that Windows does not take for a crash.
fn provide_exit(module: &str, imports: &mut Imports) {
    let signature = Signature::new(vec![Type::I32], vec![]);
    imports.function(module, "proc_exit", signature, |_, arguments, _| {
        Err(HostError::embedder(Exit { code: arguments[0] as i32 }))
    });
}

/// Writes a function that provides those listed of the module `$module`, under its name. Each returns an error number.
macro_rules! functions {
    ($provide:ident, $module:ident, $($name:ident($($argument:ident: $ty:ty),*);)*) => {
        fn $provide(context: &Arc<WasiCtx>, imports: &mut Imports) {
            $({
                let context = Arc::clone(context);
                let signature = Signature::new(vec![$(<$ty as Argument>::TYPE),*], vec![Type::I32]);
                imports.function(stringify!($module), stringify!($name), signature, move |call, arguments, results| {
                    let mut context = WasiCtx::clone(&context);
                    let mut arguments = arguments.iter();
                    $(let $argument = <$ty as Argument>::read(*arguments.next().expect("as in the signature"));)*
                    debug_assert_eq!(arguments.next(), None);
                    run(call, results, async |memory| {
                        $module::$name(&mut context, memory, $($argument),*).await
                    })
                });
            })*
        }
    };
}

/// Those of preview 1 and its predecessor that have the same signatures.
macro_rules! common {
    ($provide:ident, $module:ident, $($more:tt)*) => {
        functions! {
            $provide, $module,
            args_get(argv: i32, buffer: i32);
            args_sizes_get(count: i32, bytes: i32);
            environ_get(environ: i32, buffer: i32);
            environ_sizes_get(count: i32, bytes: i32);
            clock_res_get(clock: i32, resolution: i32);
            clock_time_get(clock: i32, precision: i64, time: i32);
            fd_advise(fd: i32, offset: i64, length: i64, advice: i32);
            fd_allocate(fd: i32, offset: i64, length: i64);
            fd_close(fd: i32);
            fd_datasync(fd: i32);
            fd_fdstat_get(fd: i32, stat: i32);
            fd_fdstat_set_flags(fd: i32, flags: i32);
            fd_fdstat_set_rights(fd: i32, base: i64, inheriting: i64);
            fd_filestat_get(fd: i32, stat: i32);
            fd_filestat_set_size(fd: i32, size: i64);
            fd_filestat_set_times(fd: i32, accessed: i64, modified: i64, flags: i32);
            fd_pread(fd: i32, vectors: i32, count: i32, offset: i64, read: i32);
            fd_prestat_get(fd: i32, stat: i32);
            fd_prestat_dir_name(fd: i32, path: i32, length: i32);
            fd_pwrite(fd: i32, vectors: i32, count: i32, offset: i64, written: i32);
            fd_read(fd: i32, vectors: i32, count: i32, read: i32);
            fd_readdir(fd: i32, buffer: i32, length: i32, cookie: i64, used: i32);
            fd_renumber(fd: i32, to: i32);
            fd_seek(fd: i32, offset: i64, whence: i32, position: i32);
            fd_sync(fd: i32);
            fd_tell(fd: i32, position: i32);
            fd_write(fd: i32, vectors: i32, count: i32, written: i32);
            path_create_directory(fd: i32, path: i32, length: i32);
            path_filestat_get(fd: i32, flags: i32, path: i32, length: i32, stat: i32);
            path_filestat_set_times(
                fd: i32, flags: i32, path: i32, length: i32, accessed: i64, modified: i64, set: i32
            );
            path_link(
                old_fd: i32, flags: i32, old: i32, old_length: i32, new_fd: i32, new: i32, new_length: i32
            );
            path_open(
                fd: i32, directory_flags: i32, path: i32, length: i32, open_flags: i32, base: i64, inheriting: i64,
                flags: i32, opened: i32
            );
            path_readlink(fd: i32, path: i32, length: i32, buffer: i32, size: i32, used: i32);
            path_remove_directory(fd: i32, path: i32, length: i32);
            path_rename(fd: i32, old: i32, old_length: i32, new_fd: i32, new: i32, new_length: i32);
            path_symlink(old: i32, old_length: i32, fd: i32, new: i32, new_length: i32);
            path_unlink_file(fd: i32, path: i32, length: i32);
            poll_oneoff(subscriptions: i32, events: i32, count: i32, occurred: i32);
            proc_raise(signal: i32);
            sched_yield();
            random_get(buffer: i32, length: i32);
            sock_recv(fd: i32, vectors: i32, count: i32, flags: i32, read: i32, read_flags: i32);
            sock_send(fd: i32, vectors: i32, count: i32, flags: i32, sent: i32);
            sock_shutdown(fd: i32, how: i32);
            $($more)*
        }
    };
}

common! {
    provide_preview_1, wasi_snapshot_preview1,
    sock_accept(fd: i32, flags: i32, accepted: i32);
}

common! {
    provide_preview_0, wasi_unstable,
}
