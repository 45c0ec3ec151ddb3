//! How values are written in the files of other programs. Paths come without control characters: `resolve` sees to that.

/// A value of a unit file, where `%` begins a specifier. systemd.unit(5)
pub(super) fn unit(text: &str) -> String {
    text.replace('%', "%%")
}

/// A path in exports(5): what ends a word or begins a comment is written in octal.
pub(super) fn exports(path: &str) -> String {
    let mut text = String::new();
    for c in path.chars() {
        match c {
            ' ' | '"' | '\\' | '#' => text.push_str(&format!("\\{:03o}", u32::from(c))),
            _ => text.push(c),
        }
    }
    text
}

/// A key or path in a map of autofs's: a backslash before whatever might mean something. autofs(5)
pub(super) fn autofs(path: &str) -> String {
    let mut text = String::new();
    for c in path.chars() {
        if !c.is_ascii_alphanumeric() && !"/._-".contains(c) {
            text.push('\\');
        }
        text.push(c);
    }
    text
}

/// What stands between double quotes in the configuration of nginx or httpd.
pub(super) fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

/// A path where httpd takes patterns. Without a wildcard in it, it is no pattern and stays as it is; and with wildcards that
/// all have a backslash it would be none, but for the backslashes.
pub(super) fn pattern(path: &str) -> String {
    if !path.contains(['*', '?', '[']) {
        return path.to_owned();
    }
    let mut text = String::new();
    for c in path.chars() {
        match c {
            '*' | '?' | '[' => text.extend(['[', c, ']']),
            '\\' => text.push_str("\\\\"),
            _ => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_something_elsewhere_is_escaped() {
        assert_eq!(unit("/50% \"a\""), "/50%% \"a\"");
        assert_eq!(exports(r##"/a b/"c#\"##), r"/a\040b/\042c\043\134");
        assert_eq!(autofs("/it's a&$b.iso"), r"/it\'s\ a\&\$b.iso");
        assert_eq!(quoted(r#"/a "b"\c"#), r#"/a \"b\"\\c"#);
        assert_eq!(pattern(r"/a[1]*\b"), r"/a[[]1][*]\\b");
        assert_eq!(pattern(r"/a\]b"), r"/a\]b");
    }
}
