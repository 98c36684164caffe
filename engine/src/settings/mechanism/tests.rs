use std::collections::BTreeMap;

use super::*;

/// The whole product of axes: how many combinations each rule refuses, and how many work.
#[test]
fn every_combination_is_a_mechanism_or_refused_for_a_reason() {
    let mut verdicts = BTreeMap::new();
    for mechanism in Mechanism::all() {
        *verdicts.entry(mechanism.check().err()).or_insert(0) += 1;
    }
    let lines = verdicts.iter().map(|(refusal, count)| {
        let verdict = refusal.map_or("valid".to_owned(), |refusal| format!("{refusal:?}"));
        format!("{count:>8} {verdict}")
    });
    let sizes = [
        CallBinding::ALL.len(),
        Placement::ALL.len(),
        ActiveFrames::ALL.len(),
        RebuildTime::ALL.len(),
        HijackDensity::ALL.len(),
        CodeRelease::ALL.len(),
        Poll::ALL.len(),
        StateRecording::ALL.len(),
        Bookkeeping::ALL.len(),
    ];
    assert_eq!(verdicts.values().sum::<usize>(), sizes.iter().product::<usize>());
    insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"));
}

/// A single step away from the default on each axis: what is refused says why.
#[test]
fn neighbours_of_the_default() {
    let is_neighbour = |mechanism: &Mechanism| mechanism.to_string().matches('=').count() == 1;
    let line = |mechanism: Mechanism| match mechanism.check() {
        Ok(()) => format!("{mechanism}: valid"),
        Err(refusal) => format!("{mechanism}: {refusal:?}"),
    };
    let table: Vec<String> = Mechanism::all().filter(is_neighbour).map(line).collect();
    insta::assert_snapshot!(table.join("\n"));
}

/// What a refusal of `mechanism` advises to choose instead: `use the AXIS `v` or `w` and the AXIS `v`, or ..`.
fn advised(mechanism: Mechanism, refusal: Refusal) -> Vec<Mechanism> {
    let text = refusal.to_string();
    let advice = text.split_once(": use ").unwrap_or_else(|| panic!("{refusal:?} advises nothing")).1;
    let alternatives = advice.split(", or ").filter(|alternative| alternative.contains('`'));
    let followed = alternatives.flat_map(|alternative| {
        alternative.split("the ").filter(|part| part.contains('`')).fold(vec![mechanism], |from, part| {
            let mut words = part.split('`');
            let axis = words.next().expect("there is a first").trim();
            let values: Vec<&str> = words.step_by(2).collect();
            let chosen = |base: &Mechanism, value: &&str| {
                let changed = format!("{base},{axis}={value}");
                changed.parse().unwrap_or_else(|error| panic!("{refusal:?}: {error}"))
            };
            from.iter().flat_map(|base| values.iter().map(move |value| chosen(base, value))).collect()
        })
    });
    followed.collect()
}

/// There any piece of advice is enough.
#[test]
fn refused_neighbours_of_the_default_are_advised_well() {
    let is_neighbour = |mechanism: &Mechanism| mechanism.to_string().matches('=').count() == 1;
    let mut followed = 0;
    for mechanism in Mechanism::all().filter(is_neighbour) {
        let Err(refusal) = mechanism.check() else { continue };
        for advised in advised(mechanism, refusal) {
            assert_eq!(advised.check(), Ok(()), "{mechanism}: {refusal} -> {advised}");
            followed += 1;
        }
    }
    assert!(followed > 20, "{followed} pieces of advice");
}

/// From any combination the first advice of each refusal leads to a mechanism, and to no refusal twice. Every eleventh will do:
/// no axis has a multiple of that many values.
#[test]
fn whoever_follows_advice_arrives() {
    for mechanism in Mechanism::all().step_by(11) {
        let mut reached = mechanism;
        let mut refused = Vec::new();
        while let Err(refusal) = reached.check() {
            assert!(!refused.contains(&refusal), "{mechanism}: {refused:?}, and again {refusal:?}");
            refused.push(refusal);
            reached = advised(reached, refusal)[0];
        }
    }
}

/// Two frames are not reached by a return from compiled code: each value says what becomes of them.
#[test]
fn each_value_of_active_frames_tells_of_the_innermost_frame_and_of_the_host() {
    for frames in ActiveFrames::ALL {
        let meaning = frames.meaning();
        assert!(
            meaning.contains("innermost frame") && meaning.contains("under a host function"),
            "{frames:?}"
        );
    }
}

#[test]
fn what_is_written_is_read_back() {
    let named = [Mechanism::DEFAULT, Mechanism::BARE, Mechanism::DEFAULT.without_transitions()];
    for mechanism in named.into_iter().chain(PRESETS.map(|preset| preset.mechanism)) {
        let text = serde_json::to_string(&mechanism).expect("plain data");
        assert_eq!(serde_json::from_str::<Mechanism>(&text).expect("as written"), mechanism);
        if mechanism != Mechanism::DEFAULT {
            assert_eq!(mechanism.to_string().parse(), Ok(mechanism));
        }
    }
    for mechanism in [Mechanism::DEFAULT, Mechanism::BARE, Mechanism::DEFAULT.without_transitions()] {
        assert_eq!(mechanism.check(), Ok(()));
    }
    assert!(serde_json::from_str::<Mechanism>(r#"{ "polls": "none" }"#).is_err(), "no such axis");
}

#[test]
fn a_preset_can_be_changed() {
    let v8 = Preset::named("v8").expect("it is there").mechanism;
    assert_eq!("v8".parse(), Ok(v8));
    assert_eq!("v8,poll=none".parse(), Ok(Mechanism { poll: Poll::None, ..v8 }));
    for (text, complaint) in [
        ("v9", "there is no preset `v9`"),
        ("poll=none,v8", "must come first"),
        ("polls=none", "the axes are binding, placement"),
        ("poll=sometimes", "`stack-limit`"),
        ("", "there is no preset ``"),
    ] {
        let error = text.parse::<Mechanism>().expect_err(text).to_string();
        assert!(error.contains(complaint), "{text}: {error}");
    }
}
