//! A JSON number as the exact decimal that it is, and doubles as tidemill prints them.
//!
//! Decimals are never rounded on the way: only `double` rounds, once, to the nearest.

/// `±digits · 10^exponent`, digits without zeros at either end; zero has none.
#[derive(Debug, PartialEq, Eq)]
pub struct Decimal {
    negative: bool,
    digits: String,
    exponent: i128,
}

impl Decimal {
    /// From the text of a JSON number.
    pub fn read(number: &str) -> Decimal {
        let (mantissa, power) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{}{fraction}", whole.trim_start_matches('-'));
        let without_tail = digits.trim_end_matches('0');
        // A power beyond 10^30 is as good as that: no record has the digits to make up for it.
        let limit = 10_i128.pow(30);
        let power = power.parse().unwrap_or(if power.starts_with('-') { -limit } else { limit }).clamp(-limit, limit);
        let exponent = power - fraction.len() as i128 + (digits.len() - without_tail.len()) as i128;
        let digits = without_tail.trim_start_matches('0').to_owned();
        let exponent = if digits.is_empty() { 0 } else { exponent };
        Decimal { negative: number.starts_with('-'), digits, exponent }
    }

    /// The nearest double; `None` if that is infinite. Too small is 0.
    pub fn double(&self) -> Option<f64> {
        let sign = if self.negative { "-" } else { "" };
        let power = self.exponent + self.digits.len() as i128;
        // One digit before the power keeps the power itself small: the parser of the library gives up on long ones.
        let double: f64 = format!("{sign}0.{}e{power}", self.digits).parse().ok()?;
        double.is_finite().then_some(double)
    }

    /// The integer that this is, exactly; `None` with a fraction or with more than 30 digits, which no time has.
    pub fn whole(&self) -> Option<i128> {
        if self.digits.is_empty() {
            return Some(0);
        }
        if self.exponent < 0 || self.digits.len() as i128 + self.exponent > 30 {
            return None;
        }
        let magnitude = self.digits.parse::<i128>().ok()? * 10_i128.pow(self.exponent as u32);
        Some(if self.negative { -magnitude } else { magnitude })
    }
}

/// A double in the shortest text that reads back the same; whole below 2^53: no fraction, no exponent; −0 as 0.
pub fn shown(double: f64) -> String {
    if double.fract() == 0.0 && double.abs() < 9_007_199_254_740_992.0 {
        format!("{}", double as i64)
    } else {
        format!("{double:?}")
    }
}

/// The double that `text` prints, if it is printed by the rules: the exponent's style is free, the number of digits is
/// not. (Two texts can be the shortest: 2251799813685067.25 lies in the middle between them.)
pub fn read_shown(text: &str) -> Result<f64, String> {
    let double = Decimal::read(text).double().ok_or_else(|| format!("{text} is not a double"))?;
    let right = shown(double);
    let plain = right.bytes().all(|byte| byte == b'-' || byte.is_ascii_digit());
    let shortest = || Decimal::read(text).digits.len() == Decimal::read(&right).digits.len();
    let same = if plain { text == right } else { shortest() };
    if same { Ok(double) } else { Err(format!("{text} should read {right}")) }
}
