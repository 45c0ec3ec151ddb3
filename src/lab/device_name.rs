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
