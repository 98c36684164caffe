//! Delegates: objects that an embedder hands to an instance beside its settings, which are data.

use std::sync::Arc;

use crate::thread::observer::Observer;
use crate::tiering::policy::TieringPolicy;

/// What watches an instance, and what decides for it. Neither changes the code that is made: what does is a
/// [setting](crate::Settings).
#[derive(Clone, Debug, Default)]
pub struct Delegates {
    /// Sees what happens.
    pub observer: Option<Arc<dyn Observer>>,
    /// Decides when and where functions tier up, and where frames land, instead of the default policy,
    /// [`Ladder`](crate::Ladder), which does what the settings say.
    pub policy: Option<Arc<dyn TieringPolicy>>,
}

impl Delegates {
    /// An observer alone.
    pub fn observer(observer: Arc<dyn Observer>) -> Delegates {
        Delegates { observer: Some(observer), policy: None }
    }

    /// A policy alone.
    pub fn policy(policy: Arc<dyn TieringPolicy>) -> Delegates {
        Delegates { observer: None, policy: Some(policy) }
    }
}
