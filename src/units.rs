//! Sizes as people write and read them. What is compared or read by programs is told exactly, what is read by people in the unit
//! that reads best.

/// The units, the largest first.
const UNITS: [(&str, u64); 5] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];
/// A number that reads well is less than this.
const LONG: u64 = 10_000;

/// Writes bytes for people: exact where a short number in some unit is, `10 GiB`, `1.5 GiB`, `1025 MiB`; else in one decimal of the
/// largest unit, rounded down: `15.4 MiB`.
pub fn size(bytes: u64) -> String {
    let exact = UNITS.into_iter().find_map(|unit| written(bytes, unit));
    exact
        .filter(|(number, _)| *number < LONG)
        .map_or_else(|| rounded(bytes, largest(bytes)), |(_, text)| text)
}

/// Writes bytes exactly, however long the number gets: `2097728 KiB`.
pub fn exact(bytes: u64) -> String {
    let exact = UNITS.into_iter().find_map(|unit| written(bytes, unit));
    exact.map_or_else(|| format!("{bytes} B"), |(_, text)| text)
}

/// Writes two sizes that are seen together: [`size`] of each, but in a unit that tells them apart where they differ.
pub fn apart(one: u64, other: u64) -> (String, String) {
    let look_alike = |one: &str, other: &str| one.replace(".0 ", " ") == other.replace(".0 ", " ");
    let in_unit = |unit| {
        let told = |bytes| written(bytes, unit).map_or_else(|| rounded(bytes, unit), |it| it.1);
        (told(one), told(other))
    };
    let short = (size(one), size(other));
    if one == other || !look_alike(&short.0, &short.1) {
        return short;
    }
    let mut told = UNITS.into_iter().map(in_unit);
    told.find(|(one, other)| !look_alike(one, other))
        .unwrap_or(short)
}

/// Writes a rate, or an amount that is limited with it, of so many thousand bytes: `10 MB`, as a definition does.
pub fn kilobytes(number: u64) -> String {
    for (unit, factor) in [("GB", 1_000_000), ("MB", 1_000)] {
        if number > 0 && number.is_multiple_of(factor) {
            return format!("{} {unit}", number / factor);
        }
    }
    format!("{number} KB")
}

/// The largest unit that a size has a whole one of.
fn largest(bytes: u64) -> (&'static str, u64) {
    let mut fitting = UNITS.into_iter().filter(|(_, factor)| bytes >= *factor);
    fitting.next().unwrap_or(("B", 1))
}

/// A size in a unit, where that is exact, with its whole part. Quarters are exact in two digits; anything finer is said in a smaller
/// unit.
fn written(bytes: u64, (unit, factor): (&str, u64)) -> Option<(u64, String)> {
    let quarter = (factor / 4).max(1);
    if bytes < factor && factor > 1 || !bytes.is_multiple_of(quarter) {
        return None;
    }
    let whole = bytes / factor;
    let fraction = match bytes % factor / quarter {
        0 => "",
        1 => ".25",
        2 => ".5",
        _ => ".75",
    };
    Some((whole, format!("{whole}{fraction} {unit}")))
}

fn rounded(bytes: u64, (unit, factor): (&str, u64)) -> String {
    let tenths = tenths(bytes, factor);
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

fn tenths(bytes: u64, factor: u64) -> u128 {
    u128::from(bytes) * 10 / u128::from(factor)
}

/// Why a text is not a size or a duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnitError {
    /// It is a number without a unit.
    NoUnit,
    /// There is no such unit.
    UnknownUnit,
    /// It is no number at all, or a negative one.
    NoNumber,
    /// It is not a whole number of bytes or seconds, or too large.
    OutOfRange,
}

/// How many bytes a unit is, as libvirt and QEMU read it, in any case: a bare letter is binary.
/// <https://libvirt.org/formatdomain.html#memory-allocation>
pub fn factor(unit: &str) -> Option<u64> {
    Some(match unit.to_ascii_lowercase().as_str() {
        "b" | "byte" | "bytes" => 1,
        "kb" => 1_000,
        "k" | "kib" => 1 << 10,
        "mb" => 1_000_000,
        "m" | "mib" => 1 << 20,
        "gb" => 1_000_000_000,
        "g" | "gib" => 1 << 30,
        "tb" => 1_000_000_000_000,
        "t" | "tib" => 1 << 40,
        "pb" => 1_000_000_000_000_000,
        "p" | "pib" => 1 << 50,
        "eb" => 1_000_000_000_000_000_000,
        "e" | "eib" => 1 << 60,
        _ => return None,
    })
}

const DURATIONS: [(&str, u64); 3] = [("s", 1), ("m", 60), ("h", 3600)];

/// Reads `1GiB`, `512 MiB`, `1.5G`: the number of bytes. A unit is required.
pub fn parse_size(text: &str) -> Result<u64, UnitError> {
    let (number, unit) = split(text)?;
    match (factor(unit), unit) {
        (Some(factor), _) => scale(number, factor),
        (None, "") => Err(UnitError::NoUnit),
        (None, _) => Err(UnitError::UnknownUnit),
    }
}

/// Reads `90s`, `5m`, `1h`, or a bare number of seconds: the number of seconds.
pub fn parse_duration(text: &str) -> Result<u64, UnitError> {
    let (number, unit) = split(text)?;
    let factor = DURATIONS.iter().find(|(name, _)| *name == unit);
    match (factor, unit) {
        (Some((_, factor)), _) => scale(number, *factor),
        (None, "") => scale(number, 1),
        (None, _) => Err(UnitError::UnknownUnit),
    }
}

fn split(text: &str) -> Result<(&str, &str), UnitError> {
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    if number.is_empty() {
        return Err(UnitError::NoNumber);
    }
    Ok((number, unit.trim()))
}

/// Multiplies in integers, so that `1.1GiB` is refused (it is no whole number) and `1.5GiB` is exact.
fn scale(number: &str, factor: u64) -> Result<u64, UnitError> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let fraction = fraction.trim_end_matches('0');
    if whole.is_empty() || fraction.contains('.') {
        return Err(UnitError::NoNumber);
    }
    if fraction.len() > 9 {
        return Err(UnitError::OutOfRange);
    }
    let digits: u128 = format!("{whole}{fraction}")
        .parse()
        .map_err(|_| UnitError::OutOfRange)?;
    let divisor = 10u128.pow(u32::try_from(fraction.len()).unwrap_or(0));
    let product = digits
        .checked_mul(u128::from(factor))
        .ok_or(UnitError::OutOfRange)?;
    if product % divisor != 0 {
        return Err(UnitError::OutOfRange);
    }
    // libvirt and QEMU hold sizes as signed 64-bit numbers.
    u64::try_from(product / divisor)
        .ok()
        .filter(|bytes| i64::try_from(*bytes).is_ok())
        .ok_or(UnitError::OutOfRange)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;
    const GIB: u64 = 1 << 30;

    #[test]
    fn sizes_are_short() {
        for (bytes, text) in [
            (0, "0 B"),
            (104, "104 B"),
            (1000, "1000 B"),
            (1024, "1 KiB"),
            (20_480, "20 KiB"),
            (GIB, "1 GiB"),
            (3 << 29, "1.5 GiB"),
            (GIB + MIB, "1025 MiB"),
            (10 << 30, "10 GiB"),
            (16_187_392, "15.4 MiB"),
            (49_216 << 10, "48.0 MiB"),
            (2_097_728 << 10, "2.0 GiB"),
            (20_800 << 10, "20.3 MiB"),
            (u64::MAX, "16777215.9 TiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn programs_read_every_byte() {
        for (bytes, text) in [
            (0, "0 B"),
            (16_187_393, "16187393 B"),
            (2_097_728 << 10, "2097728 KiB"),
            (3 << 29, "1.5 GiB"),
        ] {
            assert_eq!(exact(bytes), text);
        }
    }

    #[test]
    fn sizes_that_differ_look_different() {
        for (one, other, texts) in [
            (2 * GIB, 2 * GIB, ("2 GiB", "2 GiB")),
            (512 * MIB, 2 * GIB, ("512 MiB", "2 GiB")),
            (2_097_728 << 10, 20_800 << 10, ("2.0 GiB", "20.3 MiB")),
            (2_097_728 << 10, 2 * GIB, ("2048.5 MiB", "2048 MiB")),
            (GIB + 1, GIB + 2, ("1073741825 B", "1073741826 B")),
            (GIB, GIB + MIB, ("1 GiB", "1025 MiB")),
            (0, 1, ("0 B", "1 B")),
        ] {
            let (a, b) = apart(one, other);
            assert_eq!((a.as_str(), b.as_str()), texts);
        }
    }

    #[test]
    fn rates_are_in_the_definitions_units() {
        let written = [0, 500, 10_000, 12_500, 2_000_000].map(kilobytes);
        assert_eq!(written, ["0 KB", "500 KB", "10 MB", "12500 KB", "2 GB"]);
    }

    #[test]
    fn sizes_need_a_unit() {
        assert_eq!(parse_size("1GiB"), Ok(1 << 30));
        assert_eq!(parse_size("512 MiB"), Ok(512 << 20));
        assert_eq!(parse_size("10G"), Ok(10 << 30));
        assert_eq!(parse_size("1.5GiB"), Ok(3 << 29));
        assert_eq!(parse_size("2gb"), Ok(2_000_000_000));
        assert_eq!(parse_size("1024"), Err(UnitError::NoUnit));
        assert_eq!(parse_size("1 GiX"), Err(UnitError::UnknownUnit));
        assert_eq!(parse_size("-1GiB"), Err(UnitError::NoNumber));
        assert_eq!(parse_size("1.1GiB"), Err(UnitError::OutOfRange));
        assert_eq!(parse_size("9999999999 TiB"), Err(UnitError::OutOfRange));
        assert_eq!(parse_size("1.2.3G"), Err(UnitError::NoNumber));
        assert_eq!(parse_size(""), Err(UnitError::NoNumber));
    }

    #[test]
    fn durations_are_seconds() {
        assert_eq!(parse_duration("90s"), Ok(90));
        assert_eq!(parse_duration("5m"), Ok(300));
        assert_eq!(parse_duration("1.5h"), Ok(5400));
        assert_eq!(parse_duration("7"), Ok(7));
        assert_eq!(parse_duration("3 days"), Err(UnitError::UnknownUnit));
    }
}
