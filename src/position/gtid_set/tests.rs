//! Against a model that cannot be wrong: a `BTreeSet` of (source, number).

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeSet;
use uuid::Uuid;

type Model = BTreeSet<(Sid, u64)>;

fn sid(uuid: u128, tag: Option<&str>) -> Sid {
    Sid { uuid: Uuid::from_u128(uuid), tag: tag.map(|tag| tag.parse().unwrap()) }
}

fn set(text: &str) -> GtidSet {
    text.parse().unwrap()
}

fn model(set: &GtidSet) -> Model {
    let numbers = |(sid, intervals): (&Sid, &[Interval])| {
        let sid = sid.clone();
        let numbers: Vec<_> = intervals.iter().flat_map(|interval| interval.first..=interval.last).collect();
        numbers.into_iter().map(move |number| (sid.clone(), number))
    };
    set.sids().flat_map(numbers).collect()
}

fn of_model(model: &Model) -> GtidSet {
    let mut set = GtidSet::new();
    set.extend(model.iter().map(|(sid, number)| MysqlGtid { sid: sid.clone(), number: *number }));
    set
}

/// The documented form: sorted, disjoint, not adjacent, no empty entry.
fn assert_normal(set: &GtidSet) {
    for (sid, intervals) in set.sids() {
        assert!(!intervals.is_empty(), "{sid} has no interval");
        assert!(intervals.iter().all(|interval| interval.first <= interval.last));
        assert!(intervals.windows(2).all(|pair| pair[0].last + 1 < pair[1].first), "{set}");
    }
}

fn sids() -> impl Strategy<Value = Sid> {
    let tags = prop_oneof![Just(None), Just(Some("a")), Just(Some("b_2"))];
    (1..3_u128, tags).prop_map(|(uuid, tag)| sid(uuid, tag))
}

fn models() -> impl Strategy<Value = Model> {
    vec((sids(), 1..40_u64), 0..60).prop_map(|gtids| gtids.into_iter().collect())
}

proptest! {
    #[test]
    fn inserts_and_removes_in_any_order(steps in vec((sids(), 1..40_u64, 0..6_u64, any::<bool>()), 0..120)) {
        let (mut set, mut expected) = (GtidSet::new(), Model::new());
        for (sid, first, more, add) in steps {
            if add {
                set.insert_interval(&sid, Interval { first, last: first + more });
                expected.extend((first..=first + more).map(|number| (sid.clone(), number)));
            } else {
                let gtid = MysqlGtid { sid: sid.clone(), number: first };
                prop_assert_eq!(set.remove(&gtid), expected.remove(&(sid, first)));
                prop_assert!(!set.contains(&gtid));
            }
            assert_normal(&set);
        }
        prop_assert_eq!(set.count(), expected.len() as u64);
        prop_assert_eq!(model(&set), expected);
    }

    #[test]
    fn algebra_is_that_of_sets(left in models(), right in models()) {
        let (a, b) = (of_model(&left), of_model(&right));
        prop_assert_eq!(model(&a.union(&b)), &left | &right);
        prop_assert_eq!(model(&a.subtract(&b)), &left - &right);
        prop_assert_eq!(model(&a.intersection(&b)), &left & &right);
        prop_assert_eq!(a.is_subset(&b), left.is_subset(&right));
        prop_assert!(a.is_subset(&a.union(&b)) && a.subtract(&b).is_subset(&a));
        prop_assert_eq!(a == b, left == right);
        prop_assert_eq!(a.is_empty(), left.is_empty());
        for set in [a.union(&b), a.subtract(&b), a.intersection(&b)] {
            assert_normal(&set);
        }
    }

    #[test]
    fn membership_is_that_of_sets(members in models(), asked in sids(), number in 1..40_u64) {
        let set = of_model(&members);
        let expected = members.contains(&(asked.clone(), number));
        prop_assert_eq!(set.contains(&MysqlGtid { sid: asked, number }), expected);
    }

    #[test]
    fn text_round_trips(members in models()) {
        let set = of_model(&members);
        prop_assert_eq!(&set.to_string().parse::<GtidSet>().unwrap(), &set);
    }

    #[test]
    fn parsing_never_panics(text in any::<String>(), near in "[0-9a-f:,_ \\-]{0,60}") {
        let _ = text.parse::<GtidSet>();
        let _ = text.parse::<MysqlGtid>();
        let _ = format!("00000000-0000-0000-0000-000000000001:{near}").parse::<GtidSet>();
        if let Ok(set) = format!("00000000-0000-0000-0000-000000000001:{near}").parse::<GtidSet>() {
            assert_normal(&set);
        }
    }
}

const A: &str = "24da1677-0c0c-11e8-8442-00059a3c7b00";
const B: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";

#[test]
fn reads_what_mysql_prints() {
    let printed = format!("{B}:1-3:11:47-49,\n{A}:7:Domain_1:1-3:11:domain_2:8-52");
    let expected = format!("{A}:7:domain_1:1-3:11:domain_2:8-52,{B}:1-3:11:47-49");
    assert_eq!(set(&printed).to_string(), expected);
    assert_eq!(set(&format!("{A}:1-5:7 , {A}:tag:1-3:other:4,")).to_string(), format!("{A}:1-5:7:other:4:tag:1-3"));
    assert_eq!(set(&format!(" {} : 1 - 5 : 3-8 ", A.to_uppercase())).to_string(), format!("{A}:1-8"));
}

#[test]
fn the_empty_set_is_the_empty_text() {
    assert_eq!(set(""), GtidSet::new());
    assert_eq!(set(" \n, ,").to_string(), "");
}

#[test]
fn a_tag_may_look_like_a_hexadecimal_number() {
    assert_eq!(set(&format!("{A}:e5:1")).to_string(), format!("{A}:e5:1"));
}

#[test]
fn refuses_what_is_not_a_set() {
    let after_uuid = ["", ":", ":0", ":5-3", ":1-", ":-1", ":tag", ":1:tag", ":a:b:1", ":1::2", ":9223372036854775807"];
    for end in after_uuid {
        assert!(format!("{A}{end}").parse::<GtidSet>().is_err(), "{end:?}");
    }
    for text in ["x", "1-5", ":1", "{}", &format!("{A};1")] {
        assert!(text.parse::<GtidSet>().is_err(), "{text:?}");
    }
    let error = format!("{A}:5-3").parse::<GtidSet>().unwrap_err().to_string();
    assert_eq!(error, "\"5-3\" is not an interval; its last number is smaller than its first");
}

#[test]
fn counts_without_overflow() {
    let mut all = GtidSet::new();
    all.insert_interval(&sid(1, None), Interval { first: 0, last: u64::MAX });
    all.insert_interval(&sid(2, None), Interval { first: 1, last: u64::MAX });
    all.insert(&MysqlGtid { sid: sid(1, None), number: u64::MAX });
    assert_eq!(all.count(), u64::MAX);
    assert!(all.subtract(&all).is_empty());
    assert!(all.remove(&MysqlGtid { sid: sid(1, None), number: u64::MAX }));
}

#[test]
fn an_interval_that_ends_before_it_begins_adds_nothing() {
    let mut set = GtidSet::new();
    set.insert_interval(&sid(1, None), Interval { first: 5, last: 4 });
    assert_eq!(set, GtidSet::new());
}
