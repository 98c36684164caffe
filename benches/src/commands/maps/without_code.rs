//! What a listing says without its code: where control may return to, and where each value is then. It stays as it is while
//! code changes that has nothing to do with that.

use std::fmt;

use osr_ir::Shown;
use serde::Serialize;

use super::listing::{FrameMap, Listing, LiveValue};

/// The frame maps of a version.
#[derive(Debug, Serialize)]
pub(super) struct WithoutCode<'l> {
    function: &'l str,
    index: u32,
    signature: &'l str,
    entry: &'l str,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<&'l str>,
    frame_maps: Vec<Site<'l>>,
}

/// A frame map, without the offset in the code.
#[derive(Debug, Serialize)]
struct Site<'l> {
    point: &'l str,
    kind: &'l str,
    position: &'l str,
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<&'l str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    activations: &'l [String],
    values: &'l [LiveValue],
}

impl<'l> WithoutCode<'l> {
    pub(super) fn of(listing: &'l Listing) -> WithoutCode<'l> {
        let Listing { function, index, signature, entry, refused, instructions, .. } = listing;
        let site = |map: &'l FrameMap| Site {
            point: &map.point,
            kind: map.kind,
            position: &map.position,
            place: map.place.as_deref(),
            activations: &map.activations,
            values: &map.values,
        };
        WithoutCode {
            function,
            index: *index,
            signature,
            entry,
            refused: refused.as_deref(),
            frame_maps: instructions.iter().filter_map(|line| line.frame_map.as_ref()).map(site).collect(),
        }
    }
}

impl fmt::Display for WithoutCode<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let WithoutCode { function, index, signature, entry, refused, frame_maps } = self;
        writeln!(formatter, "{} (f{index}) {signature}, entered at: {entry}", Shown(function))?;
        if let Some(why) = refused {
            return writeln!(formatter, "cannot be compiled: {why}");
        }
        frame_maps.iter().try_for_each(|site| site.fmt(formatter))
    }
}

impl fmt::Display for Site<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Site { point, kind, position, place, activations, values } = self;
        let place = place.map_or(String::new(), |place| format!(", {place}"));
        writeln!(formatter, "  {point} ({kind}, {position}{place})")?;
        if !activations.is_empty() {
            writeln!(formatter, "    {}", activations.join(" < "))?;
        }
        values.iter().try_for_each(|LiveValue { register, ty, location }| {
            writeln!(formatter, "    {register:<5} {ty:<7} {location}")
        })
    }
}
