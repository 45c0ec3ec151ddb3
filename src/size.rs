//! Sizes as people write them.

/// Writes bytes in the largest binary unit that keeps the number short and exact: `10 GiB`, `1.5 GiB`, `1000 B`.
pub fn size(bytes: u64) -> String {
    const UNITS: [(&str, u64); 4] = [
        ("TiB", 1 << 40),
        ("GiB", 1 << 30),
        ("MiB", 1 << 20),
        ("KiB", 1 << 10),
    ];
    for (unit, factor) in UNITS {
        // Quarters are exact in two digits; anything finer is said in a smaller unit.
        let quarter = factor / 4;
        if bytes >= factor && bytes.is_multiple_of(quarter) {
            let whole = bytes / factor;
            let fraction = match bytes % factor / quarter {
                0 => "",
                1 => ".25",
                2 => ".5",
                _ => ".75",
            };
            return format!("{whole}{fraction} {unit}");
        }
    }
    format!("{bytes} B")
}

/// Writes bytes in one decimal of the largest unit, for sizes of files that nobody chose: `15.4 MiB`.
pub fn about(bytes: u64) -> String {
    for (unit, shift) in [("GiB", 30), ("MiB", 20), ("KiB", 10)] {
        if bytes >> shift > 0 {
            let tenths = (u128::from(bytes) * 10) >> shift;
            return format!("{}.{} {unit}", tenths / 10, tenths % 10);
        }
    }
    format!("{bytes} B")
}

#[cfg(test)]
mod tests {
    use super::{about, size};

    #[test]
    fn sizes_of_files_are_rounded_down() {
        assert_eq!(about(16_187_392), "15.4 MiB");
        assert_eq!(about(104), "104 B");
    }

    #[test]
    fn sizes_are_short_and_exact() {
        for (bytes, text) in [
            (0, "0 B"),
            (1000, "1000 B"),
            (1 << 30, "1 GiB"),
            (3 << 29, "1.5 GiB"),
            ((1 << 30) + (1 << 20), "1025 MiB"),
            (10 << 30, "10 GiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }
}
