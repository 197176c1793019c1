//! Lengths of time in business days.

use crate::support::World;

fn local(world: &World, expression: &str) -> String {
    let shown = world.value(&format!("({expression}).format(\"%a %d %b %H:%M\")"));
    shown.as_str().unwrap().to_owned()
}

#[test]
fn business_days_skip_weekends_and_keep_the_time_of_day() {
    let world = World::new();
    // It is Friday, 9:00.
    for (expression, shown) in [
        ("now() + business_days(1)", "Mon 07 Dec 09:00"),
        ("business_days(6) + now()", "Mon 14 Dec 09:00"),
        ("now() - business_days(5)", "Fri 27 Nov 09:00"),
        ("now() + business_days(0)", "Fri 04 Dec 09:00"),
        ("now() + -business_days(4)", "Mon 30 Nov 09:00"),
        ("now() + days(1) + business_days(1)", "Mon 07 Dec 09:00"),
        ("now() + days(2) + business_days(1)", "Mon 07 Dec 09:00"),
        ("now() + days(1) - business_days(1)", "Fri 04 Dec 09:00"),
        ("now() + days(2) - business_days(1)", "Fri 04 Dec 09:00"),
    ] {
        assert_eq!(local(&world, expression), shown, "{expression}");
    }
}

#[test]
fn business_days_are_those_of_the_zone_of_the_instant() {
    let world = World::new();
    let late = "timestamp(\"2026-12-04T23:30:00Z\")";
    assert_eq!(
        local(
            &world,
            &format!("{late}.in_zone(\"UTC\") + business_days(1)")
        ),
        "Mon 07 Dec 23:30"
    );
    // In Berlin that is Saturday.
    assert_eq!(
        local(&world, &format!("{late} + business_days(1)")),
        "Mon 07 Dec 00:30"
    );
    // The clocks go forward on Sunday, 28 March 2027, and back on 31 October.
    assert_eq!(
        world.value("timestamp(\"2027-03-26T08:00:00Z\") + business_days(1)"),
        "2027-03-29T07:00:00Z"
    );
    assert_eq!(
        world.value("timestamp(\"2027-10-29T07:00:00Z\") + business_days(1)"),
        "2027-11-01T08:00:00Z"
    );
    // In Apia there was no Friday, 30 December 2011.
    assert_eq!(
        world.value("(timestamp(\"2011-12-29T20:00:00Z\").in_zone(\"Pacific/Apia\") + business_days(1)).weekday"),
        "Saturday"
    );
}

#[test]
fn so_many_business_days_on_are_as_many_as_counted_by_hand() {
    let world = World::new();
    let wrong = world.value(
        "let wrong = 0;
         for start in 0..14 { for n in -21..22 {
             let from = now() + days(start);
             let step = days(if n < 0 { -1 } else { 1 });
             let by_hand = from;
             let left = n.abs();
             while left > 0 { by_hand += step; if !by_hand.is_weekend { left -= 1; } }
             if from + business_days(n) != by_hand { wrong += 1; }
         } }
         wrong",
    );
    assert_eq!(wrong, 0);
}

#[test]
fn business_days_are_no_number_and_no_duration() {
    let world = World::new();
    assert_eq!(
        world.value("`${business_days(2)} ${business_days(1)}`"),
        "2 business days 1 business day"
    );
    assert_eq!(world.value("business_days(2) > business_days(1)"), true);
    for script in [
        "business_days(1.5)",
        "business_days(26101)",
        "business_days(-9223372036854775807)",
        "if business_days(1) == 1 { log(1) }",
        "if business_days(1) == days(1) { log(1) }",
        "webhook(\"x\", business_days(1))",
    ] {
        assert!(world.run(script).error.is_some(), "{script}");
    }
    assert_eq!(
        world.value("timestamp(\"9999-12-31T00:00:00Z\") + business_days(26100)"),
        "9999-12-31T23:59:59.999Z"
    );
}
