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

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn words_survive_a_shell() {
        assert_eq!(quote("a/b-c_1.2:3@4"), "a/b-c_1.2:3@4");
        assert_eq!(quote("a,b"), "'a,b'");
        for odd in [
            "", "a b", "it's", "$(x)", "`x`", "~", "a;b", "\\", "\"", "ä", "-n\n*", "a\\$b'\"",
            "!x'", "'\\\\",
        ] {
            for shell in ["sh", "bash"] {
                let output = std::process::Command::new(shell)
                    .args(["-c", &format!("printf %s {}", quote(odd))])
                    .output()
                    .unwrap();
                assert_eq!(String::from_utf8(output.stdout).unwrap(), odd);
            }
        }
    }
}
