use super::*;

fn cron(text: &str, zone: &str) -> Rhythm {
    Rhythm::new(Some(text), None, zone).unwrap()
}

fn at(text: &str) -> Timestamp {
    Timestamp::from_micros(text.parse::<Moment>().unwrap().as_microsecond())
}

/// The next times after one, without what all of them end with.
fn after(rhythm: &Rhythm, from: &str, count: usize) -> Vec<String> {
    let short = |at: Timestamp| at.to_string().replace(":00.000000Z", "");
    let times = rhythm.upcoming(rhythm.after(at(from)).unwrap(), count);
    times.into_iter().map(short).collect()
}

#[test]
fn expressions_of_five_and_six_fields_with_names_ranges_steps_and_lists() {
    for (text, from, expected) in [
        ("0 9 * * 1-5", "2026-11-20T09:00:00Z", ["2026-11-23T09:00", "2026-11-24T09:00"]),
        ("0 9 * * mon-FRI", "2026-11-20T09:00:00Z", ["2026-11-23T09:00", "2026-11-24T09:00"]),
        ("0 0 1 jan,Jul *", "2026-03-01T00:00:00Z", ["2026-07-01T00:00", "2027-01-01T00:00"]),
        ("*/20 8-9 * * *", "2026-03-01T08:20:00Z", ["2026-03-01T08:40", "2026-03-01T09:00"]),
        ("5,50 * * * *", "2026-03-01T08:20:00Z", ["2026-03-01T08:50", "2026-03-01T09:05"]),
        ("0 0 29 2 *", "2026-03-01T00:00:00Z", ["2028-02-29T00:00", "2032-02-29T00:00"]),
        ("0 0 L * *", "2026-02-01T00:00:00Z", ["2026-02-28T00:00", "2026-03-31T00:00"]),
        ("0 0 15W * *", "2026-08-01T00:00:00Z", ["2026-08-14T00:00", "2026-09-15T00:00"]),
        ("0 0 * * mon#1", "2026-11-01T00:00:00Z", ["2026-11-02T00:00", "2026-12-07T00:00"]),
        // With a day of the month and one of the week, either will do.
        ("0 0 13 * FRI", "2026-11-10T00:00:00Z", ["2026-11-13T00:00", "2026-11-20T00:00"]),
        ("0 30 4 * * *", "2026-03-01T04:30:00Z", ["2026-03-02T04:30", "2026-03-03T04:30"]),
    ] {
        assert_eq!(after(&cron(text, "UTC"), from, 2), expected, "{text}");
    }
    let seconds = cron("*/30 * * * * *", "UTC");
    assert_eq!(seconds.after(at("2026-03-01T00:00:01.5Z")), Some(at("2026-03-01T00:00:30Z")));
}

#[test]
fn times_are_meant_in_their_zone() {
    let rhythm = cron("0 9 * * *", "Europe/Berlin");
    assert_eq!(
        after(&rhythm, "2026-03-28T00:00:00Z", 2),
        ["2026-03-28T08:00", "2026-03-29T07:00"],
        "nine o'clock before and after the clocks went forward"
    );
    assert_eq!(
        after(&cron("0 9 * * *", "Asia/Kolkata"), "2026-03-28T00:00:00Z", 1),
        ["2026-03-28T03:30"]
    );
}

#[test]
fn a_time_in_the_gap_fires_once_at_its_end() {
    // In Berlin, 02:00 to 03:00 of 29 March 2026 is left out: 01:00 UTC is 03:00 there.
    for (text, expected) in [
        ("30 2 * * *", ["2026-03-28T01:30", "2026-03-29T01:00", "2026-03-30T00:30"]),
        ("0 3 * * *", ["2026-03-28T02:00", "2026-03-29T01:00", "2026-03-30T01:00"]),
        ("0 2 * * *", ["2026-03-28T01:00", "2026-03-29T01:00", "2026-03-30T00:00"]),
    ] {
        assert_eq!(
            after(&cron(text, "Europe/Berlin"), "2026-03-28T00:30:00Z", 3),
            expected,
            "{text}"
        );
    }
    assert_eq!(
        after(&cron("*/20 1-3 * * *", "Europe/Berlin"), "2026-03-29T00:15:00Z", 4),
        ["2026-03-29T00:20", "2026-03-29T00:40", "2026-03-29T01:00", "2026-03-29T01:20"],
        "02:00, 02:20, 02:40 and 03:00 are one"
    );
    // Lord Howe moves by half an hour, and at 02:00 in October.
    assert_eq!(
        after(&cron("15 2 * * *", "Australia/Lord_Howe"), "2026-10-03T00:00:00Z", 2),
        ["2026-10-03T15:30", "2026-10-04T15:15"]
    );
}

#[test]
fn a_time_that_comes_twice_fires_at_its_first() {
    // In Berlin, 02:00 to 03:00 of 25 October 2026 comes twice: from 00:00 and from 01:00 UTC.
    assert_eq!(
        after(&cron("30 2 * * *", "Europe/Berlin"), "2026-10-24T12:00:00Z", 2),
        ["2026-10-25T00:30", "2026-10-26T01:30"]
    );
    assert_eq!(
        after(&cron("*/30 * * * *", "Europe/Berlin"), "2026-10-24T23:45:00Z", 4),
        ["2026-10-25T00:00", "2026-10-25T00:30", "2026-10-25T02:00", "2026-10-25T02:30"]
    );
    assert_eq!(
        after(&cron("30 2 * * *", "Europe/Berlin"), "2026-10-25T01:10:00Z", 1),
        ["2026-10-26T01:30"],
        "asked in the second hour, the first is over"
    );
}

#[test]
fn intervals_know_of_no_clock() {
    let rhythm = Rhythm::new(None, Some(3 * 3600), "UTC").unwrap();
    assert_eq!(
        after(&rhythm, "2026-03-28T22:00:00Z", 3),
        ["2026-03-29T01:00", "2026-03-29T04:00", "2026-03-29T07:00"]
    );
}

#[test]
fn the_latest_of_many_missed_times_are_found() {
    let (next, now) = (at("2026-01-01T00:00:00Z"), at("2026-11-22T10:07:30Z"));
    for (rhythm, latest) in [
        (cron("* * * * * *", "UTC"), "2026-11-22T10:07:30Z"),
        (cron("*/5 * * * *", "Europe/Berlin"), "2026-11-22T10:05:00Z"),
        (cron("0 0 1 1 *", "UTC"), "2026-01-01T00:00:00Z"),
        (Rhythm::new(None, Some(900), "UTC").unwrap(), "2026-11-22T10:00:00Z"),
    ] {
        assert_eq!(rhythm.up_to(now, next, 1), [at(latest)]);
        let many = rhythm.up_to(now, next, 3);
        assert_eq!(many.last(), Some(&at(latest)));
        assert!(many.is_sorted() && many.len() <= 3, "{many:?}");
        assert_eq!(rhythm.up_to(now, now.plus(Duration::from_secs(1)), 3), [], "nothing is due");
    }
    let few = cron("0 0 1 * *", "UTC").up_to(now, at("2026-09-01T00:00:00Z"), 1_000);
    assert_eq!(few.len(), 3, "none before the one that is next: {few:?}");
    let seconds = cron("* * * * * *", "UTC").up_to(now, next, 1_000);
    assert_eq!((seconds.len(), seconds[0]), (1_000, at("2026-11-22T09:50:51Z")));
}
