//! The guest's frames with the values of their registers, whatever executes them: for tools that look at a guest while it
//! waits for a function of the host.
//!
//! ```text
//!   native stack, inwards out     what it stands for
//!   Rust: an activation    ────>  interpreted frames, each a window of the value stack
//!   compiled frames        ────>  a frame map each; registers that frames further in have saved are followed outwards,
//!                                 as in `rebuild.rs`
//! ```

use osr_compiler::frame_map::VirtualActivation;
use osr_ir::{FunctionIndex, Point, PointKind, Register};
use osr_stackwalk::{Frame, ReturnPc, ReturnSlot};
use osr_stubs::LandingRegisters;
use osr_stubs::x86_64::{Here, registers_here};

use crate::code::ledger::LedgerPcs;
use crate::code::x86_64::callee_saves;
use crate::code::{SiteRef, VersionId};
use crate::error::TransitionError;
use crate::interpreter::waiting_frames;
use crate::settings::{StateRecording, Tier};
use crate::thread::Thread;
use crate::transition::landing::rebuild;
use crate::transition::rebuild::{from_walker, to_walker};

/// A frame of the guest that waits for a call: [`Thread::guest_frames`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GuestFrame {
    /// The function.
    pub function: FunctionIndex,
    /// Where it resumes: after the call.
    pub point: Point,
    /// What executes it.
    pub tier: Tier,
    /// The version that it executes, unless that is interpreted.
    pub version: Option<VersionId>,
    /// Whether it is inlined into the next one, whose native frame is its own.
    pub is_inlined: bool,
    /// Whether its return slot is hijacked.
    pub is_hijacked: bool,
    /// The live registers, ascending, with their words, two of a vector; without what the call is to return. Their types are those
    /// of the body ([`Body::registers`](osr_ir::Body::registers)), which show words, too ([`Type::show`](osr_ir::Type::show)). Empty where the
    /// values are not known while the frame waits: with the recordings [`None`](StateRecording::None) and
    /// [`Pads`](StateRecording::Pads).
    pub values: Vec<(Register, u64)>,
}

impl Thread {
    /// The frames of the guest that wait, innermost first, in every tier: those of this thread's instance. Of frames that are
    /// inlined each is one. The host function that asks is none, nor are others between them.
    ///
    /// ```
    /// use std::sync::{Arc, Mutex};
    /// use osr_engine::{Imports, Instance, Settings, Thread};
    ///
    /// let module = r#"(module
    ///   (import "host" "look" (func $look))
    ///   (func $down (export "down") (param $n i32) (result i32)
    ///     (if (i32.eqz (local.get $n)) (then (call $look) (return (i32.const 0))))
    ///     (i32.add (local.get $n) (call $down (i32.sub (local.get $n) (i32.const 1))))))"#;
    /// let seen = Arc::new(Mutex::new(Vec::new()));
    /// let list = Arc::clone(&seen);
    /// let mut imports = Imports::new();
    /// imports.typed("host", "look", move |call, ()| {
    ///     *list.lock().unwrap() = call.thread().guest_frames().expect("a host function may look");
    ///     Ok(())
    /// });
    /// let settings = Settings { guest_frames: true, ..Settings::default() };
    /// let instance = Instance::new(settings, osr_ir::wasm::import_text(module)?, &imports)?;
    /// Thread::new(&instance)?.typed::<i32, i32>("down")?.call(2)?;
    /// let arguments = seen.lock().unwrap().iter().skip(1).map(|frame| frame.values[0].1).collect::<Vec<_>>();
    /// assert_eq!(arguments, [1, 2]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the [setting](crate::Settings::guest_frames) does not ask for it; if the thread is in no [phase](crate::Phase) for it, or
    /// the stack cannot be walked.
    #[inline(never)]
    pub fn guest_frames(&self) -> Result<Vec<GuestFrame>, TransitionError> {
        if !self.instance().settings().guest_frames {
            return Err(TransitionError::FramesNotListed);
        }
        self.check_outside()?;
        let activations = self.activations().borrow().clone();
        let mut activations = activations.into_iter().rev().peekable();
        let mut frames = Vec::new();
        self.visit_compiled(|frame, site, state| {
            // An activation of the interpreter that is further in has its native frame there.
            while let Some(activation) =
                activations.next_if(|&activation| (activation as u64) < frame.frame_base)
            {
                self.add_interpreted(activation, &mut frames);
            }
            self.add_compiled(frame, site, state, &mut frames);
        })?;
        activations.for_each(|activation| self.add_interpreted(activation, &mut frames));
        Ok(frames)
    }

    /// The frames of an activation of the interpreter.
    fn add_interpreted(&self, activation: *const (), frames: &mut Vec<GuestFrame>) {
        let mut add = |function: FunctionIndex, point: Point, window: *const u64| {
            // SAFETY: the window has the words of a frame state.
            let words = unsafe { std::slice::from_raw_parts(window, self.instance().frame_words(function)) };
            frames.push(GuestFrame {
                function,
                point,
                tier: Tier::Interpreter,
                version: None,
                is_inlined: false,
                is_hijacked: false,
                values: self.known_values(function, point, words),
            });
        };
        // SAFETY: it is in the list, and this thread is in the host.
        unsafe { waiting_frames(activation, &mut add) };
    }

    /// The activations that `frame` stands for, which waits at `site`, with its state if that is known.
    fn add_compiled(
        &self,
        frame: Frame,
        site: &SiteRef,
        state: Option<&[u64]>,
        frames: &mut Vec<GuestFrame>,
    ) {
        let SiteRef { version, site } = site;
        let chain = self.instance().activations(version, *site);
        let further = (0..chain.len()).rev();
        // SAFETY: the walk vouches for the slot.
        let is_hijacked = self.is_landing(unsafe { frame.return_slot.load() });
        for (VirtualActivation { function, point, offset, .. }, further) in chain.into_iter().zip(further) {
            let values =
                state.map_or(Vec::new(), |state| self.known_values(function, point, &state[offset..]));
            frames.push(GuestFrame {
                function,
                point,
                tier: version.tier.into(),
                version: Some(version.id),
                is_inlined: further > 0,
                is_hijacked,
                values,
            });
        }
    }

    /// The words of the registers that are live at `point`, in the frame state `words`, but for what the call there returns.
    fn known_values(&self, function: FunctionIndex, point: Point, words: &[u64]) -> Vec<(Register, u64)> {
        let points = self.instance().points(function);
        let position = points.position(point);
        let block = self.instance().body(function).block(position.block);
        let call =
            block.instructions.get(position.index).filter(|_| points.kind(point) == PointKind::AfterCall);
        let returned = call.map_or(&[][..], |call| call.definitions());
        let values = self.frame_state(function, point, words).values();
        values.filter(|(register, _)| !returned.contains(register)).collect()
    }

    /// Calls `visit` for each compiled frame, innermost first: with where it waits, and its frame state without what its call is
    /// to return; with none where values cannot be read while it waits.
    fn visit_compiled(
        &self,
        mut visit: impl FnMut(Frame, &SiteRef, Option<&[u64]>),
    ) -> Result<(), TransitionError> {
        let mut registers = LandingRegisters::default();
        // SAFETY: the registers may be written.
        let Here { return_slot, pc } = unsafe { registers_here(&mut registers.callee_saved) };
        // What is returned to next, with these registers.
        let mut next = (ReturnSlot::new(return_slot), ReturnPc::new(pc));
        let ledger = self.ledger().borrow();
        let pcs = LedgerPcs::new(&ledger);
        let mut walk = self.walk(self.all_pcs(&pcs));
        let mut segment = None;
        while let Some(frame) = walk.next_frame()? {
            if segment.replace(walk.segment()) != Some(walk.segment()) {
                let inner = to_walker(registers.callee_saved);
                let unwound =
                    self.native_walker().unwind_to(&self.live_stack(), next, inner, frame.return_slot)?;
                registers.callee_saved = from_walker(unwound);
            }
            let site = self.site_of(&ledger, frame);
            let SiteRef { version, site: number } = &site;
            let is_unknown = matches!(version.recording, StateRecording::None | StateRecording::Pads);
            let is_known = !is_unknown && !version.lands_first(*number);
            let state = is_known.then(|| {
                let registers_of_body = self.instance().frame_words(version.function);
                let mut state = vec![0; version.state_words(*number, registers_of_body)];
                let maps = &version.frame_maps;
                let sources = maps.sources(&maps.site(*number));
                // SAFETY: the frame is whole, and waits with these registers; the state has a word for each register of
                // its activations. The version is kept by the handle.
                unsafe {
                    rebuild(&sources, &registers, self.results(), state.as_mut_ptr(), |source| {
                        !source.is_returned()
                    });
                }
                state
            });
            visit(frame, &site, state.as_deref());
            // SAFETY: the frame is live, and of the version.
            unsafe { callee_saves::restore(version.unwind, &mut registers.callee_saved) };
            next = (ReturnSlot::new(frame.frame_base + 8), ReturnPc::new(osr_stubs::x86_64::entry_return()));
        }
        Ok(())
    }
}
