//! Numbers, compared as scripts compare them.

use std::cmp::Ordering;
use std::fmt;

/// A whole number or a fraction, never infinite.
///
/// Two whole numbers compare exactly; as soon as one of them is a fraction, numbers that differ by
/// no more than the last bit are equal, as in a script. Whoever looks numbers up by their order
/// looks from [`Number::least`] to [`Number::most`].
#[derive(Clone, Copy)]
pub struct Number(Kind);

#[derive(Clone, Copy)]
enum Kind {
    Whole(i64),
    Fraction(f64),
}

/// Below this, whole numbers as fractions differ by more than a script's comparison leaves open.
const EXACT: f64 = 1e15;

impl Number {
    /// A number with a fraction; none of what is no number. One without a fraction after all is
    /// a whole number.
    pub fn fraction(value: f64) -> Option<Self> {
        if !value.is_finite() {
            return None;
        }
        if value.fract() == 0.0 && value.abs() < EXACT {
            // Exact within this bound.
            return Some(Self(Kind::Whole(value as i64)));
        }
        Some(Self(Kind::Fraction(value)))
    }

    /// The number of a JSON document, as a script sees it.
    pub fn of_json(number: &serde_json::Number) -> Option<Self> {
        match number.as_i64() {
            Some(whole) => Some(whole.into()),
            // Not made whole: a script tells 3.0 from 3 where it compares large numbers.
            None => number
                .as_f64()
                .filter(|value| value.is_finite())
                .map(|value| Self(Kind::Fraction(value))),
        }
    }

    /// Its value, rounded where it has more than 53 bits.
    pub fn value(self) -> f64 {
        match self.0 {
            Kind::Whole(whole) => whole as f64,
            Kind::Fraction(value) => value,
        }
    }

    /// Itself, when it is whole.
    pub fn whole(self) -> Option<i64> {
        match self.0 {
            Kind::Whole(whole) => Some(whole),
            Kind::Fraction(_) => None,
        }
    }

    /// No number that a script calls equal to this one is less.
    pub fn least(self) -> f64 {
        self.value() - self.leeway()
    }

    /// No number that a script calls equal to this one is more.
    pub fn most(self) -> f64 {
        self.value() + self.leeway()
    }

    fn leeway(self) -> f64 {
        8.0 * f64::EPSILON * self.value().abs().max(1.0)
    }

    /// Whether a script calls the two equal.
    pub fn equals(self, other: Self) -> bool {
        match self.pair(other) {
            Ok((a, b)) => a == b,
            Err((a, b)) => {
                let scale = scale(a, b);
                scale == 0.0 || (a - b).abs() / scale <= f64::EPSILON
            }
        }
    }

    /// Whether a script calls this one less.
    pub fn is_less(self, other: Self) -> bool {
        match self.pair(other) {
            Ok((a, b)) => a < b,
            Err((a, b)) => {
                let scale = scale(a, b);
                scale != 0.0 && (b - a) / scale > f64::EPSILON
            }
        }
    }

    /// Whether a script calls this one less or equal.
    pub fn is_at_most(self, other: Self) -> bool {
        match self.pair(other) {
            Ok((a, b)) => a <= b,
            Err((a, b)) => {
                let scale = scale(a, b);
                scale == 0.0 || (b - a) / scale > -f64::EPSILON
            }
        }
    }

    /// Whether the two differ by so much that no number is nearly equal to both.
    pub(super) fn is_far_from(self, other: Self) -> bool {
        let (a, b) = (self.value(), other.value());
        (a - b).abs() > 1e-12 * a.abs().max(b.abs()).max(1.0)
    }

    fn pair(self, other: Self) -> Result<(i64, i64), (f64, f64)> {
        match (self.0, other.0) {
            (Kind::Whole(a), Kind::Whole(b)) => Ok((a, b)),
            _ => Err((self.value(), other.value())),
        }
    }

    /// By which it is told from others and put in order, not compared.
    fn key(self) -> (bool, i64, u64) {
        match self.0 {
            Kind::Whole(whole) => (false, whole, 0),
            Kind::Fraction(value) => (true, 0, value.to_bits()),
        }
    }
}

/// What a difference is measured by, as Rhai does.
fn scale(a: f64, b: f64) -> f64 {
    if a * b == 0.0 {
        1.0
    } else {
        a.abs().max(b.abs())
    }
}

impl From<i64> for Number {
    fn from(whole: i64) -> Self {
        Self(Kind::Whole(whole))
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Number {}

impl std::hash::Hash for Number {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        self.value()
            .total_cmp(&other.value())
            .then_with(|| self.key().cmp(&other.key()))
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Kind::Whole(whole) => whole.fmt(f),
            Kind::Fraction(value) => value.fmt(f),
        }
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
