//! Frames that a trap has jumped over: they neither return nor land, and what waits for that is told here.

use osr_release::Strategy;

use crate::thread::Thread;

impl Thread {
    /// Frames deeper in the stack than `depth` are gone, and so are their records.
    pub(crate) fn frames_dropped(&self, depth: u64) {
        self.front_dropped(depth);
        self.rebuilt().borrow_mut().drop_deeper(depth);
        self.count_table_landings();
        if self.instance().settings().mechanism.frames_leave() {
            self.leaving_frames_dropped(depth);
        }
    }

    #[cold]
    fn leaving_frames_dropped(&self, depth: u64) {
        // SAFETY: the thread is in the runtime, so the context is not in use.
        if unsafe { (*self.context()).return_limit } < depth {
            self.limit_returns().expect("a stack of compiled frames can be walked");
        }
        if self.reclaim().waiting().borrow().strategy() == Strategy::Count {
            self.count_frames().expect("a stack of compiled frames can be walked");
        }
    }
}
