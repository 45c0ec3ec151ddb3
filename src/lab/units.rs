//! Sizes and durations as people write them.

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

/// The units of sizes; a bare letter is binary, as QEMU and `qemu-img` have it.
const SIZES: [(&str, u64); 13] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("K", 1 << 10),
    ("M", 1 << 20),
    ("G", 1 << 30),
    ("T", 1 << 40),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
];

const DURATIONS: [(&str, u64); 3] = [("s", 1), ("m", 60), ("h", 3600)];

/// Reads `1GiB`, `512 MiB`, `1.5G`: the number of bytes. A unit is required.
pub fn size(text: &str) -> Result<u64, UnitError> {
    let (number, unit) = split(text)?;
    let factor = SIZES
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(unit))
        .map(|(_, factor)| *factor);
    match (factor, unit) {
        (Some(factor), _) => scale(number, factor),
        (None, "") => Err(UnitError::NoUnit),
        (None, _) => Err(UnitError::UnknownUnit),
    }
}

/// Reads `90s`, `5m`, `1h`, or a bare number of seconds: the number of seconds.
pub fn duration(text: &str) -> Result<u64, UnitError> {
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

    #[test]
    fn sizes_need_a_unit() {
        assert_eq!(size("1GiB"), Ok(1 << 30));
        assert_eq!(size("512 MiB"), Ok(512 << 20));
        assert_eq!(size("10G"), Ok(10 << 30));
        assert_eq!(size("1.5GiB"), Ok(3 << 29));
        assert_eq!(size("2gb"), Ok(2_000_000_000));
        assert_eq!(size("1024"), Err(UnitError::NoUnit));
        assert_eq!(size("1 GiX"), Err(UnitError::UnknownUnit));
        assert_eq!(size("-1GiB"), Err(UnitError::NoNumber));
        assert_eq!(size("1.1GiB"), Err(UnitError::OutOfRange));
        assert_eq!(size("9999999999 TiB"), Err(UnitError::OutOfRange));
        assert_eq!(size("1.2.3G"), Err(UnitError::NoNumber));
        assert_eq!(size(""), Err(UnitError::NoNumber));
    }

    #[test]
    fn durations_are_seconds() {
        assert_eq!(duration("90s"), Ok(90));
        assert_eq!(duration("5m"), Ok(300));
        assert_eq!(duration("1.5h"), Ok(5400));
        assert_eq!(duration("7"), Ok(7));
        assert_eq!(duration("3 days"), Err(UnitError::UnknownUnit));
    }
}
