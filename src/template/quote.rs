//! Words of a shell.

/// Writes a text as one word of a POSIX shell. Only what may stay bare does; of the two quotes those are taken that leave
/// the text as it is, or nearly so.
pub fn quote(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "@%+=:./_-".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    // What a shell would expand stands out where it is escaped, and shellcheck asks whether it is meant otherwise.
    if !text.contains(['\'', '$', '`']) {
        return format!("'{text}'");
    }
    let mut quoted = String::from('"');
    for character in text.chars() {
        if matches!(character, '"' | '$' | '`' | '\\') {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted.push('"');
    quoted
}
