use super::*;

/// Small letters are of one kind, capitals of another. Letters have one owner, and each digit has
/// its own.
impl Kinded for char {
    type Kind = bool;
    type Owner = Option<u32>;

    fn kind(&self) -> bool {
        self.is_uppercase()
    }

    fn owner(&self) -> Option<u32> {
        self.to_digit(10)
    }
}

type Test = Lanes<char, u32, u32>;

fn lanes(total: usize, each: usize, waiting: usize) -> Test {
    Lanes::new(Caps { total, each, waiting })
}

fn ask(
    lanes: &mut Test,
    key: char,
    waiter: u32,
    now: Instant,
) -> (Answer<u32, u32>, Effects<char, u32, u32>) {
    let mut effects = Effects::default();
    let answer = lanes.ask(key, waiter, now, &mut effects);
    (answer, effects)
}

fn ended(effects: &Effects<char, u32, u32>) -> Vec<u32> {
    effects.ended.iter().map(|(sandbox, _)| *sandbox).collect()
}

fn granted(effects: &Effects<char, u32, u32>) -> Vec<u32> {
    effects.grants.iter().map(|(waiter, _)| *waiter).collect()
}

#[test]
fn a_sandbox_that_comes_back_serves_the_first_who_waits() {
    let mut lanes = lanes(1, 1, 10);
    let now = Instant::now();
    assert_eq!(ask(&mut lanes, 'a', 1, now).0, Answer::Now(Grant::Start(None)));
    assert_eq!(ask(&mut lanes, 'a', 2, now).0, Answer::Later);
    assert_eq!(ask(&mut lanes, 'a', 3, now).0, Answer::Later);
    let effects = lanes.give_back('a', 100, now);
    assert_eq!(effects.grants, [(2, ('a', Grant::Warm(100)))]);
    assert_eq!(granted(&lanes.give_back('a', 100, now)), [3]);
    assert!(lanes.give_back('a', 100, now).grants.is_empty());
    assert_eq!(lanes.count(false), Count { live: 1, idle: 1, ..Count::default() });
    assert_eq!(ask(&mut lanes, 'a', 4, now).0, Answer::Now(Grant::Warm(100)));
}

#[test]
fn the_line_is_bounded() {
    let mut lanes = lanes(1, 1, 1);
    let now = Instant::now();
    ask(&mut lanes, 'a', 1, now);
    assert_eq!(ask(&mut lanes, 'b', 2, now).0, Answer::Later);
    assert_eq!(ask(&mut lanes, 'c', 3, now).0, Answer::Full(3));
    assert_eq!(lanes.count(false).waiting, 1);
}

#[test]
fn the_sandbox_idle_longest_makes_room_for_another_version() {
    let mut lanes = lanes(2, 2, 10);
    let now = Instant::now();
    ask(&mut lanes, 'a', 1, now);
    ask(&mut lanes, 'b', 2, now);
    lanes.give_back('b', 20, now);
    lanes.give_back('a', 10, now + Duration::from_millis(1));
    let (answer, effects) = ask(&mut lanes, 'c', 3, now);
    assert_eq!(answer, Answer::Now(Grant::Start(None)));
    assert_eq!(effects.ended, [(20, Eviction::Room)]);
    assert_eq!(lanes.count(false).live, 2);
}

#[test]
fn when_one_ends_the_next_version_in_line_gets_its_place() {
    let mut lanes = lanes(1, 1, 10);
    let now = Instant::now();
    ask(&mut lanes, 'a', 1, now);
    ask(&mut lanes, 'a', 2, now);
    ask(&mut lanes, 'b', 3, now);
    ask(&mut lanes, 'a', 4, now);
    assert_eq!(granted(&lanes.ended('a')), [3], "the version that has just had it is last");
    assert_eq!(granted(&lanes.ended('b')), [2]);
    assert_eq!(granted(&lanes.ended('a')), [4]);
    lanes.ended('a');
    assert_eq!(lanes.count(false), Count::default());
}

#[test]
fn a_busy_version_reuses_its_sandbox_until_another_has_waited_its_time() {
    let mut lanes = lanes(1, 1, 10);
    let now = Instant::now();
    ask(&mut lanes, 'a', 1, now);
    ask(&mut lanes, 'b', 2, now);
    ask(&mut lanes, 'a', 3, now);
    assert_eq!(granted(&lanes.give_back('a', 10, now + TURN)), [3]);
    let effects = lanes.give_back('a', 10, now + TURN + Duration::from_millis(1));
    assert_eq!(ended(&effects), [10]);
    assert_eq!(effects.grants, [(2, ('b', Grant::Start(None)))]);
}

#[test]
fn a_version_at_its_own_limit_does_not_block_others_in_line() {
    let mut lanes = lanes(3, 1, 10);
    let now = Instant::now();
    ask(&mut lanes, 'a', 1, now);
    ask(&mut lanes, 'a', 2, now);
    ask(&mut lanes, 'b', 3, now);
    ask(&mut lanes, 'c', 4, now);
    assert_eq!(ask(&mut lanes, 'd', 5, now).0, Answer::Later);
    assert_eq!(granted(&lanes.ended('b')), [5], "a has all it may have, so d is served");
    assert_eq!(granted(&lanes.give_back('a', 10, now)), [2]);
}

#[test]
fn spare_sandboxes_are_used_first_and_counted() {
    let mut lanes = lanes(2, 2, 10);
    let now = Instant::now();
    assert_eq!(lanes.add_spare(false, 50), None);
    assert_eq!(lanes.add_spare(false, 51), None);
    assert_eq!(lanes.add_spare(false, 52), Some(52), "there is no more room");
    assert_eq!(ask(&mut lanes, 'a', 1, now).0, Answer::Now(Grant::Start(Some(51))));
    assert_eq!(lanes.count(false), Count { live: 2, spare: 1, ..Count::default() });
    let (waiters, ended) = lanes.close();
    assert_eq!((waiters, ended), (vec![], vec![50]));
}

#[test]
fn a_spare_serves_its_own_kind_and_makes_room_for_another() {
    let mut lanes = lanes(2, 2, 10);
    let now = Instant::now();
    assert_eq!(lanes.add_spare(false, 50), None);
    assert_eq!(lanes.add_spare(true, 60), None);
    let (answer, effects) = ask(&mut lanes, 'A', 1, now);
    assert_eq!(answer, Answer::Now(Grant::Start(Some(60))));
    assert_eq!(ended(&effects), Vec::<u32>::new());
    let (answer, effects) = ask(&mut lanes, 'B', 2, now);
    assert_eq!(answer, Answer::Now(Grant::Start(None)), "a small letter's does not do");
    assert_eq!(ended(&effects), [50]);
    assert_eq!((lanes.count(true).live, lanes.count(false).live), (2, 0));
}

#[test]
fn idle_ones_end_by_their_time() {
    let mut lanes = lanes(4, 4, 10);
    let now = Instant::now();
    for waiter in 0..3 {
        ask(&mut lanes, 'a', waiter, now);
    }
    for sandbox in 0..3 {
        lanes.give_back('a', sandbox, now + Duration::from_secs(u64::from(sandbox)));
    }
    let limit = now + Duration::from_secs(1);
    let effects = lanes.end_idle(|_, _, since| (since <= limit).then_some(Eviction::Idle));
    assert_eq!(effects.ended, [(0, Eviction::Idle), (1, Eviction::Idle)]);
    assert_eq!(lanes.count(false), Count { live: 1, idle: 1, ..Count::default() });
}

#[test]
fn the_one_unused_longest_ends_first_and_one_at_work_never() {
    let mut lanes = lanes(6, 6, 10);
    let now = Instant::now();
    assert_eq!(lanes.add_spare(false, 50), None);
    for (key, waiter) in [('a', 1), ('B', 2), ('c', 3)] {
        ask(&mut lanes, key, waiter, now);
    }
    lanes.give_back('B', 20, now + Duration::from_secs(1));
    lanes.give_back('c', 30, now);
    let mut end = || lanes.end_longest_unused(Eviction::Memory).map(|effects| effects.ended);
    assert_eq!(end(), Some(vec![(30, Eviction::Memory)]));
    assert_eq!(end(), Some(vec![(20, Eviction::Memory)]));
    assert_eq!(end(), None, "the spare one has become a's, which works");
    assert_eq!(lanes.count(false), Count { live: 1, ..Count::default() });
    assert_eq!(lanes.add_spare(false, 51), None);
    let effects = lanes.end_longest_unused(Eviction::Memory).unwrap();
    assert_eq!(ended(&effects), [51], "a spare one, when none is idle");
}

/// The crowd has many programs, many who wait, and was there first.
#[test]
fn owners_share_the_places_however_many_of_theirs_wait() {
    let mut lanes = lanes(4, 4, 200);
    let now = Instant::now();
    for (at, letter) in ('a'..='y').cycle().take(104).enumerate() {
        ask(&mut lanes, letter, u32::try_from(at).unwrap(), now);
    }
    assert_eq!(lanes.count(false).waiting, 100);
    for waiter in [1001, 1002, 1003] {
        assert_eq!(ask(&mut lanes, '1', waiter, now).0, Answer::Later);
    }
    assert_eq!(ask(&mut lanes, '2', 2001, now).0, Answer::Later);
    // The first four letters have the places.
    assert_eq!(granted(&lanes.ended('a')), [1001], "whoever has none is first");
    assert_eq!(granted(&lanes.ended('b')), [2001]);
    assert_eq!(granted(&lanes.ended('c')), [1002], "all have one, and the crowd has just had one");
    // The crowd has none now, and gets what the others leave.
    for key in ['d', '2'] {
        let next = granted(&lanes.ended(key));
        assert!(matches!(next[..], [waiter] if waiter < 104), "{next:?}");
    }
    assert_eq!(granted(&lanes.ended('1')), [1003], "two and one");
}

#[test]
fn who_fills_the_line_makes_room_for_others() {
    let mut lanes = lanes(1, 1, 3);
    let now = Instant::now();
    for (waiter, key) in [(1, 'a'), (2, 'a'), (3, 'b'), (4, 'c')] {
        ask(&mut lanes, key, waiter, now + Duration::from_millis(u64::from(waiter)));
    }
    assert_eq!(ask(&mut lanes, 'd', 5, now).0, Answer::Full(5), "its own owner has filled it");
    let (answer, effects) = ask(&mut lanes, '1', 6, now + Duration::from_millis(6));
    assert_eq!((answer, effects.refused), (Answer::Later, vec![4]), "the last one has to go");
    assert_eq!(
        ask(&mut lanes, '1', 7, now).0,
        Answer::Full(7),
        "two are not more than one and one"
    );
    assert_eq!(lanes.count(false).waiting, 3);
    assert_eq!(granted(&lanes.ended('a')), [6]);
    assert_eq!(granted(&lanes.ended('1')), [3]);
    assert_eq!(granted(&lanes.ended('b')), [2]);
    assert!(lanes.ended('a').grants.is_empty());
    assert_eq!(lanes.count(false), Count::default());
}
