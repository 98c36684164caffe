//! The records of a trace, and the tracks that they are on.

use std::borrow::Cow;
use std::thread::ThreadId;

use serde::Serialize;
use serde_json::Value;

use crate::settings::Tier;

/// What has a track of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Track {
    /// A native thread that executes guest code.
    Native(ThreadId),
    Tier(Tier),
}

impl Track {
    /// That of the current native thread.
    pub(super) fn current() -> Track {
        Track::Native(std::thread::current().id())
    }

    pub(super) fn of(tier: impl Into<Tier>) -> Track {
        Track::Tier(tier.into())
    }
}

/// One record of the file.
#[derive(Serialize)]
pub(super) struct Record<'a> {
    pub(super) name: Cow<'a, str>,
    pub(super) cat: &'a str,
    pub(super) ph: &'a str,
    #[serde(serialize_with = "microseconds")]
    pub(super) ts: u64,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "some_microseconds")]
    pub(super) dur: Option<u64>,
    pub(super) pid: u32,
    pub(super) tid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<u64>,
    /// Flows bind to the slice around them, not to the next one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) bp: Option<&'a str>,
    /// Instants belong to their track.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) s: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) args: Option<Value>,
}

impl<'a> Record<'a> {
    pub(super) fn new(name: Cow<'a, str>, cat: &'a str, ph: &'a str, ts: u64, tid: u32) -> Record<'a> {
        Record { name, cat, ph, ts, dur: None, pid: 1, tid, id: None, bp: None, s: None, args: None }
    }
}

fn microseconds<S: serde::Serializer>(nanoseconds: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(*nanoseconds as f64 / 1_000.0)
}

fn some_microseconds<S: serde::Serializer>(nanoseconds: &Option<u64>, out: S) -> Result<S::Ok, S::Error> {
    microseconds(&nanoseconds.unwrap_or_default(), out)
}

/// Where a flow is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Flow {
    Start,
    Step,
    End,
}
