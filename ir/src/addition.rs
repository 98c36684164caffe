//! Bodies that are added to a module while it is in use.
//!
//! ```text
//!   functions of the module       room that was reserved before it was shared
//!   ┌────┬──────┬─────┬─────┐    ┌──────────┬──────────┬──────┬──────┐
//!   │main│ sort │ ... │ heap│    │ of sort  │ of main  │ free │ free │
//!   └────┴──────┴─────┴─────┘    └──────────┴──────────┴──────┴──────┘
//!   indices 0 ..                  and on, in the order in which they were added
//! ```
//!
//! An added body is what an [`Alternative`] is, and has the next index of a function: so whatever finds
//! something by the index of a body finds it for these, too. The room is [reserved](Module::reserve_bodies) while the module
//! is still one's own. Any function of such a module may have another body one day: code made of it keeps what that needs
//! ([`Module::has_alternatives`]). Bodies stay as long as the module.

use std::sync::{Mutex, OnceLock, PoisonError};

use thiserror::Error;

use crate::body::Body;
use crate::index::FunctionIndex;
use crate::module::{Function, FunctionKind, Module};
use crate::origin::Origin;
use crate::redefinition::{Alternative, Redefinition};
use crate::state_map::StateMap;
use crate::verifier::{VerifyError, verify_addition};

/// Bodies for functions of a module, and the state maps that come with them, before they are added to it.
///
/// ```
/// use osr_ir::{Addition, text};
///
/// let mut module = text::parse("function two () -> (i32) { r0: i32 b0: r0 = i32.const 2 return r0 }")?;
/// module.reserve_bodies(1);
/// let source = "body three of two () -> (i32) { r0: i32 b0: r0 = i32.const 3 return r0 }";
/// let addition = text::parse_addition(&module, "three.ir", source)?;
/// module.add_bodies(addition)?;
/// let three = module.added_bodies().next().expect("it was added");
/// assert_eq!((&*module.function(three).name, module.function_of(three).index()), ("three", 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Addition {
    /// The index that the first body will have.
    first: FunctionIndex,
    /// With what each is a body of.
    bodies: Vec<(Function, FunctionIndex)>,
    maps: Vec<StateMap>,
    redefinition: Option<Redefinition>,
    pub(crate) origin: Origin,
}

impl Addition {
    /// Nothing yet, for `module` as it is now.
    pub fn to(module: &Module) -> Addition {
        Addition {
            first: module.next_body(),
            bodies: Vec::new(),
            maps: Vec::new(),
            redefinition: None,
            origin: Origin::default(),
        }
    }

    /// A further body of `of`, a function of `module`. Returns the index that it will have.
    ///
    /// # Panics
    /// If `module` has no function `of`.
    pub fn body(&mut self, module: &Module, name: &str, of: FunctionIndex, body: Body) -> FunctionIndex {
        let signature = module.function(of).signature;
        self.function(
            Function { name: name.to_owned(), signature, kind: FunctionKind::Defined(body.into()) },
            of,
        )
    }

    pub(crate) fn function(&mut self, function: Function, of: FunctionIndex) -> FunctionIndex {
        self.bodies.push((function, of));
        FunctionIndex::new(self.first.index() + self.bodies.len() - 1)
    }

    /// A state map from or to one of the bodies.
    pub fn map(&mut self, map: StateMap) {
        self.maps.push(map);
    }

    /// What is to be done once the bodies are there. Whoever adds them does it.
    pub fn set_redefinition(&mut self, redefinition: Redefinition) {
        self.redefinition = Some(redefinition);
    }

    /// What is to be done once the bodies are there.
    pub fn redefinition(&self) -> Option<&Redefinition> {
        self.redefinition.as_ref()
    }

    /// How many bodies there are.
    pub fn len(&self) -> usize {
        self.bodies.len()
    }

    /// Whether there are no bodies.
    pub fn is_empty(&self) -> bool {
        self.bodies.is_empty()
    }

    /// The indices that the bodies will have.
    pub fn indices(&self) -> impl Iterator<Item = FunctionIndex> + use<> {
        let first = self.first.index();
        (first..first + self.bodies.len()).map(FunctionIndex::new)
    }

    /// The bodies, as functions of the module.
    pub fn functions(&self) -> impl Iterator<Item = &Function> {
        self.bodies.iter().map(|(function, _)| function)
    }

    /// The state maps that come with the bodies.
    pub fn maps(&self) -> &[StateMap] {
        &self.maps
    }
}

/// Why bodies were not added.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum AdditionError {
    /// More than there is room for.
    #[error("no room for {wanted} more bodies: {left} are left of those that were reserved")]
    NoRoom {
        /// How many there are.
        wanted: usize,
        /// How many can be added.
        left: usize,
    },
    /// Since the addition was begun, other bodies were added.
    #[error("other bodies were added to the module meanwhile")]
    Outdated,
    /// Something is wrong with them.
    #[error(transparent)]
    Invalid(#[from] VerifyError),
}

/// Bodies that were added to a module, and the room for more.
#[derive(Debug, Default)]
pub struct AddedBodies {
    slots: Box<[OnceLock<AddedBody>]>,
    /// One addition at a time.
    adding: Mutex<()>,
}

#[derive(Clone, Debug, PartialEq)]
struct AddedBody {
    function: Function,
    of: FunctionIndex,
    /// Those that came with this body.
    maps: Vec<StateMap>,
    origin: Origin,
}

impl AddedBodies {
    fn with_room(bodies: usize) -> AddedBodies {
        AddedBodies { slots: (0..bodies).map(|_| OnceLock::new()).collect(), adding: Mutex::default() }
    }

    fn get(&self, number: usize) -> Option<&AddedBody> {
        self.slots.get(number)?.get()
    }

    fn count(&self) -> usize {
        self.slots.partition_point(|slot| slot.get().is_some())
    }

    fn iter(&self) -> impl Iterator<Item = &AddedBody> {
        self.slots.iter().map_while(OnceLock::get)
    }
}

impl Clone for AddedBodies {
    fn clone(&self) -> AddedBodies {
        AddedBodies { slots: self.slots.clone(), adding: Mutex::default() }
    }
}

impl PartialEq for AddedBodies {
    fn eq(&self, other: &AddedBodies) -> bool {
        self.slots == other.slots
    }
}

impl Module {
    /// Makes room for so many bodies to be added to the module, when it cannot be changed in any other way. Any of
    /// its functions may have another body one day: code made of it keeps what that needs.
    pub fn reserve_bodies(&mut self, bodies: usize) {
        let mut room = AddedBodies::with_room(bodies.max(self.added.count()));
        for (slot, added) in room.slots.iter_mut().zip(self.added.iter()) {
            *slot = OnceLock::from(added.clone());
        }
        self.added = room;
    }

    /// For how many bodies there is room, those that were added included.
    pub fn reserved_bodies(&self) -> usize {
        self.added.slots.len()
    }

    /// How many functions there are, with the bodies that were added and those for which there is room.
    pub fn body_count(&self) -> usize {
        self.functions.len() + self.reserved_bodies()
    }

    /// The bodies that were added.
    pub fn added_bodies(&self) -> impl Iterator<Item = FunctionIndex> + use<> {
        let first = self.functions.len();
        (first..first + self.added.count()).map(FunctionIndex::new)
    }

    /// The index of the next body that is added.
    pub(crate) fn next_body(&self) -> FunctionIndex {
        FunctionIndex::new(self.functions.len() + self.added.count())
    }

    /// Verifies the bodies and maps of `addition`, and adds them.
    ///
    /// # Errors
    /// If there is no room for them, something is wrong with them, or others were added since `addition` was begun: then
    /// nothing is added.
    pub fn add_bodies(&self, addition: Addition) -> Result<(), AdditionError> {
        let _one = self.added.adding.lock().unwrap_or_else(PoisonError::into_inner);
        if addition.first != self.next_body() {
            return Err(AdditionError::Outdated);
        }
        let free = &self.added.slots[self.added.count()..];
        if addition.len() > free.len() {
            return Err(AdditionError::NoRoom { wanted: addition.len(), left: free.len() });
        }
        verify_addition(self, &addition)?;
        let Addition { bodies, mut maps, origin, .. } = addition;
        for (slot, (function, of)) in free.iter().zip(bodies) {
            let added = AddedBody { function, of, maps: std::mem::take(&mut maps), origin: origin.clone() };
            slot.set(added).expect("slots are filled in order, by whoever holds the lock");
        }
        Ok(())
    }

    /// Adds what `other`, to which this module was equal once, has more. Where there is no room for it, it is left out.
    pub fn add_bodies_of(&self, other: &Module) {
        let _one = self.added.adding.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.added.count();
        for (slot, added) in self.added.slots.iter().zip(other.added.iter()).skip(known) {
            slot.set(added.clone()).expect("slots are filled in order, by whoever holds the lock");
        }
    }

    /// The module as it would be with `addition`, and all that was added before, from the start.
    pub(crate) fn with_addition(&self, addition: &Addition) -> Module {
        let mut module = self.clone();
        let added = std::mem::take(&mut module.added);
        let before = added.iter().map(|added| (&added.function, added.of));
        let all = before.chain(addition.bodies.iter().map(|(function, of)| (function, *of)));
        for (function, of) in all {
            let body = FunctionIndex::new(module.functions.len());
            module.functions.push(function.clone());
            module.alternatives.push(Alternative { body, of });
        }
        let maps = added.iter().flat_map(|added| &added.maps).chain(&addition.maps);
        module.state_maps.extend(maps.cloned());
        module
    }

    pub(crate) fn added_function(&self, index: FunctionIndex) -> Option<&Function> {
        Some(&self.added(index)?.function)
    }

    /// What `body` was added to, if it was added.
    pub(crate) fn added_to(&self, body: FunctionIndex) -> Option<FunctionIndex> {
        Some(self.added(body)?.of)
    }

    /// What the code of `function` was made from.
    pub fn origin_of(&self, function: FunctionIndex) -> &Origin {
        self.added(function).map_or(&self.origin, |added| &added.origin)
    }

    fn added(&self, index: FunctionIndex) -> Option<&AddedBody> {
        self.added.get(index.index().checked_sub(self.functions.len())?)
    }

    /// The state map from one body to another, if the module or an addition to it has one.
    pub fn state_map(&self, from: FunctionIndex, to: FunctionIndex) -> Option<&StateMap> {
        let added = self.added.iter().flat_map(|added| &added.maps);
        self.state_maps.iter().chain(added).find(|map| (map.from, map.to) == (from, to))
    }
}
