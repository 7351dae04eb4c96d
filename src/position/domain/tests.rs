//! Against a model of the log: a list of transactions, of which a position has seen a prefix.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

fn gtid(text: &str) -> MariadbGtid {
    text.parse().unwrap()
}

fn position(text: &str) -> GtidPosition {
    text.parse().unwrap()
}

fn list(text: &str) -> GtidList {
    text.parse().unwrap()
}

#[test]
fn texts_are_those_of_the_server() {
    assert_eq!(gtid(" 0-1-18446744073709551615 ").to_string(), "0-1-18446744073709551615");
    assert_eq!(position(" 7-1-2 ,0-1-33,").to_string(), "0-1-33,7-1-2");
    assert_eq!(list("0-2-5,0-1-33, 7-1-2").to_string(), "0-2-5,0-1-33,7-1-2");
    assert!(position("").is_empty());
    for wrong in
        ["0", "0-1", "0-1-", "0-1-2-3", "-0-1-2", "0-+1-2", "4294967296-1-1", "0-1-18446744073709551616", "a-b-c"]
    {
        assert!(wrong.parse::<MariadbGtid>().is_err(), "{wrong}");
    }
    assert!("0-1-2,0-2-3".parse::<GtidPosition>().is_err());
}

#[test]
fn a_later_transaction_replaces_an_earlier_one_whatever_its_number() {
    let mut at = position("0-1-5,1-1-9");
    at.advance(gtid("0-2-3"));
    assert_eq!(at.to_string(), "0-2-3,1-1-9");
    assert_eq!(at.with_domain_at(1, None).to_string(), "0-2-3");
    assert_eq!(at.with_domain_at(0, Some(gtid("0-1-2"))).to_string(), "0-1-2,1-1-9");
}

#[test]
fn what_a_server_never_wrote_is_named() {
    let state = list("0-2-5,0-1-33,7-1-2");
    assert!(position("0-1-33,7-1-1").absent_from(&state).is_empty());
    assert_eq!(position("0-1-34,7-1-2,9-1-1").absent_from(&state).to_string(), "0-1-34,9-1-1");
    assert_eq!(position("0-3-1").absent_from(&state).to_string(), "0-3-1");
    assert!(state.has_passed(gtid("0-2-4")) && !state.has_passed(gtid("0-2-6")));
}

#[test]
fn an_entry_of_a_server_that_wrote_before_another_one_needs_the_file_before() {
    let head = list("0-2-5,0-1-33");
    assert_eq!(position("0-2-5").needed_before(&head).to_string(), "0-2-5");
    assert!(position("0-1-33").needed_before(&head).is_empty());
    assert_eq!(position("").needed_before(&head).to_string(), "0-2-5,0-1-33");
}

/// The list at the head of a file that begins behind `log`, as the server writes it.
fn head_of(log: &[MariadbGtid]) -> GtidList {
    let mut list: Vec<MariadbGtid> = Vec::new();
    for gtid in log {
        list.retain(|known| (known.domain, known.server) != (gtid.domain, gtid.server));
        list.push(*gtid);
    }
    GtidList(list)
}

#[test]
fn what_other_servers_have_behind_a_position_is_named() {
    let list: GtidList = "0-1-7,0-3-2,0-2-9,7-2-1".parse().unwrap();
    let behind = |at: &str| list.behind(&position(at), |server| server != 1).to_string();
    assert_eq!(behind("0-1-7"), "0-2-9,7-2-1");
    assert_eq!(behind("0-2-9,7-2-1"), "");
    assert_eq!(behind(""), "0-3-2,0-2-9,7-2-1");
}

proptest! {
    #[test]
    fn every_text_is_read_back(gtids in vec((0_u32..3, any::<u32>(), any::<u64>()), 0..6)) {
        let mut at = GtidPosition::default();
        for (domain, server, sequence) in gtids {
            at.advance(MariadbGtid { domain, server, sequence });
        }
        prop_assert_eq!(position(&at.to_string()), at);
    }

    /// Numbers rise in each domain, servers take turns: from the position behind any prefix of the log, a file is enough
    /// exactly if what lies before the file is part of that prefix.
    #[test]
    fn a_file_is_enough_exactly_if_everything_before_it_was_seen(
        origins in vec((0_u32..3, 1_u32..3), 1..40),
        seen in 0_usize..40,
        file in 0_usize..40,
    ) {
        let mut numbers = [0_u64; 3];
        let log: Vec<_> = origins.iter().map(|&(domain, server)| {
            let number = &mut numbers[domain as usize];
            *number += 1;
            MariadbGtid { domain, server, sequence: *number }
        }).collect();
        let (seen, file) = (seen.min(log.len()), file.min(log.len()));
        let mut at = GtidPosition::default();
        log[..seen].iter().for_each(|gtid| at.advance(*gtid));
        let needed = at.needed_before(&head_of(&log[..file]));
        prop_assert_eq!(needed.is_empty(), seen >= file, "{} {}", at, needed);
        prop_assert!(at.absent_from(&head_of(&log)).is_empty());
    }
}
