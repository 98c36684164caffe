//! The table of call bindings, and when patching pays.

use osr_engine::Mechanism;

use super::super::answer::Figure;
use super::super::bindings;
use super::{Grid, Results, shown};
use crate::laboratory::results::Record;
use crate::laboratory::statistics::{Estimate, Processes, estimate, estimate_of};

/// A row for each call binding.
pub(super) fn grid(records: &[Record]) -> Option<Grid> {
    let found = Results::of(records, "bindings");
    let sites: Vec<u64> = found.sizes("call sites");
    let (&few, &many) = (sites.first()?, sites.last()?);
    let row = |(mechanism, _): (Mechanism, &str)| {
        let call = |metric| found.samples(&mechanism, ("calls", None), metric);
        let saved = call(bindings::AGAINST_A_CELL);
        let update = |sites| Update::of(&found, &mechanism, sites);
        let pays = |sites| update(sites).pays(&Update::of(&found, &bindings::REFERENCE, sites), &saved);
        let bytes = found.samples(&mechanism, ("call sites", None), "code by call");
        let figures = vec![
            shown(estimate(&call("per call")), Figure::time),
            shown(estimate(&saved), Figure::time),
            shown(found.programs(&mechanism, "time"), Figure::percent),
            shown(found.programs(&mechanism, "code"), Figure::percent),
            shown(estimate(&bytes), |bytes| Figure::count(bytes, |bytes| format!("{bytes:.1} B"))),
            shown(update(few).cost(), Figure::time),
            shown(Update::by_site(&update(few), few, &update(many), many), Figure::time),
            pays(few),
            pays(many),
        ];
        (mechanism.binding.name().to_owned(), figures)
    };
    let pays = |sites| format!("pays, {sites} call {}", if sites == 1 { "site" } else { "sites" });
    Some(Grid {
        title: "Call bindings, all else equal",
        caption: "A call against a direct one, and against a call through a cell; time and code of programs against the same; bytes \
                  of code for each call; an update of a function with few call sites, and what each call site adds. A binding \
                  whose updates cost more pays from so many calls between two updates on; never, if calls are not cheaper \
                  than through a cell, beyond doubt.",
        corner: "binding",
        header: vec![
            "a call".into(),
            "against a cell".into(),
            "programs".into(),
            "code".into(),
            "by call".into(),
            format!("update, {few}"),
            "a call site".into(),
            pays(few),
            pays(many),
        ],
        rows: found.mechanisms().into_iter().map(row).collect(),
        notes: found.notes(),
        command: found.command()?,
    })
}

/// An update: the invalidation, and the installation of what comes after.
struct Update([Processes; 2]);

impl Update {
    fn of(found: &Results<'_>, mechanism: &Mechanism, sites: u64) -> Update {
        Update(["unbind", "bind"].map(|metric| found.samples(mechanism, ("call sites", Some(sites)), metric)))
    }

    fn cost(&self) -> Option<Estimate> {
        let Update([unbind, bind]) = self;
        estimate_of(&[unbind, bind], |medians| medians[0] + medians[1])
    }

    /// What each call site adds.
    fn by_site(least: &Update, few: u64, most: &Update, many: u64) -> Option<Estimate> {
        let ([less, fewer], [more, further]) = (&least.0, &most.0);
        let sites = many.checked_sub(few).filter(|&sites| sites > 0)? as f64;
        estimate_of(&[less, fewer, more, further], |medians| {
            (medians[2] + medians[3] - medians[0] - medians[1]) / sites
        })
    }

    /// From how many calls between two updates on these updates pay, beside those of a reference, where each call is `saved`
    /// so much, which is negative.
    fn pays(&self, reference: &Update, saved: &Processes) -> Figure {
        let Some(call) = estimate(saved) else { return Figure::none() };
        if call.high >= 0.0 {
            return Figure::said("never");
        }
        let ([unbind, bind], [cheaper, quicker]) = (&self.0, &reference.0);
        let calls = estimate_of(&[unbind, bind, cheaper, quicker, saved], |medians| {
            (medians[0] + medians[1] - medians[2] - medians[3]) / -medians[4]
        });
        match calls {
            Some(calls) if calls.high <= 0.0 => Figure::said("always"),
            Some(calls) => Figure::count(&calls, |calls| format!("{:.0} calls", calls.max(0.0))),
            None => Figure::none(),
        }
    }
}
