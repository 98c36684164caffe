//! What is checked of a version with inlined bodies: the body that they make together, as the inliner has merged it. Of that
//! its own [check](osr_ir::inlining::check) says that it does what they do.
//!
//! ```text
//!   site: g at p4, called by f at p2      ──> the point of the merged body at which both are there
//!   entry: word 7 of the chain's state    ──> the register of the merged body that is g's second
//! ```
//!
//! A frame state has what each activation needs by itself. The merged body may need less: what waits for a call that does not
//! return is dead in it.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use osr_engine::{CodeVersion, EntryPoint, Instance, VirtualActivation};
use osr_ir::inlining::{FrameIndex, InlineBudget, Inlined, inline};
use osr_ir::{FunctionIndex, Liveness, Module, Point, PointKind, Points, Register};

use super::graph::Graph;
use super::{Subject, site_maps};

impl<'m> Subject<'m> {
    /// `version`, of a function of `instance`, which is of `module` and inlines by `budget`. None if nothing is inlined, or if
    /// the version is entered where the merged body has no point: behind a call that is inlined. Its code must not be released.
    ///
    /// # Panics
    /// If it is, or if a site is at a point that the merged body does not have.
    pub fn merged(
        module: &'m Module,
        instance: &Instance,
        version: &CodeVersion,
        budget: &InlineBudget,
    ) -> Option<Subject<'m>> {
        version.inlined().next()?;
        let body = module.function(version.function).body().expect("compiled from a body");
        let points = Points::of(body);
        let liveness = Liveness::of(body, &points);
        let known = (&points, &liveness);
        let inlined = inline(module, version.function, known, budget, &|_, _| None, &BTreeSet::new(), false)?;
        let entry = match version.entry.continues_at() {
            None => EntryPoint::Function,
            Some(point) => EntryPoint::Continuation(inlined.point_within(point, &[])?),
        };
        let mut subject = Subject { entry, ..Subject::of(module, version) };
        let mut sites = site_maps(version, &inlined.points);
        let mut graphs = BTreeMap::new();
        for (number, site) in sites.iter_mut().enumerate() {
            let chain = Chain::of(&inlined, &instance.activations(version, number as u32));
            site.point = chain.point;
            site.is_poll = inlined.points.kind(chain.point) != PointKind::AfterCall;
            site.entries.iter_mut().for_each(|entry| entry.register = chain.register(entry.register));
            subject.waiting.insert(site.return_offset, chain.needed(module, &mut graphs));
        }
        subject.sites = sites;
        subject.body = Cow::Owned(inlined.body);
        Some(subject)
    }
}

/// The activations that a frame of a merged body stands for.
struct Chain {
    /// Where the merged body is.
    point: Point,
    /// The activations, outermost first, each with the number of its first register in the merged body.
    activations: Vec<(VirtualActivation, u32)>,
}

impl Chain {
    /// `activations`, innermost first.
    fn of(inlined: &Inlined, activations: &[VirtualActivation]) -> Chain {
        let [inner @ .., outermost] = activations else { panic!("every frame is one of some activation") };
        let inner: Vec<(FunctionIndex, Point)> =
            inner.iter().rev().map(|activation| (activation.function, activation.point)).collect();
        let point = inlined.point_within(outermost.point, &inner).expect("a point of the merged body");
        let mut frame = FrameIndex::new(0);
        let mut after = outermost.point;
        let mut firsts = vec![0];
        for &(function, point) in &inner {
            frame = inlined.tree.called(frame, after, function).expect("a frame of the merged body");
            after = point;
            firsts.push(inlined.tree.frame(frame).first);
        }
        Chain { point, activations: activations.iter().rev().copied().zip(firsts).collect() }
    }

    /// The register of the merged body for a word of the state.
    fn register(&self, word: Register) -> Register {
        let word = word.index();
        let holds =
            |(it, _): &&(VirtualActivation, u32)| (it.offset..it.offset + it.registers).contains(&word);
        let &(VirtualActivation { offset, .. }, first) =
            self.activations.iter().find(holds).expect("a word of some activation");
        Register::new(first as usize + word - offset)
    }

    /// The registers of the merged body that the activations need, each by itself.
    fn needed<'m>(
        &self,
        module: &'m Module,
        graphs: &mut BTreeMap<FunctionIndex, Graph<'m>>,
    ) -> BTreeSet<Register> {
        let mut needed = BTreeSet::new();
        let innermost = self.activations.len() - 1;
        for (number, &(VirtualActivation { function, point, .. }, first)) in
            self.activations.iter().enumerate()
        {
            let body = module.function(function).body().expect("only defined functions are inlined");
            let graph = graphs.entry(function).or_insert_with(|| Graph::of(body));
            // What the call returns, those further in are yet to compute.
            let results = match graph.call_of(point) {
                Some(call) if number < innermost => call.definitions(),
                _ => &[],
            };
            let registers = (0..body.registers.len()).map(Register::new);
            let live =
                registers.filter(|&register| graph.is_live(register, point) && !results.contains(&register));
            needed.extend(live.map(|register| Register::new(first as usize + register.index())));
        }
        needed
    }
}

/// Per site, by its return offset, what it has for activations that need it by themselves.
pub(super) type Waiting = BTreeMap<u32, BTreeSet<Register>>;
