//! Device names as Linux gives them: `vda` to `vdz`, then `vdaa`.

/// The first device name with this prefix that is not taken.
pub fn free(prefix: &str, taken: impl Fn(&str) -> bool) -> String {
    let mut index = 0;
    loop {
        let name = format!("{prefix}{}", letters(index));
        if !taken(&name) {
            return name;
        }
        index += 1;
    }
}

/// The device name with this prefix behind all those that are taken: the disk that has it comes last, and changes neither how
/// the kernel counts the others nor which of them is booted from.
pub fn last<'a>(prefix: &str, taken: impl Iterator<Item = &'a str>) -> String {
    let place = |letters: &str| {
        letters.bytes().try_fold(0usize, |place, letter| {
            let digit = letter
                .checked_sub(b'a' - 1)
                .filter(|digit| (1..=26).contains(digit))?;
            place.checked_mul(26)?.checked_add(usize::from(digit))
        })
    };
    let places = taken.filter_map(|name| place(name.strip_prefix(prefix)?));
    format!("{prefix}{}", letters(places.max().unwrap_or(0)))
}

/// The letters of the disk with this index, from 0: `a`, …, `z`, `aa`.
pub fn letters(mut index: usize) -> String {
    let mut name = Vec::new();
    loop {
        name.push(char::from(b'a' + u8::try_from(index % 26).unwrap_or(0)));
        if index < 26 {
            break name.iter().rev().collect();
        }
        index = index / 26 - 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_lettered_as_linux_does() {
        assert_eq!(letters(0), "a");
        assert_eq!(letters(25), "z");
        assert_eq!(letters(26), "aa");
        assert_eq!(letters(26 * 27), "aaa");
    }

    #[test]
    fn the_last_comes_behind_all() {
        let last = |taken: &[&str]| last("vd", taken.iter().copied());
        assert_eq!(last(&[]), "vda");
        assert_eq!(last(&["sdx", "hda", "vd-"]), "vda");
        assert_eq!(last(&["vdc", "vdb"]), "vdd");
        assert_eq!(last(&["vdz"]), "vdaa");
        assert_eq!(last(&["vdaz", "vdb"]), "vdba");
        assert_eq!(last(&["vdzz"]), "vdaaa");
    }
}
