//! Tables over names and callers: evenness, and how few callers move.

#![expect(clippy::unwrap_used, reason = "tests")]
use super::*;
use proptest::prelude::*;

fn names(of: &[u16]) -> Vec<Seat> {
    let seat = |number: &u16| (format!("pod-{number}"), 1);
    of.iter().map(seat).collect()
}

fn caller(number: u64) -> u64 {
    hash_of(&number.to_be_bytes())
}

fn method() -> impl Strategy<Value = HashMethod> {
    prop_oneof![Just(HashMethod::Ring(512)), Just(HashMethod::Maglev(2503)),]
}

fn endpoints() -> impl Strategy<Value = Vec<u16>> {
    prop::collection::btree_set(0u16..500, 2..12).prop_map(|numbers| numbers.into_iter().collect())
}

const CALLERS: u64 = 4_000;

fn homes(table: &HashTable, names: &[Seat]) -> Vec<String> {
    let home = |number: u64| {
        let index = table.find(caller(number), |_| true).unwrap();
        names[index].0.clone()
    };
    (0..CALLERS).map(home).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn callers_are_spread_evenly(method in method(), numbers in endpoints()) {
        let names = names(&numbers);
        let homes = homes(&HashTable::build(method, &names), &names);
        let fair = CALLERS as f64 / names.len() as f64;
        for (name, _) in &names {
            let got = homes.iter().filter(|home| *home == name).count() as f64;
            prop_assert!((0.5..1.7).contains(&(got / fair)), "{name} has {got}, fair is {fair}");
        }
    }

    #[test]
    fn few_callers_move_when_an_endpoint_leaves(
        method in method(),
        numbers in endpoints(),
        gone in any::<prop::sample::Index>(),
    ) {
        let before = names(&numbers);
        let gone = gone.index(before.len());
        let mut after = before.clone();
        after.remove(gone);
        let was = homes(&HashTable::build(method, &before), &before);
        let is = homes(&HashTable::build(method, &after), &after);
        let moved = was.iter().zip(&is).filter(|(was, is)| was != is && **was != before[gone].0).count();
        // A ring moves nobody else. Maglev trades a little of that for an even table.
        let allowed = match method {
            HashMethod::Ring(_) => 0,
            HashMethod::Maglev(_) => CALLERS as usize / 5,
        };
        prop_assert!(moved <= allowed, "{moved} of {CALLERS} moved needlessly");
    }

    #[test]
    fn an_unusable_endpoint_moves_its_own_callers_only(
        method in method(),
        numbers in endpoints(),
        out in any::<prop::sample::Index>(),
    ) {
        let names = names(&numbers);
        let out = out.index(names.len());
        let table = HashTable::build(method, &names);
        for number in 0..500u64 {
            let home = table.find(caller(number), |_| true).unwrap();
            let now = table.find(caller(number), |index| index != out).unwrap();
            prop_assert!(now != out);
            prop_assert!(home == out || home == now);
        }
        prop_assert_eq!(table.find(7, |_| false), None);
    }
}

#[test]
fn weights_decide_the_shares() {
    for method in [HashMethod::Ring(512), HashMethod::Maglev(2503)] {
        let names = [("heavy".to_owned(), 3), ("light".to_owned(), 1)];
        let homes = homes(&HashTable::build(method, &names), &names);
        let heavy = homes.iter().filter(|home| *home == "heavy").count();
        let share = heavy as f64 / CALLERS as f64;
        assert!((0.7..0.8).contains(&share), "{method:?}: {share}");
    }
}

#[test]
fn a_ring_of_heavy_endpoints_is_bounded() {
    let seats = [("a".to_owned(), u32::MAX), ("b".to_owned(), 1)];
    let points = ring(64, &seats);
    let light = points.iter().filter(|(_, index)| *index == 1).count();
    assert_eq!(light, 1);
    assert!(points.len() <= MOST_POINTS as usize + 1);
}

#[test]
fn hashes_are_the_same_in_every_version() {
    assert_eq!(hash_of(b"alice"), 0x3507_d047_a67c_08f4);
}

#[test]
fn tables_without_endpoints_find_nobody() {
    for method in [HashMethod::Ring(16), HashMethod::Maglev(7)] {
        assert_eq!(HashTable::build(method, &[]).find(1, |_| true), None);
    }
}

#[test]
fn maglev_wants_a_prime_number() {
    let primes: Vec<u32> = (0..30).filter(|number| is_prime(*number)).collect();
    assert_eq!(primes, [2, 3, 5, 7, 11, 13, 17, 19, 23, 29]);
    assert!(is_prime(65_537));
}
