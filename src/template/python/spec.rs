//! What `%` and `format` have in common: numbers as digits, and texts filled up to a width.

use minijinja::Error;

use super::number::exponent_text;
use super::refuse;

/// The widest field and the longest precision.
const WIDEST: usize = 100_000;
const MOST_DIGITS: usize = 1000;

/// How a value is to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spec {
    /// What the field is filled up with.
    pub fill: char,
    /// `<`, `>`, `^`, or `=` between the sign and the digits; by the kind of the value where it is not given.
    pub align: Option<char>,
    /// `+`, `-` or a space.
    pub sign: char,
    /// `#`: with `0x` and its like, and a float always with its point.
    pub alternate: bool,
    /// The least number of characters.
    pub width: usize,
    /// `,` or `_` between thousands.
    pub grouping: Option<char>,
    /// Digits behind the point, or characters of a string.
    pub precision: Option<usize>,
    /// The conversion, as `d` or `x`.
    pub conversion: Option<char>,
}

impl Default for Spec {
    fn default() -> Self {
        Self {
            fill: ' ',
            align: None,
            sign: '-',
            alternate: false,
            width: 0,
            grouping: None,
            precision: None,
            conversion: None,
        }
    }
}

impl Spec {
    /// Refuses what no text needs.
    pub fn check(&self) -> Result<(), Error> {
        if self.width > WIDEST {
            return Err(refuse(format!(
                "a field is at most {WIDEST} characters wide"
            )));
        }
        match self.precision {
            Some(digits) if digits > MOST_DIGITS => Err(refuse(format!(
                "a number has at most {MOST_DIGITS} digits behind its point"
            ))),
            _ => Ok(()),
        }
    }

    /// A text, filled up to the width.
    pub fn text(&self, text: &str) -> String {
        let cut: String = match self.precision {
            Some(most) => text.chars().take(most).collect(),
            None => text.to_owned(),
        };
        self.filled("", &cut, '<')
    }

    /// A number's sign, its prefix and its digits, filled up to the width.
    pub fn number(&self, negative: bool, prefix: &str, digits: &str) -> String {
        let sign = match (negative, self.sign) {
            (true, _) => "-",
            (false, '+') => "+",
            (false, ' ') => " ",
            (false, _) => "",
        };
        self.filled(&format!("{sign}{prefix}"), digits, '>')
    }

    fn filled(&self, before: &str, text: &str, default: char) -> String {
        let length = before.chars().count() + text.chars().count();
        let missing = self.width.saturating_sub(length);
        let fill = |count: usize| self.fill.to_string().repeat(count);
        match self.align.unwrap_or(default) {
            '<' => format!("{before}{text}{}", fill(missing)),
            '^' => {
                let left = missing / 2;
                format!("{}{before}{text}{}", fill(left), fill(missing - left))
            }
            '=' => format!("{before}{}{text}", fill(missing)),
            _ => format!("{}{before}{text}", fill(missing)),
        }
    }

    /// An integer in the base of its conversion.
    pub fn integer(&self, number: i128) -> String {
        let value = number.unsigned_abs();
        let (prefix, digits) = match self.conversion {
            Some('x') => ("0x", format!("{value:x}")),
            Some('X') => ("0X", format!("{value:X}")),
            Some('o') => ("0o", format!("{value:o}")),
            Some('b') => ("0b", format!("{value:b}")),
            _ => ("", value.to_string()),
        };
        let group = if prefix.is_empty() { 3 } else { 4 };
        let digits = self.grouped(&digits, group, "");
        let prefix = if self.alternate { prefix } else { "" };
        self.number(number < 0, prefix, &digits)
    }

    /// A float by its conversion: `e`, `f` or `g`, or the same in capitals.
    pub fn float(&self, number: f64) -> String {
        let conversion = self.conversion.unwrap_or('g');
        let digits = float_digits(
            number.abs(),
            conversion,
            self.precision.unwrap_or(6),
            self.alternate,
        );
        self.float_text(number.is_sign_negative() && !number.is_nan(), &digits)
    }

    /// A float's digits, with the thousands apart if asked for.
    pub fn float_text(&self, negative: bool, digits: &str) -> String {
        let whole = digits
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(digits.len());
        let digits = self.grouped(&digits[..whole], 3, &digits[whole..]);
        self.number(negative, "", &digits)
    }

    fn grouped(&self, whole: &str, size: usize, rest: &str) -> String {
        let Some(mark) = self.grouping else {
            return format!("{whole}{rest}");
        };
        // Zeros that fill the width are grouped like digits.
        let zeros = match (self.fill, self.align) {
            ('0', Some('=')) => {
                let room = self.width.saturating_sub(rest.len());
                (room * size / (size + 1) + 1).saturating_sub(whole.len())
            }
            _ => 0,
        };
        let mut all: Vec<char> = "0".repeat(zeros).chars().chain(whole.chars()).collect();
        if zeros > 0 {
            while all.len() > whole.len()
                && all.len() + (all.len() - 1) / size + rest.len() > self.width
            {
                all.remove(0);
            }
        }
        let mut out = String::new();
        for (index, digit) in all.iter().enumerate() {
            if index > 0 && (all.len() - index).is_multiple_of(size) {
                out.push(mark);
            }
            out.push(*digit);
        }
        out + rest
    }
}

/// The digits of a float that is not negative, as C prints them.
pub fn float_digits(number: f64, conversion: char, precision: usize, alternate: bool) -> String {
    let capital = conversion.is_ascii_uppercase();
    let text = if number.is_nan() {
        "nan".to_owned()
    } else if number.is_infinite() {
        "inf".to_owned()
    } else {
        match conversion.to_ascii_lowercase() {
            'f' => with_point(format!("{number:.precision$}"), alternate),
            'e' => scientific(number, precision, alternate),
            _ => general(number, precision.max(1), alternate),
        }
    };
    if capital { text.to_uppercase() } else { text }
}

fn with_point(text: String, always: bool) -> String {
    match always && !text.contains('.') {
        true => text + ".",
        false => text,
    }
}

fn scientific(number: f64, precision: usize, alternate: bool) -> String {
    let (digits, exponent) = mantissa(number, precision);
    format!(
        "{}e{}",
        with_point(digits, alternate),
        exponent_text(exponent)
    )
}

fn mantissa(number: f64, precision: usize) -> (String, i32) {
    let text = format!("{number:.precision$e}");
    match text.split_once('e') {
        Some((digits, exponent)) => (digits.to_owned(), exponent.parse().unwrap_or(0)),
        None => (text, 0),
    }
}

fn general(number: f64, digits: usize, alternate: bool) -> String {
    let (_, exponent) = mantissa(number, digits - 1);
    let most = i32::try_from(digits).unwrap_or(i32::MAX);
    let short = |text: String| match text.contains('.') && !alternate {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => with_point(text, alternate),
    };
    if (-4..most).contains(&exponent) {
        let behind = usize::try_from(most - 1 - exponent).unwrap_or(0);
        return short(format!("{number:.behind$}"));
    }
    let (digits, exponent) = mantissa(number, digits - 1);
    format!("{}e{}", short(digits), exponent_text(exponent))
}
