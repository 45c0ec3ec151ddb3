//! The value of an option of `virt-install`.

/// Words of an option, each with its value.
pub(super) type Parts = Vec<(String, String)>;

/// `a=1,b=2`, as virt-install reads it: by the rules of a shell, with commas between words.
pub(super) fn joined<T: AsRef<str>>(parts: &[(T, T)]) -> String {
    let part = |(key, value): &(T, T)| {
        let (key, value) = (key.as_ref(), value.as_ref());
        if value.contains([',', '"', '\'', '\\']) {
            let escaped = value.replace('\\', r"\\").replace('"', "\\\"");
            format!("{key}=\"{escaped}\"")
        } else {
            format!("{key}={value}")
        }
    };
    parts.iter().map(part).collect::<Vec<_>>().join(",")
}

/// What virt-install has no word for, by its place in the XML.
pub(super) fn by_place(places: impl IntoIterator<Item = (String, String)>) -> Parts {
    let places = places.into_iter().enumerate();
    let parts = places.flat_map(|(i, (place, value))| {
        [
            (format!("xpath{i}.set"), place),
            (format!("xpath{i}.value"), value),
        ]
    });
    parts.collect()
}

#[cfg(test)]
mod tests {
    use super::joined;

    #[test]
    fn commas_in_values_are_kept_apart_from_those_between() {
        assert_eq!(
            joined(&[("vol", "my pool/a,b"), ("bus", "virtio")]),
            "vol=\"my pool/a,b\",bus=virtio"
        );
        assert_eq!(joined(&[("path", r#"a"b\c"#)]), r#"path="a\"b\\c""#);
    }
}
