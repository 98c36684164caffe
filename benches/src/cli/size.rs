//! Sizes in bytes, as people write them: `65536`, `512k`, `8M`, `1G`.

use std::fmt;
use std::str::FromStr;

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Size(usize);

const UNITS: [(char, u32); 3] = [('k', 10), ('M', 20), ('G', 30)];

impl Size {
    /// Holds some 500,000 frames of small functions.
    pub(crate) const DEFAULT_STACK: Size = Size(64 << 20);
    /// The runtime's reserve, and a little for the guest.
    pub(crate) const MINIMUM_STACK: Size = Size(512 << 10);

    /// The number.
    pub(crate) fn bytes(self) -> usize {
        self.0
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Size, String> {
        let unit = UNITS.iter().find(|(unit, _)| {
            text.ends_with(*unit)
                || text.ends_with(unit.to_ascii_lowercase())
                || text.ends_with(unit.to_ascii_uppercase())
        });
        let (digits, shift) = unit.map_or((text, 0), |&(_, shift)| (&text[..text.len() - 1], shift));
        let number: usize = digits
            .parse()
            .map_err(|_| "write a number of bytes, with k, M or G for more of them".to_owned())?;
        number
            .checked_mul(1 << shift)
            .map(Size)
            .ok_or_else(|| "that is more than there are addresses".to_owned())
    }
}

impl fmt::Display for Size {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = |shift: u32| self.0 != 0 && self.0.is_multiple_of(1 << shift);
        match UNITS.iter().rev().find(|&&(_, shift)| exact(shift)) {
            Some((unit, shift)) => write!(formatter, "{}{unit}", self.0 >> shift),
            None => write!(formatter, "{}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Size;

    #[test]
    fn sizes_are_read_and_printed() {
        for (text, bytes, printed) in [
            ("0", 0, "0"),
            ("65537", 65_537, "65537"),
            ("512k", 512 << 10, "512k"),
            ("512K", 512 << 10, "512k"),
            ("8M", 8 << 20, "8M"),
            ("2048m", 2 << 30, "2G"),
        ] {
            let size: Size = text.parse().unwrap();
            assert_eq!((size.bytes(), size.to_string().as_str()), (bytes, printed), "{text}");
        }
        for text in ["", "M", "-1", "8 M", "1.5G", "8T", "99999999999999999G"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }
}
