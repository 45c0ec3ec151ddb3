//! Sets of processors and nodes, as libvirt reads and writes them. <https://libvirt.org/formatdomain.html#cpu-allocation>

use std::collections::BTreeSet;
use std::fmt;

use serde::{Serialize, Serializer};

/// What is larger makes no sense: libvirt's own sets are smaller still.
const MOST: u32 = 1 << 16;

/// A set of numbers. It is written as libvirt writes it, the shortest way: `0,1,2,^1` is `0,2`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NumberSet(BTreeSet<u32>);

impl NumberSet {
    /// Reads `0-3,^2,7`. `None` for what is not a set.
    pub fn parse(text: &str) -> Option<Self> {
        let mut set = BTreeSet::new();
        for part in text.split(',').map(str::trim) {
            if let Some(not) = part.strip_prefix('^') {
                set.remove(&not.parse().ok()?);
                continue;
            }
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
            if last > MOST || first > last {
                return None;
            }
            set.extend(first..=last);
        }
        Some(Self(set))
    }

    /// Its numbers in order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().copied()
    }
}

impl FromIterator<u32> for NumberSet {
    fn from_iter<I: IntoIterator<Item = u32>>(numbers: I) -> Self {
        Self(numbers.into_iter().collect())
    }
}

impl fmt::Display for NumberSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        for number in self.iter() {
            match ranges.last_mut() {
                Some((_, last)) if *last + 1 == number => *last = number,
                Some(_) | None => ranges.push((number, number)),
            }
        }
        let ranges = ranges.iter().map(|(first, last)| match last - first {
            0 => first.to_string(),
            _ => format!("{first}-{last}"),
        });
        f.write_str(&ranges.collect::<Vec<_>>().join(","))
    }
}

impl Serialize for NumberSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_written_the_shortest_way() {
        for (text, written) in [
            ("3", "3"),
            ("1,0", "0-1"),
            ("0-3,^2", "0-1,3"),
            (" 4 , 0-1", "0-1,4"),
            ("0,^0", ""),
        ] {
            assert_eq!(NumberSet::parse(text).unwrap().to_string(), written);
        }
    }

    #[test]
    fn what_makes_no_sense_is_no_set() {
        for text in ["", "a", "1-", "^", "2-1", "0-99999999999", "auto"] {
            assert_eq!(NumberSet::parse(text), None, "{text}");
        }
    }
}
