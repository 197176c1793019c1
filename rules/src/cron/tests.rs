use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The occurrences between two instants, as local times with their offset.
fn local(cron: &str, zone: &str, from: &str, until: &str) -> Vec<String> {
    let zone: TimeZone = zone.parse().unwrap();
    CronExpression::parse(cron)
        .unwrap()
        .between(at(from), at(until), zone)
        .map(|at| {
            let local = at.to_utc().with_timezone(&zone.0);
            local.format("%m-%d %H:%M%:z").to_string()
        })
        .collect()
}

fn utc(cron: &str, from: &str, count: usize) -> Vec<String> {
    let cron = CronExpression::parse(cron).unwrap();
    cron.between(at(from), Timestamp::MAX, TimeZone::default())
        .take(count)
        .map(|at| at.to_utc().format("%a %m-%d %H:%M").to_string())
        .collect()
}

#[test]
fn a_range_of_one_day_is_that_day() {
    assert_eq!(
        utc("0 9 * * 0-0", "2026-11-16T00:00:00Z", 2),
        ["Sun 11-22 09:00", "Sun 11-29 09:00"]
    );
}

#[test]
fn days_of_the_week_count_from_sunday_as_0_and_7() {
    for sunday in ["0 9 * * 0", "0 9 * * 7", "0 9 * * SUN", "0 9 * * sun"] {
        assert_eq!(
            utc(sunday, "2026-11-16T00:00:00Z", 1),
            ["Sun 11-22 09:00"],
            "{sunday}"
        );
    }
    assert_eq!(
        utc("0 9 * * 5-7", "2026-11-16T00:00:00Z", 4),
        [
            "Fri 11-20 09:00",
            "Sat 11-21 09:00",
            "Sun 11-22 09:00",
            "Fri 11-27 09:00"
        ]
    );
    assert_eq!(
        utc("0 9 * * FRI-SUN", "2026-11-16T00:00:00Z", 2),
        ["Fri 11-20 09:00", "Sat 11-21 09:00"]
    );
    assert_eq!(
        utc("0 9 * * MON-FRI", "2026-11-20T09:00:00Z", 1),
        ["Mon 11-23 09:00"]
    );
}

#[test]
fn when_both_day_fields_are_set_either_matches() {
    assert_eq!(
        utc("0 12 13 * FRI", "2026-11-01T00:00:00Z", 5),
        [
            "Fri 11-06 12:00",
            "Fri 11-13 12:00",
            "Fri 11-20 12:00",
            "Fri 11-27 12:00",
            "Fri 12-04 12:00"
        ]
    );
    assert_eq!(
        utc("0 12 1,15 * MON", "2026-11-01T12:00:00Z", 3),
        ["Mon 11-02 12:00", "Mon 11-09 12:00", "Sun 11-15 12:00"]
    );
    // A day of month that begins with a star is not "set", as in Vixie cron: both must match.
    assert_eq!(
        utc("0 12 */2 * MON", "2026-11-01T12:00:00Z", 1),
        ["Mon 11-09 12:00"]
    );
}

#[test]
fn nicknames_stand_for_their_five_fields() {
    assert_eq!(
        utc("@hourly", "2026-11-01T00:30:00Z", 1),
        ["Sun 11-01 01:00"]
    );
    assert_eq!(
        utc("@daily", "2026-11-01T00:30:00Z", 1),
        ["Mon 11-02 00:00"]
    );
    assert_eq!(
        utc("@weekly", "2026-11-01T00:30:00Z", 1),
        ["Sun 11-08 00:00"]
    );
    assert_eq!(
        utc("@monthly", "2026-11-01T00:30:00Z", 1),
        ["Tue 12-01 00:00"]
    );
    assert_eq!(
        utc("@yearly", "2026-11-01T00:30:00Z", 1),
        ["Fri 01-01 00:00"]
    );
}

#[test]
fn lists_ranges_and_steps_mean_what_they_do_in_vixie_cron() {
    assert_eq!(
        utc("5/20 8-10/2 * * *", "2026-11-01T00:00:00Z", 4),
        [
            "Sun 11-01 08:05",
            "Sun 11-01 08:25",
            "Sun 11-01 08:45",
            "Sun 11-01 10:05"
        ]
    );
    assert_eq!(
        utc("0 0 29 FEB *", "2026-11-01T00:00:00Z", 1),
        ["Tue 02-29 00:00"]
    );
    assert_eq!(
        utc("0 0 31 jan,MAR *", "2026-02-01T00:00:00Z", 1),
        ["Tue 03-31 00:00"]
    );
}

#[test]
fn an_occurrence_is_later_than_the_instant_asked_about_by_any_fraction() {
    assert_eq!(
        utc("0 9 * * *", "2026-11-01T08:59:59.999Z", 1),
        ["Sun 11-01 09:00"]
    );
    assert_eq!(
        utc("0 9 * * *", "2026-11-01T09:00:00Z", 1),
        ["Mon 11-02 09:00"]
    );
    assert_eq!(
        utc("0 9 * * *", "2026-11-01T09:00:00.500Z", 1),
        ["Mon 11-02 09:00"]
    );
}

#[test]
fn what_is_no_expression_is_refused_with_the_field() {
    for (bad, says) in [
        ("", "0 fields"),
        ("* * * *", "4 fields"),
        ("0 * * * * *", "6 fields"),
        ("@reboot", "@reboot"),
        ("60 * * * *", "minute: expected 0 to 59"),
        ("* 24 * * *", "hour: expected 0 to 23"),
        ("* * 0 * *", "day of month: expected 1 to 31"),
        ("* * L * *", "day of month"),
        ("* * * 13 *", "month: expected 1 to 12 or JAN to DEC"),
        ("* * * * 8", "day of week: expected 0 to 7 or SUN to SAT"),
        ("* * * * FUN", "day of week"),
        ("*/0 * * * *", "minute: the step"),
        ("*/99 * * * *", "minute: the step"),
        ("5-1 * * * *", "ends before it begins"),
        ("+5 * * * *", "minute"),
        ("1,,2 * * * *", "minute"),
        ("1-2-3 * * * *", "minute"),
        ("? * * * *", "minute"),
        ("0 0 30 2 *", "no occurrence"),
        ("0 0 31 4,6,9,11 *", "no occurrence"),
        ("0 0 31 2,4,6,9,11 MON-SUN/8", "day of week: the step"),
        ("every monday", "2 fields"),
        (
            "0 9 * * MON#2",
            "day of week: expected 0 to 7 or SUN to SAT",
        ),
        ("0 9 15W * *", "day of month: expected 1 to 31"),
        ("0 9 * * MON-", "day of week: expected 0 to 7 or SUN to SAT"),
        ("0 9 * FRI *", "month: expected 1 to 12 or JAN to DEC"),
        (
            "0 22-4 * * *",
            "hour: the range \"22-4\" ends before it begins",
        ),
        (
            "0 9 * * FRI-MON",
            "day of week: the range \"FRI-MON\" ends before it begins",
        ),
        (
            "*/-5 * * * *",
            "minute: the step \"/-5\" must be a number from 1 to 59",
        ),
        ("*/ * * * *", "minute: the step"),
        ("1.5 * * * *", "minute"),
        ("99999999999999999999 * * * *", "minute: expected 0 to 59"),
        ("\u{661} * * * *", "minute"),
        ("0 9 * * \u{1f600}", "day of week"),
        ("0\0 * * * *", "minute"),
        ("@every 5m", "\"@every 5m\""),
        ("@DAILY", "one of @hourly @daily @weekly @monthly @yearly"),
        ("0 0 30 FEB *", "is there such a date?"),
        (&"0,".repeat(200_000), "400000 characters"),
    ] {
        let error = CronExpression::parse(bad).unwrap_err().to_string();
        assert!(error.contains(says), "{bad:.40}: {error}");
    }
}

#[test]
fn a_schedule_may_be_kept_from_firing_too_often() {
    let ten_minutes = Duration::from_secs(600);
    assert!(CronExpression::parse_at_least("*/10 * * * *", ten_minutes).is_ok());
    assert!(CronExpression::parse_at_least("* * * * *", SHORTEST_INTERVAL).is_ok());
    let error = CronExpression::parse_at_least("0,5 9 * * *", ten_minutes).unwrap_err();
    assert_eq!(error, CronError::TooOften(300, 600));
    let error = CronExpression::parse_at_least("0,55 * * * *", ten_minutes).unwrap_err();
    assert_eq!(error, CronError::TooOften(300, 600));
}

/// (expression, zone, after, until, local times at which it occurs)
type Change = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static [&'static str],
);

#[test]
fn a_skipped_local_time_occurs_once_right_after_the_gap() {
    let changes: &[Change] = &[
        (
            "30 2 * * *",
            "Europe/Berlin",
            "2026-03-28T12:00:00Z",
            "2026-03-30T12:00:00Z",
            &["03-29 03:00+02:00", "03-30 02:30+02:00"],
        ),
        (
            "0 2 * * *",
            "Europe/Berlin",
            "2026-03-28T12:00:00Z",
            "2026-03-29T12:00:00Z",
            &["03-29 03:00+02:00"],
        ),
        (
            "0 3 * * *",
            "Europe/Berlin",
            "2026-03-28T12:00:00Z",
            "2026-03-29T12:00:00Z",
            &["03-29 03:00+02:00"],
        ),
        (
            "*/10 2 * * *",
            "Europe/Berlin",
            "2026-03-28T12:00:00Z",
            "2026-03-29T12:00:00Z",
            &["03-29 03:00+02:00"],
        ),
        (
            "0 */2 * * *",
            "Europe/Berlin",
            "2026-03-28T22:30:00Z",
            "2026-03-29T03:00:00Z",
            &[
                "03-29 00:00+01:00",
                "03-29 03:00+02:00",
                "03-29 04:00+02:00",
            ],
        ),
        (
            "30 2 * * *",
            "America/New_York",
            "2026-03-07T12:00:00Z",
            "2026-03-09T12:00:00Z",
            &["03-08 03:00-04:00", "03-09 02:30-04:00"],
        ),
        (
            "15 2 * * *",
            "Australia/Lord_Howe",
            "2026-10-03T00:00:00Z",
            "2026-10-04T20:00:00Z",
            &["10-04 02:30+11:00", "10-05 02:15+11:00"],
        ),
        (
            "30 3 * * *",
            "Pacific/Apia",
            "2020-09-26T00:00:00Z",
            "2020-09-27T20:00:00Z",
            &["09-27 04:00+14:00", "09-28 03:30+14:00"],
        ),
        (
            "0 9 * * *",
            "Pacific/Apia",
            "2011-12-29T20:00:00Z",
            "2011-12-31T22:00:00Z",
            &[
                "12-31 00:00+14:00",
                "12-31 09:00+14:00",
                "01-01 09:00+14:00",
            ],
        ),
    ];
    for (cron, zone, from, until, expected) in changes {
        assert_eq!(
            local(cron, zone, from, until),
            *expected,
            "{cron} in {zone}"
        );
    }
}

#[test]
fn a_repeated_local_time_occurs_once() {
    let changes: &[Change] = &[
        (
            "30 3 * * *",
            "Pacific/Apia",
            "2021-04-03T00:00:00Z",
            "2021-04-04T20:00:00Z",
            &["04-04 03:30+14:00", "04-05 03:30+13:00"],
        ),
        (
            "30 2 * * *",
            "Europe/Berlin",
            "2026-10-24T12:00:00Z",
            "2026-10-26T12:00:00Z",
            &["10-25 02:30+02:00", "10-26 02:30+01:00"],
        ),
        (
            "*/20 2 * * *",
            "Europe/Berlin",
            "2026-10-24T12:00:00Z",
            "2026-10-25T12:00:00Z",
            &[
                "10-25 02:00+02:00",
                "10-25 02:20+02:00",
                "10-25 02:40+02:00",
            ],
        ),
        (
            "0 3 * * *",
            "Europe/Berlin",
            "2026-10-24T12:00:00Z",
            "2026-10-25T12:00:00Z",
            &["10-25 03:00+01:00"],
        ),
        (
            "30 1 * * *",
            "America/New_York",
            "2026-10-31T12:00:00Z",
            "2026-11-02T12:00:00Z",
            &["11-01 01:30-04:00", "11-02 01:30-05:00"],
        ),
        (
            "45 1 * * *",
            "Australia/Lord_Howe",
            "2026-04-04T00:00:00Z",
            "2026-04-05T20:00:00Z",
            &["04-05 01:45+11:00", "04-06 01:45+10:30"],
        ),
    ];
    for (cron, zone, from, until, expected) in changes {
        assert_eq!(
            local(cron, zone, from, until),
            *expected,
            "{cron} in {zone}"
        );
    }
}

#[test]
fn a_schedule_for_every_hour_follows_elapsed_time() {
    let changes: &[Change] = &[
        (
            "*/30 * * * *",
            "Europe/Berlin",
            "2026-03-29T00:15:00Z",
            "2026-03-29T01:45:00Z",
            &[
                "03-29 01:30+01:00",
                "03-29 03:00+02:00",
                "03-29 03:30+02:00",
            ],
        ),
        (
            "*/30 * * * *",
            "Europe/Berlin",
            "2026-10-24T23:45:00Z",
            "2026-10-25T02:15:00Z",
            &[
                "10-25 02:00+02:00",
                "10-25 02:30+02:00",
                "10-25 02:00+01:00",
                "10-25 02:30+01:00",
                "10-25 03:00+01:00",
            ],
        ),
        (
            "@hourly",
            "America/New_York",
            "2026-11-01T04:30:00Z",
            "2026-11-01T07:30:00Z",
            &[
                "11-01 01:00-04:00",
                "11-01 01:00-05:00",
                "11-01 02:00-05:00",
            ],
        ),
        (
            "@hourly",
            "America/New_York",
            "2026-03-08T06:30:00Z",
            "2026-03-08T08:30:00Z",
            &["03-08 03:00-04:00", "03-08 04:00-04:00"],
        ),
        (
            "45 * * * *",
            "Europe/Berlin",
            "2026-03-29T00:15:00Z",
            "2026-03-29T02:15:00Z",
            &["03-29 01:45+01:00", "03-29 03:45+02:00"],
        ),
        (
            "@hourly",
            "Pacific/Apia",
            "2011-12-30T08:30:00Z",
            "2011-12-30T11:30:00Z",
            &[
                "12-29 23:00-10:00",
                "12-31 00:00+14:00",
                "12-31 01:00+14:00",
            ],
        ),
        (
            "*/15 * * * *",
            "Australia/Lord_Howe",
            "2026-10-03T15:10:00Z",
            "2026-10-03T15:50:00Z",
            &[
                "10-04 01:45+10:30",
                "10-04 02:30+11:00",
                "10-04 02:45+11:00",
            ],
        ),
        (
            "*/15 * * * *",
            "Australia/Lord_Howe",
            "2026-04-04T14:20:00Z",
            "2026-04-04T15:50:00Z",
            &[
                "04-05 01:30+11:00",
                "04-05 01:45+11:00",
                "04-05 01:30+10:30",
                "04-05 01:45+10:30",
                "04-05 02:00+10:30",
                "04-05 02:15+10:30",
            ],
        ),
    ];
    for (cron, zone, from, until, expected) in changes {
        assert_eq!(
            local(cron, zone, from, until),
            *expected,
            "{cron} in {zone}"
        );
    }
}
