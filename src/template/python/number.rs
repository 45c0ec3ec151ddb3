//! Numbers: how they add up and how they print.

use minijinja::value::ValueKind;
use minijinja::{Error, Value};

use super::refuse;

/// An integer or a float. Integers have 128 bits here, where Python's have no end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// An integer.
    Integer(i128),
    /// A float.
    Float(f64),
}

impl Number {
    /// The number that a value is; `true` is 1, as in Python.
    pub fn of(value: &Value) -> Option<Self> {
        match value.kind() {
            ValueKind::Bool => Some(Self::Integer(i128::from(value.is_true()))),
            ValueKind::Number if value.is_integer() => {
                i128::try_from(value.clone()).ok().map(Self::Integer)
            }
            ValueKind::Number => f64::try_from(value.clone()).ok().map(Self::Float),
            _ => None,
        }
    }

    /// As a float.
    pub fn float(self) -> f64 {
        match self {
            Self::Integer(number) => number as f64,
            Self::Float(number) => number,
        }
    }

    /// As a value.
    pub fn value(self) -> Value {
        match self {
            Self::Integer(number) => match i64::try_from(number) {
                Ok(number) => Value::from(number),
                Err(_) => Value::from(number),
            },
            Self::Float(number) => Value::from(number),
        }
    }

    /// `self operator other`, for `+ - * / // % **`.
    pub fn calculate(self, operator: &str, other: Self) -> Result<Self, Error> {
        let too_large = || refuse("the result is too large a number");
        let by_zero = || refuse("division by zero");
        let (left, right) = match (self, other) {
            (Self::Integer(left), Self::Integer(right)) => (left, right),
            _ => return floats(self.float(), operator, other.float()),
        };
        let result = match operator {
            "+" => left.checked_add(right),
            "-" => left.checked_sub(right),
            "*" => left.checked_mul(right),
            "/" | "//" | "%" if right == 0 => return Err(by_zero()),
            "/" => return Ok(Self::Float(left as f64 / right as f64)),
            "//" => left.checked_div_euclid(right).map(|quotient| {
                // Euclid's remainder is never negative; Python rounds the quotient down.
                let rest = left.wrapping_rem_euclid(right);
                if right < 0 && rest != 0 {
                    quotient - 1
                } else {
                    quotient
                }
            }),
            "%" => {
                let rest = left.wrapping_rem_euclid(right);
                Some(if right < 0 && rest != 0 {
                    rest + right
                } else {
                    rest
                })
            }
            _ if right < 0 && left == 0 => return Err(by_zero()),
            _ if right < 0 => return floats(left as f64, "**", right as f64),
            _ => u32::try_from(right)
                .ok()
                .filter(|_| !(-1..=1).contains(&left))
                .map_or_else(
                    || match left {
                        0 => Some(i128::from(right == 0)),
                        1 => Some(1),
                        -1 => Some(if right % 2 == 0 { 1 } else { -1 }),
                        _ => None,
                    },
                    |exponent| left.checked_pow(exponent),
                ),
        };
        result.map(Self::Integer).ok_or_else(too_large)
    }
}

fn floats(left: f64, operator: &str, right: f64) -> Result<Number, Error> {
    if right == 0.0 && matches!(operator, "/" | "//" | "%") {
        return Err(refuse("division by zero"));
    }
    let remainder = || {
        let rest = left % right;
        match rest != 0.0 && (rest < 0.0) != (right < 0.0) {
            true => rest + right,
            false if rest == 0.0 => 0.0_f64.copysign(right),
            false => rest,
        }
    };
    Ok(Number::Float(match operator {
        "+" => left + right,
        "-" => left - right,
        "*" => left * right,
        "/" => left / right,
        "//" => {
            let quotient = ((left - remainder()) / right).round();
            match quotient == 0.0 {
                true => 0.0_f64.copysign(left / right),
                false => quotient,
            }
        }
        "%" => remainder(),
        _ if left < 0.0 && right.fract() != 0.0 => {
            return Err(refuse("a negative number has no real root"));
        }
        _ if left == 0.0 && right < 0.0 => return Err(refuse("division by zero")),
        _ => left.powf(right),
    }))
}

/// A float as Python prints it: the shortest text that gives the same number.
pub fn float_text(number: f64) -> String {
    if number.is_nan() {
        return "nan".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        let text = number.to_string();
        return if text.contains('.') {
            text
        } else {
            text + ".0"
        };
    }
    format!("{digits}e{}", exponent_text(exponent))
}

/// An exponent as C prints it: with a sign and at least two digits.
pub fn exponent_text(exponent: i32) -> String {
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{sign}{:02}", exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_print_as_pythons() {
        for (number, text) in [
            (1.0, "1.0"),
            (-0.0, "-0.0"),
            (1e16, "1e+16"),
            (1e15, "1000000000000000.0"),
            (1e-5, "1e-05"),
            (0.0001, "0.0001"),
            (1.5e300, "1.5e+300"),
        ] {
            assert_eq!(float_text(number), text);
        }
    }

    #[test]
    fn quotients_are_rounded_down() {
        let integers = |left, operator, right| {
            Number::Integer(left)
                .calculate(operator, Number::Integer(right))
                .unwrap()
        };
        assert_eq!(integers(-7, "//", 2), Number::Integer(-4));
        assert_eq!(integers(7, "//", -2), Number::Integer(-4));
        assert_eq!(integers(-7, "%", 2), Number::Integer(1));
        assert_eq!(integers(7, "%", -2), Number::Integer(-1));
        assert_eq!(integers(-6, "//", -2), Number::Integer(3));
        assert_eq!(integers(2, "**", -1), Number::Float(0.5));
        assert_eq!(integers(-1, "**", i128::MAX), Number::Integer(-1));
        let over = Number::Integer(i128::MAX).calculate("+", Number::Integer(1));
        assert!(over.is_err());
        assert!(
            Number::Integer(i128::MIN)
                .calculate("//", Number::Integer(-1))
                .is_err()
        );
        assert!(
            Number::Integer(i128::MIN)
                .calculate("%", Number::Integer(-1))
                .is_ok()
        );
    }
}
