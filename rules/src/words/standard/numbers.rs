//! Functions on numbers: `int` is whole, `float` is not.

use super::Told;

pub(super) const WORDS: &[Told] = &[
    (
        "abs(number: int | float) -> int | float",
        "Without its sign.",
        "log((-3).abs()); // 3",
    ),
    (
        "sign(number: int | float) -> int",
        "-1, 0 or 1.",
        "log((-3).sign()); // -1",
    ),
    (
        "float.round() -> float",
        "The nearest whole number.",
        "log(2.6.round()); // 3.0",
    ),
    (
        "float.floor() -> float",
        "The next whole number below.",
        "log(2.6.floor()); // 2.0",
    ),
    (
        "float.ceiling() -> float",
        "The next whole number above.",
        "log(2.1.ceiling()); // 3.0",
    ),
    (
        "float.int() -> float",
        "Without what stands behind the point.",
        "log(2.6.int()); // 2.0",
    ),
    (
        "float.fraction() -> float",
        "What stands behind the point.",
        "log(2.5.fraction()); // 0.5",
    ),
    (
        "to_int(number: int | float) -> int",
        "As a whole number, without what stands behind the point.",
        "log(2.6.round().to_int()); // 3",
    ),
    (
        "to_float(number: int | float) -> float",
        "As a number with a point.",
        "log(3.to_float() / 2); // 1.5",
    ),
    (
        "int.is_odd() -> bool",
        "Whether it is odd.",
        "log(3.is_odd); // true",
    ),
    (
        "int.is_even() -> bool",
        "Whether it is even.",
        "log(3.is_even); // false",
    ),
    (
        "is_zero(number: int | float) -> bool",
        "Whether it is zero.",
        "log(0.is_zero); // true",
    ),
    (
        "int.to_hex() -> text",
        "Written in base 16.",
        "log(255.to_hex()); // ff",
    ),
    (
        "int.to_octal() -> text",
        "Written in base 8.",
        "log(8.to_octal()); // 10",
    ),
    (
        "int.to_binary() -> text",
        "Written in base 2.",
        "log(5.to_binary()); // 101",
    ),
    (
        "int.bits(start?: int, length?: int) -> iterator",
        "Its bits, the lowest first, for a `for` loop.",
        "for bit in 5.bits(0, 2) { log(bit); }
// true
// false",
    ),
    (
        "range(from: int | float, to: int | float, step?: int | float) -> iterator",
        "The numbers from one up to another, without it, for a `for` loop.",
        "for n in range(0, 6, 3) { log(n); }
// 0
// 3",
    ),
    (
        "range.start() -> int",
        "Where a range begins.",
        "log((2..5).start); // 2",
    ),
    (
        "range.end() -> int",
        "Where a range ends.",
        "log((2..5).end); // 5",
    ),
    (
        "range.is_inclusive() -> bool",
        "Whether its end belongs to it.",
        "log((2..=5).is_inclusive); // true",
    ),
    (
        "range.is_exclusive() -> bool",
        "Whether its end does not belong to it.",
        "log((2..5).is_exclusive); // true",
    ),
    (
        "range.is_empty() -> bool",
        "Whether no number is in it.",
        "log((5..2).is_empty); // true",
    ),
    (
        "range.contains(number: int) -> bool",
        "Whether the number is in it.",
        "log((9..17).contains(now().hour)); // true",
    ),
];

/// What few rules will ever need.
pub(super) const TRIGONOMETRY: &[Told] = &[
    (
        "sqrt(number: float) -> float",
        "The square root.",
        "log(9.0.sqrt()); // 3.0",
    ),
    (
        "exp(number: float) -> float",
        "e to that power.",
        "log(exp(0.0)); // 1.0",
    ),
    (
        "ln(number: float) -> float",
        "The natural logarithm.",
        "log(ln(1.0)); // 0.0",
    ),
    (
        "log(number: float, base: float) -> float",
        "The logarithm to a base. With one argument, `log` writes to the log.",
        "log(log(8.0, 2.0)); // 3.0",
    ),
    (
        "hypot(x: float, y: float) -> float",
        "The square root of the sum of both squares.",
        "log(hypot(3.0, 4.0)); // 5.0",
    ),
    (
        "sin(angle: float) -> float",
        "The sine of an angle in radians.",
        "log(sin(0.0)); // 0.0",
    ),
    (
        "cos(angle: float) -> float",
        "The cosine of an angle in radians.",
        "log(cos(0.0)); // 1.0",
    ),
    (
        "tan(angle: float) -> float",
        "The tangent of an angle in radians.",
        "log(tan(0.0)); // 0.0",
    ),
    (
        "asin(number: float) -> float",
        "The angle of this sine.",
        "log(asin(0.0)); // 0.0",
    ),
    (
        "acos(number: float) -> float",
        "The angle of this cosine.",
        "log(acos(1.0)); // 0.0",
    ),
    (
        "atan(number: float, x?: float) -> float",
        "The angle of this tangent; with two numbers, of the point at y and x.",
        "log(atan(0.0, 1.0)); // 0.0",
    ),
    (
        "sinh(number: float) -> float",
        "The hyperbolic sine.",
        "log(sinh(0.0)); // 0.0",
    ),
    (
        "cosh(number: float) -> float",
        "The hyperbolic cosine.",
        "log(cosh(0.0)); // 1.0",
    ),
    (
        "tanh(number: float) -> float",
        "The hyperbolic tangent.",
        "log(tanh(0.0)); // 0.0",
    ),
    (
        "asinh(number: float) -> float",
        "Its inverse of `sinh`.",
        "log(asinh(0.0)); // 0.0",
    ),
    (
        "acosh(number: float) -> float",
        "Its inverse of `cosh`.",
        "log(acosh(1.0)); // 0.0",
    ),
    (
        "atanh(number: float) -> float",
        "Its inverse of `tanh`.",
        "log(atanh(0.0)); // 0.0",
    ),
    (
        "to_radians(degrees: float) -> float",
        "Degrees as radians.",
        "log(to_radians(180.0) == PI()); // true",
    ),
    (
        "to_degrees(radians: float) -> float",
        "Radians as degrees.",
        "log(to_degrees(PI())); // 180.0",
    ),
    ("PI() -> float", "3.14159…", "log(PI().floor()); // 3.0"),
    ("E() -> float", "2.71828…", "log(E().floor()); // 2.0"),
    (
        "float.is_nan() -> bool",
        "Whether it is no number, as 0.0 / 0.0 is.",
        "log((0.0 / 0.0).is_nan); // true",
    ),
    (
        "float.is_finite() -> bool",
        "Whether it is neither infinite nor no number.",
        "log(1.5.is_finite); // true",
    ),
    (
        "float.is_infinite() -> bool",
        "Whether it is infinite, as 1.0 / 0.0 is.",
        "log((1.0 / 0.0).is_infinite); // true",
    ),
];
