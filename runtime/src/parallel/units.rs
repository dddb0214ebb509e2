//! Times, rates and amounts as ffmpeg's options write them.

use crate::probe::Rational;

/// A time in microseconds: `90`, `1:30`, `00:01:30.5`, `1500ms`. None if it is anything else, or negative.
pub fn time_us(text: &str) -> Option<i64> {
    let parts: Vec<&str> = text.split(':').collect();
    let (whole, last) = match parts[..] {
        [last] => (0, last),
        [minutes, last] => (digits(minutes)? * 60, last),
        [hours, minutes, last] => (digits(hours)? * 3600 + digits(minutes)? * 60, last),
        _ => return None,
    };
    let (number, unit_us) = match () {
        () if parts.len() > 1 => (last, 1_000_000),
        () if last.ends_with("us") => (last.strip_suffix("us")?, 1),
        () if last.ends_with("ms") => (last.strip_suffix("ms")?, 1000),
        () => (last.strip_suffix('s').unwrap_or(last), 1_000_000),
    };
    let (number, fraction) = number.split_once('.').unwrap_or((number, ""));
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // ffmpeg leaves out what is below a microsecond.
    let fraction = digits(&format!("{fraction:0<6}")[..6])?;
    let us = digits(number)?.checked_add(whole)?.checked_mul(unit_us)?;
    us.checked_add(fraction * unit_us / 1_000_000)
}

fn digits(text: &str) -> Option<i64> {
    let is_number = !text.is_empty() && text.len() <= 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

/// Microseconds, as seconds.
pub fn seconds(us: i64) -> String {
    format!("{}.{:06}", us / 1_000_000, us % 1_000_000)
}

/// A rate of frames a second: `25`, `30000/1001`, `ntsc`.
pub fn rate(text: &str) -> Option<Rational> {
    let rational = match text {
        "ntsc" => Rational {
            numerator: 30000,
            denominator: 1001,
        },
        "pal" => Rational {
            numerator: 25,
            denominator: 1,
        },
        "film" => Rational {
            numerator: 24,
            denominator: 1,
        },
        text => match text.split_once('/') {
            Some((numerator, denominator)) => Rational {
                numerator: digits(numerator)?,
                denominator: digits(denominator)?,
            },
            None => Rational {
                numerator: digits(text)?,
                denominator: 1,
            },
        },
    };
    (rational.numerator > 0 && rational.denominator > 0).then_some(rational)
}

/// Bits a second, or bits: `800000`, `800k`, `1.5M`.
pub fn bits(text: &str) -> Option<f64> {
    let (number, factor) = match text.chars().last()? {
        'k' | 'K' => (&text[..text.len() - 1], 1e3),
        'M' => (&text[..text.len() - 1], 1e6),
        'G' => (&text[..text.len() - 1], 1e9),
        _ => (text, 1.0),
    };
    let is_number = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let value: f64 = number.parse().ok().filter(|_| is_number)?;
    Some(value * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_rates_and_amounts_are_those_of_ffmpeg() {
        for (text, us) in [
            ("90", Some(90_000_000)),
            ("1:30", Some(90_000_000)),
            ("00:01:30.25", Some(90_250_000)),
            ("12.3456789", Some(12_345_678)),
            ("1500ms", Some(1_500_000)),
            ("20us", Some(20)),
            ("2.5s", Some(2_500_000)),
            ("-3", None),
            ("1:-3", None),
            ("", None),
            ("1:2:3:4", None),
            ("now", None),
            ("1.2345678x", None),
        ] {
            assert_eq!(time_us(text), us, "{text}");
        }
        let of = |numerator, denominator| Some(Rational { numerator, denominator });
        let rates = ["25", "30000/1001", "ntsc", "0", "1/0", "29.97"].map(rate);
        assert_eq!(rates, [of(25, 1), of(30000, 1001), of(30000, 1001), None, None, None]);
        let amounts = ["800000", "800k", "1.5M", "", "x", "1e3", "-1"].map(bits);
        assert_eq!(
            amounts,
            [
                Some(800_000.0),
                Some(800_000.0),
                Some(1_500_000.0),
                None,
                None,
                None,
                None
            ]
        );
    }
}
