//! Settings that are varied: `unrolling=1,4` is the engine twice, with everything else equal. And those that have another value
//! in all that is compared.

use std::str::FromStr;

use osr_engine::Settings;
use serde_json::Value;

/// A setting with the values that are compared.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Varied {
    /// Where it is in the settings: names with points between.
    setting: String,
    /// What is given for it, as it is written.
    values: Vec<String>,
}

impl FromStr for Varied {
    type Err = String;

    fn from_str(text: &str) -> Result<Varied, String> {
        let usage =
            || "write SETTING=VALUE,VALUE: unrolling=1,4 or mechanism.poll=flag,stack-limit".to_owned();
        let (setting, values) = text.split_once('=').ok_or_else(usage)?;
        let values = split(values);
        if values.len() < 2 || values.iter().any(String::is_empty) {
            return Err(usage());
        }
        let mut others = values.iter().enumerate();
        if let Some((_, value)) = others.find(|(position, value)| values[..*position].contains(value)) {
            return Err(format!("{setting}={value} is given twice"));
        }
        let varied = Varied { setting: setting.to_owned(), values };
        varied.variants(&Settings::default())?;
        Ok(varied)
    }
}

impl Varied {
    /// What is compared: a name, and `settings` with that value. The error says what they do not have.
    pub(crate) fn variants(&self, settings: &Settings) -> Result<Vec<(String, Settings)>, String> {
        let variant = |value: &String| {
            let name = format!("{}={value}", self.setting);
            Ok((name, changed(settings, &self.setting, value)?))
        };
        self.values.iter().map(variant).collect()
    }
}

/// A setting, with the value that it has in all that is compared.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fixed {
    setting: String,
    value: String,
}

impl FromStr for Fixed {
    type Err = String;

    fn from_str(text: &str) -> Result<Fixed, String> {
        let usage = || "write SETTING=VALUE: tiers=auto or mechanism.poll=flag".to_owned();
        let (setting, value) = text.split_once('=').ok_or_else(usage)?;
        changed(&Settings::default(), setting, value)?;
        Ok(Fixed { setting: setting.to_owned(), value: value.to_owned() })
    }
}

impl Fixed {
    /// `settings` with that value.
    pub(crate) fn put_into(&self, settings: &Settings) -> Result<Settings, String> {
        changed(settings, &self.setting, &self.value)
    }
}

/// `settings`, of which `setting` has the `value`.
fn changed(settings: &Settings, setting: &str, value: &str) -> Result<Settings, String> {
    let mut changed = serde_json::to_value(settings).expect("our data has string keys");
    let pointer = format!("/{}", setting.replace('.', "/"));
    let Some(place) = changed.pointer_mut(&pointer) else {
        let names = |value: &Value| value.as_object().map(|all| all.keys().cloned().collect::<Vec<_>>());
        let parent = pointer.rsplit_once('/').map_or("", |(parent, _)| parent);
        let known = changed.pointer(parent).and_then(names).or_else(|| names(&changed)).unwrap_or_default();
        return Err(format!("there is no setting `{setting}`; there are {}", known.join(", ")));
    };
    // What is no number, list, null or truth is a word.
    *place = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
    let changed: Settings =
        serde_json::from_value(changed).map_err(|error| format!("{setting}={value}: {error}"))?;
    if changed.unrolling == 0 {
        return Err(format!("{setting}={value}: a loop has one copy at least; 1 is not unrolled"));
    }
    changed.mechanism.check().map_err(|refusal| format!("{setting}={value}: {refusal}"))?;
    Ok(changed)
}

/// The parts between commas that are in no brackets.
fn split(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut depth = 0;
    for character in text.chars() {
        match character {
            '{' | '[' => depth += 1,
            '}' | ']' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        parts.last_mut().expect("there is one").push(character);
    }
    parts
}

#[cfg(test)]
mod tests {
    use osr_engine::{Poll, Settings, Tiers};

    use super::{Fixed, Varied};

    fn variants(text: &str) -> Vec<(String, Settings)> {
        let varied: Varied = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
        varied.variants(&Settings::default()).expect("it was checked")
    }

    #[test]
    fn settings_are_varied_by_name() {
        let unrolling = variants("unrolling=1,4");
        assert_eq!(
            unrolling.iter().map(|(name, _)| &**name).collect::<Vec<_>>(),
            ["unrolling=1", "unrolling=4"]
        );
        assert_eq!(unrolling[0].1, Settings { unrolling: 1, ..Settings::default() });
        assert_eq!(variants("mechanism.poll=flag,stack-limit")[0].1.mechanism.poll, Poll::Flag);
        let inlining = variants(r#"inlining=null,{"callee":40,"growth":400,"depth":3,"recursion":1}"#);
        assert_eq!(inlining[0].1.inlining, None);
        assert_eq!(inlining[1].1.inlining.expect("it is on").growth, 400);
    }

    #[test]
    fn settings_are_fixed_by_name() {
        let fixed: Fixed = "tiers=auto".parse().expect("a setting");
        let settings = fixed.put_into(&Settings::default()).expect("it was checked");
        assert_eq!(settings, Settings { tiers: Tiers::Auto, ..Settings::default() });
        assert!("tiers".parse::<Fixed>().expect_err("no value").contains("write SETTING="));
        assert!("tiers=all".parse::<Fixed>().expect_err("no such tiers").contains("tiers=all"));
    }

    #[test]
    fn what_is_no_setting_is_refused() {
        for (text, part) in [
            ("unrolling", "write SETTING="),
            ("unrolling=1", "write SETTING="),
            ("unrolling=1,", "write SETTING="),
            ("unroling=1,2", "there is no setting `unroling`; there are "),
            ("mechanism.pol=flag,none", "binding"),
            ("unrolling=1,1", "unrolling=1 is given twice"),
            ("unrolling=0,1", "unrolling=0: a loop has one copy at least"),
            ("unrolling=1,many", "unrolling=many: invalid type"),
            ("mechanism.release=on-hijack,stack-scan,nonsense", "nonsense"),
        ] {
            let error = text.parse::<Varied>().expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
