//! Tells debuggers of versions as they come and go.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use osr_engine::{CodeVersion, Event, Instance, Observation, Observer, VersionId};

use crate::image::image;
use crate::jit_interface::Registered;
use crate::name::name_of;

/// Describes each version to GDB and LLDB, from its installation to its release, by [GDB's JIT interface]: they show
/// names of guest functions in backtraces, and find the way through their frames. Code of an instance that is gone is described
/// until this is dropped.
///
/// [GDB's JIT interface]: https://sourceware.org/gdb/current/onlinedocs/gdb.html/JIT-Interface.html
#[derive(Debug, Default)]
pub struct Gdb {
    /// By the address of the instance, and version.
    images: Mutex<HashMap<(usize, VersionId), Registered>>,
}

impl Gdb {
    /// One that has told of nothing yet.
    pub fn new() -> Gdb {
        Gdb::default()
    }

    fn compiled(&self, instance: &Instance, version: &CodeVersion) {
        // Without rows a debugger cannot pass the frame; it has the name all the same.
        let unwind_section = instance.unwind_section(version, version.start).unwrap_or_default();
        let code = version.start..version.start + u64::from(version.code_bytes);
        let registered = Registered::new(image(&name_of(instance, version), code, &unwind_section));
        self.images().insert(key(instance, version), registered);
    }

    fn images(&self) -> std::sync::MutexGuard<'_, HashMap<(usize, VersionId), Registered>> {
        self.images.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Gdb {
    fn observe(&self, at: &Observation<'_>, event: &Event<'_>) {
        match event {
            Event::Compiled { version, .. } => self.compiled(at.instance(), version),
            Event::Released { version, .. } => drop(self.images().remove(&key(at.instance(), version))),
            _ => {}
        }
    }
}

fn key(instance: &Instance, version: &CodeVersion) -> (usize, VersionId) {
    (std::ptr::from_ref(instance) as usize, version.id)
}
