//! Texts from elsewhere as they may go to a terminal: nothing in them moves the cursor, sets colours or changes the order in
//! which the rest is read.

use std::borrow::Cow;

/// A text of several lines.
pub fn plain(text: &str) -> Cow<'_, str> {
    escaped(text, |c| is_command(c) && !matches!(c, '\n' | '\t'))
}

/// A text as one line: one of several would read like lines of ours.
pub fn one_line(text: &str) -> Cow<'_, str> {
    escaped(text, is_command)
}

/// JSON, in which such characters stand in strings only.
pub fn json(text: &str) -> String {
    let escaped = |c: char| match is_command(c) && c != '\n' {
        true => {
            let units = c.encode_utf16(&mut [0; 2]).to_vec();
            let units = units.iter().map(|unit| format!("\\u{unit:04x}"));
            units.collect::<String>()
        }
        false => c.to_string(),
    };
    text.chars().map(escaped).collect()
}

/// A text in which all else stays where it is, byte for byte. Those of one byte are left to who shows it with carets.
pub fn in_place(text: &str) -> Cow<'_, str> {
    let is_replaced = |c: char| is_command(c) && !c.is_ascii();
    if !text.contains(is_replaced) {
        return Cow::Borrowed(text);
    }
    let replaced = |c: char| match (is_replaced(c), c.len_utf8()) {
        (false, _) => c.to_string(),
        (true, 3) => "\u{fffd}".to_owned(),
        (true, bytes) => "\u{b7}".repeat(bytes / 2),
    };
    Cow::Owned(text.chars().map(replaced).collect())
}

fn escaped(text: &str, is_escaped: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_escaped) {
        return Cow::Borrowed(text);
    }
    let escaped = |c: char| match is_escaped(c) {
        true => c.escape_default().collect::<String>(),
        false => c.to_string(),
    };
    Cow::Owned(text.chars().map(escaped).collect())
}

/// Whether a character is a command to a terminal rather than a sign: controls, marks of the direction of writing, and what ends
/// a line or is not seen at all.
fn is_command(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One of each length in bytes, and what is no command.
    const TEXT: &str = "a\u{1b}[31m\u{9b}1m\u{202e}\u{e0041}\n\tü✓\u{7f}";

    #[test]
    fn no_command_is_left() {
        let left = |text: &str| text.chars().filter(|c| is_command(*c)).collect::<String>();
        assert_eq!(left(&plain(TEXT)), "\n\t");
        assert_eq!(left(&one_line(TEXT)), "");
        assert!(left(&in_place(TEXT)).is_ascii());
        let value = serde_json::json!({ TEXT: TEXT });
        let told = json(&format!("{value:#}\n"));
        assert!(left(&told).chars().all(|c| c == '\n'), "{told}");
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&told).unwrap(),
            value
        );
    }

    #[test]
    fn what_is_in_place_is_as_long() {
        let text = in_place(TEXT);
        assert_eq!(text.len(), TEXT.len());
        assert_eq!(text.find('ü'), TEXT.find('ü'));
        assert_eq!(in_place("a: ü\n"), "a: ü\n");
    }
}
