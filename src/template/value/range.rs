//! Python's `range`: numbers that are not there until they are asked for.

use std::fmt;
use std::sync::Arc;

use minijinja::Value;
use minijinja::value::{Enumerator, Object, ObjectRepr};

/// The numbers from `start` on, `step` apart, as long as they are before `stop`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// The first number.
    pub start: i64,
    /// The first that does not belong to it.
    pub stop: i64,
    /// What lies between two; never 0.
    pub step: i64,
}

impl Range {
    /// How many numbers there are.
    pub fn len(&self) -> usize {
        let (start, stop, step) = (
            i128::from(self.start),
            i128::from(self.stop),
            i128::from(self.step),
        );
        let length = match step > 0 {
            true if stop > start => (stop - start - 1) / step + 1,
            false if step < 0 && start > stop => (start - stop - 1) / -step + 1,
            _ => 0,
        };
        usize::try_from(length).unwrap_or(usize::MAX)
    }

    /// The number at this place.
    pub fn at(&self, index: usize) -> Option<i64> {
        if index >= self.len() {
            return None;
        }
        let number = i128::from(self.start) + i128::from(self.step) * index as i128;
        i64::try_from(number).ok()
    }

    /// Whether the number belongs to it.
    pub fn contains(&self, number: i128) -> bool {
        let (start, stop, step) = (
            i128::from(self.start),
            i128::from(self.stop),
            i128::from(self.step),
        );
        let within = match step > 0 {
            true => start <= number && number < stop,
            false => stop < number && number <= start,
        };
        within && (number - start) % step == 0
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "range({}, {}", self.start, self.stop)?;
        if self.step != 1 {
            write!(f, ", {}", self.step)?;
        }
        f.write_str(")")
    }
}

impl Object for Range {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.at(key.as_usize()?).map(Value::from)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Seq(self.len())
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(self.len())
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_count_and_contain_as_pythons() {
        let range = |start, stop, step| Range { start, stop, step };
        assert_eq!(range(0, 10, 3).len(), 4);
        assert_eq!(range(10, 0, -3).len(), 4);
        assert_eq!(range(0, 0, 1).len(), 0);
        assert_eq!(range(5, 0, 1).len(), 0);
        assert_eq!(range(i64::MIN, i64::MAX, 1).at(3), Some(i64::MIN + 3));
        assert!(range(10, 0, -3).contains(4));
        assert!(!range(10, 0, -3).contains(5));
    }
}
