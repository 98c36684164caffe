//! Stores to globals that code [may take for constants](crate::instance::kept_globals), of the thread's instance and of those
//! that share the global.

use std::ptr;

use osr_ir::GlobalIndex;

use crate::thread::Thread;
use crate::thread::observation::Request;
use crate::thread::phase::Phase;

impl Thread {
    /// The interpreter has changed the value of `global`, which code may take for a constant: what does is invalidated.
    #[cold]
    pub(crate) fn global_changed(&self, global: GlobalIndex) {
        let keepers = self.instance().keepers(global);
        if !keepers.is_empty() {
            self.instance().kept_globals().count_change(global);
        }
        keepers.into_iter().for_each(|(keeper, global)| keeper.invalidate_for(global));
    }

    /// Code that stores to `global` is about to be entered: no code may take it for a constant from here on. False if that
    /// cannot be seen to here, where `is_landing`, but only at the next safepoint.
    pub(crate) fn give_up_global(&self, global: GlobalIndex, is_landing: bool) -> bool {
        self.instance().kept_globals().give_up(global);
        let mut is_done = true;
        for (keeper, global) in self.instance().keepers(global) {
            if is_landing && ptr::eq(&*keeper, self.instance()) {
                self.agenda().request(Request::InvalidateAll);
                self.update_polls(Phase::Landing);
                is_done = false;
            } else {
                keeper.invalidate_for(global);
            }
        }
        is_done
    }

    /// Invalidates the code of its instance that takes `global` for a constant.
    pub(crate) fn invalidate_keeping(&self, global: GlobalIndex) {
        (self.hooks.invalidate_for_global)(self, global);
    }
}
