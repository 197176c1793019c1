//! What is put together of tests and simplified says what its parts say.

use fastrand::Rng;
use smarttasks_model::predicate::{
    Bounds, Check, Field, Moment, Number, Predicate, Range, Subject, Value,
};
use smarttasks_model::{Priority, Span, Status};
use smarttasks_rules::samples::World;

const CASES: usize = 3_000;

/// Worlds in which each predicate is asked.
const WORLDS: usize = 10;

fn bounds<T: Clone>(random: &mut Rng, mut at: impl FnMut(&mut Rng) -> T) -> Bounds<T> {
    let (min, max) = (at(random), at(random));
    let (from, to) = (
        Bounds::from(min, random.bool()),
        Bounds::up_to(max, random.bool()),
    );
    match random.u8(..3) {
        0 => from,
        1 => to,
        _ => Bounds {
            max: to.max,
            ..from
        },
    }
}

fn moment(random: &mut Rng) -> Moment {
    let offset = Span::from_millis(random.i64(-1..=1) * 86_400_000);
    match random.bool() {
        true => Moment::Now(offset),
        false => Moment::At("2026-12-04T08:00:00Z".parse().unwrap()),
    }
}

fn number(random: &mut Rng) -> Number {
    const FRACTIONS: &[f64] = &[0.3, 2.5, 3.000_000_000_000_000_4, f64::EPSILON];
    match random.bool() {
        true => random.i64(0..4).into(),
        false => Number::fraction(FRACTIONS[random.usize(..FRACTIONS.len())]).unwrap(),
    }
}

fn text(random: &mut Rng) -> String {
    ["acme", "web", "é"][random.usize(..3)].to_owned()
}

fn some<T: Copy>(random: &mut Rng, of: &[T], value: fn(T) -> Value) -> Check {
    let kept = of.iter().filter(|_| random.bool());
    Check::one_of(kept.map(|of| value(*of)).collect::<Vec<_>>())
}

fn test(random: &mut Rng) -> Predicate {
    let (field, check) = match random.u8(..8) {
        0 => (Field::Status, some(random, Status::ALL, Value::Status)),
        1 => (
            Field::Priority,
            some(random, Priority::ALL, Value::Priority),
        ),
        2 => (
            Field::DueAt,
            Check::Range(Range::Time(bounds(random, moment))),
        ),
        3 => (
            Field::CreatedAt,
            Check::Range(Range::Time(bounds(random, moment))),
        ),
        4 => (Field::DueAt, Check::is(Value::Absent)),
        5 => (Field::Project, text_check(random)),
        _ => {
            let check = match random.u8(..4) {
                0 => Check::Range(Range::Number(bounds(random, number))),
                1 => Check::one_of([Value::Number(number(random)), Value::Number(number(random))]),
                2 => Check::one_of([Value::Absent, Value::Bool(true), Value::Text(text(random))]),
                _ => text_check(random),
            };
            (Field::Custom(vec!["a".to_owned()]), check)
        }
    };
    let test = Predicate::test(Subject::Task(field), check);
    match random.bool() {
        true => test.negate(),
        false => test,
    }
}

fn text_check(random: &mut Rng) -> Check {
    match random.u8(..3) {
        0 => Check::Range(Range::Text(bounds(random, text))),
        1 => Check::Holds(text(random)),
        _ => Check::one_of([Value::Text(text(random)), Value::Text(text(random))]),
    }
}

fn predicate(random: &mut Rng, deep: usize) -> Predicate {
    if deep == 0 {
        return test(random);
    }
    let count = random.usize(1..4);
    let parts: Vec<Predicate> = (0..count).map(|_| predicate(random, deep - 1)).collect();
    match random.u8(..5) {
        0 | 1 => Predicate::all(parts),
        2 | 3 => Predicate::any(parts),
        _ => test(random),
    }
}

#[test]
fn what_is_put_together_says_what_its_parts_say() {
    let first = fastrand::u64(..);
    for number in 0..CASES {
        let seed = first.wrapping_add(number as u64);
        let mut random = Rng::with_seed(seed);
        let count = random.usize(2..4);
        let parts: Vec<Predicate> = (0..count).map(|_| predicate(&mut random, 2)).collect();
        let all = Predicate::all(parts.clone());
        let any = Predicate::any(parts.clone());
        for _ in 0..WORLDS {
            let world = World::random(&mut random);
            let holds = |predicate: &Predicate| predicate.holds(&world.facts());
            let said = || {
                let parts: Vec<String> = parts.iter().map(ToString::to_string).collect();
                format!("seed {seed}\n{}\n{world:#?}", parts.join("\n"))
            };
            assert_eq!(holds(&all), parts.iter().all(holds), "{all}\n{}", said());
            assert_eq!(holds(&any), parts.iter().any(holds), "{any}\n{}", said());
            for part in &parts {
                assert_eq!(holds(&part.negate()), !holds(part), "{part}\n{}", said());
            }
        }
    }
}
