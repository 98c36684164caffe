//! The polls of a version's loops that are overwritten: with what continues without a comparison, or with what loads from
//! the page that guards.

use std::sync::atomic::{AtomicBool, Ordering};

use osr_compiler::{PollSite, PollSites};

/// The polls of a version's loops.
#[derive(Debug)]
pub(crate) struct Polls {
    /// By ascending offset.
    overwritten: Box<[Overwritten]>,
    /// How many others there are: they always compare.
    others: usize,
    /// Whether the comparisons are there.
    compare: AtomicBool,
}

#[derive(Debug)]
struct Overwritten {
    site: PollSite,
    /// Where it is overwritten.
    offset: u32,
    /// What is there while no poll is requested.
    idle: Box<[u8]>,
    /// What was compiled, as far as it is overwritten.
    comparison: Box<[u8]>,
}

impl Polls {
    /// Those at `sites` of `code`, in which the comparisons are. If there is a page that guards, it is `page` bytes from
    /// the start of the code.
    pub(crate) fn new(sites: &PollSites, code: &[u8], page: Option<i64>) -> Polls {
        let overwritten: Box<[_]> = sites
            .sites
            .iter()
            .filter_map(|&site| {
                let (offset, idle) = match page {
                    Some(page) => (site.offset, site.load(page)?),
                    None => site.idle(),
                };
                let comparison = code[offset as usize..][..idle.len()].into();
                Some(Overwritten { site, offset, idle: idle.into(), comparison })
            })
            .collect();
        let others = sites.others as usize + sites.sites.len() - overwritten.len();
        Polls { overwritten, others, compare: AtomicBool::new(true) }
    }

    /// How many can be overwritten, and how many cannot.
    pub(crate) fn count(&self) -> (usize, usize) {
        (self.overwritten.len(), self.others)
    }

    /// The offset of the poll whose load, at `offset`, has faulted.
    pub(crate) fn cold(&self, offset: u32) -> Option<u32> {
        let found = self.overwritten.binary_search_by_key(&offset, |poll| poll.site.offset).ok()?;
        Some(self.overwritten[found].site.cold)
    }

    /// Notes whether the comparisons are there. False if that is known.
    pub(crate) fn set_compare(&self, compare: bool) -> bool {
        self.compare.swap(compare, Ordering::Relaxed) != compare
    }

    /// The bytes at each poll while it compares, or does not, and their offset.
    pub(crate) fn bytes(&self, compare: bool) -> impl Iterator<Item = (u32, &[u8])> {
        let overwritten = self.overwritten.iter();
        overwritten.map(move |Overwritten { offset, idle, comparison, .. }| {
            (*offset, if compare { &**comparison } else { &**idle })
        })
    }
}
