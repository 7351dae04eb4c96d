use super::*;
use crate::binlog::server::{LogFile, MariadbGtids};
use crate::binlog::testing::{FILE, UUID, at, fingerprint, prepared, sound_server};

fn server(gtid_mode: &str, executed: &str, purged: &str) -> Server {
    let log = |name: &str, size| LogFile { name: name.into(), size };
    Server {
        mode: if gtid_mode == "ON" { PositionMode::Gtid } else { PositionMode::File },
        gtid_mode: gtid_mode.into(),
        executed: executed.parse().unwrap(),
        purged: purged.parse().unwrap(),
        logs: vec![log(FILE, 5000), log("mysql-bin.000002", 900)],
        ..sound_server()
    }
}

fn gtid_server(executed: &str, purged: &str) -> Server {
    let full = |range: &str| if range.is_empty() { String::new() } else { format!("{UUID}:{range}") };
    server("ON", &full(executed), &full(purged))
}

fn processed(executed: Option<&str>, last: Option<u64>) -> Processed {
    Processed {
        flavour: Flavour::Mysql,
        server_uuid: UUID.into(),
        position: at(last.map_or(4, |n| 100 * n + 100)),
        executed: executed.map(|range| format!("{UUID}:{range}").parse().unwrap()),
        terminator: last.map(fingerprint),
        prepared: Vec::new(),
        begun: None,
    }
}

/// With group `number` published in part.
fn within(number: u64, processed: Processed) -> Processed {
    let (start, terminator, selection) = (100 * number, fingerprint(number), String::new());
    let begun = Begun { start, terminator, published: 1, records: 2, selection };
    Processed { begun: Some(Box::new(begun)), ..processed }
}

#[test]
fn a_group_that_is_published_in_part_must_be_on_the_server() {
    let by_gtid = |number| resume(&within(number, processed(Some("1-9"), Some(9))), &gtid_server("1-20", "1-3"));
    assert_eq!(by_gtid(10).unwrap().from, DumpFrom::Gtid(gtids("1-8")));
    assert_eq!(by_gtid(21).unwrap_err().code(), Code::CheckpointAhead);
    let by_file = |number| resume(&within(number, processed(None, Some(9))), &server("OFF", "", ""));
    assert_eq!(by_file(10).unwrap().from, DumpFrom::File(at(969)));
    assert_eq!(by_file(50).unwrap_err().code(), Code::HistoryChanged);
    let on_mariadb = |gtid: &str| {
        let mut split = within(10, on_mariadb("0-1-9", "0-1-9", Some("0-1-8")));
        split.begun.as_mut().unwrap().terminator.gtid = Some(gtid.parse().unwrap());
        resume(&split, &mariadb("0-1-20", ""))
    };
    assert!(on_mariadb("0-1-10").is_ok());
    assert_eq!(on_mariadb("0-1-21").unwrap_err().code(), Code::CheckpointAhead);
}

fn gtids(range: &str) -> GtidState {
    format!("{UUID}:{range}").parse().unwrap()
}

#[test]
fn gtid_mode_rewinds_one_group() {
    let resumed = resume(&processed(Some("1-9"), Some(9)), &gtid_server("1-20", "1-3")).unwrap();
    assert_eq!(resumed.from, DumpFrom::Gtid(gtids("1-8")));
    assert!(resumed.rewind.is_some());
}

#[test]
fn file_mode_rewinds_to_the_last_terminator() {
    let mut file = processed(None, Some(9));
    file.executed = None;
    let resumed = resume(&file, &server("OFF", "", "")).unwrap();
    assert_eq!(resumed.from, DumpFrom::File(at(969)));
    assert!(resumed.rewind.is_some());
}

#[test]
fn behind_four_gibibytes_the_whole_file_is_read_again() {
    let mut file = processed(None, Some(9));
    let far = 5 << 30;
    file.position.offset = far;
    file.terminator = file.terminator.map(|last| Fingerprint { start: far - 31, end: far, ..last });
    let mut server = server("OFF", "", "");
    server.logs[0].size = far;
    let resumed = resume(&file, &server).unwrap();
    assert_eq!(resumed.from, DumpFrom::File(at(FIRST_EVENT)));
    assert!(resumed.rewind.is_some());
}

#[test]
fn without_a_processed_group_there_is_nothing_to_rewind() {
    let resumed = resume(&processed(Some("1-9"), None), &gtid_server("1-20", "")).unwrap();
    assert_eq!(resumed, Resume { from: DumpFrom::Gtid(gtids("1-9")), rewind: None });
}

#[test]
fn a_purged_last_group_is_left_uncompared_when_nothing_needed_is_gone() {
    let mut server = gtid_server("1-20", "1-9");
    // Its file is there, without it: the log was cut short.
    let cut = resume(&processed(Some("1-9"), Some(9)), &server).unwrap_err();
    assert_eq!(cut.code(), Code::HistoryChanged);
    server.logs.remove(0);
    let resumed = resume(&processed(Some("1-9"), Some(9)), &server).unwrap();
    assert_eq!(resumed, Resume { from: DumpFrom::Gtid(gtids("1-9")), rewind: None });
}

#[test]
fn impossible_resumes_are_refused_by_name() {
    let other = |mut p: Processed| {
        p.server_uuid = "00000000-0000-0000-0000-000000000009".into();
        p
    };
    let beyond = |mut p: Processed| {
        p.position = at(6000);
        p
    };
    let gone = |mut p: Processed| {
        p.position.file = "mysql-bin.000000".into();
        p
    };
    let cases = [
        (processed(Some("1-30"), Some(30)), gtid_server("1-20", ""), Code::CheckpointAhead, ":21-30 (10 transactions)"),
        (processed(Some("1-9"), Some(9)), gtid_server("1-20", "1-12"), Code::PositionPurged, ":10-12 (3 transactions)"),
        (processed(Some("1-9"), Some(9)), server("OFF", "", ""), Code::PositionMode, "gtid_mode = OFF"),
        (processed(None, Some(9)), gtid_server("1-20", ""), Code::PositionMode, "gtid_mode = ON"),
        (other(processed(None, Some(9))), server("OFF", "", ""), Code::OtherServer, UUID),
        (beyond(processed(None, Some(9))), server("OFF", "", ""), Code::HistoryChanged, "5000 bytes"),
        (gone(processed(None, Some(9))), server("OFF", "", ""), Code::PositionPurged, "mysql-bin.000000"),
    ];
    for (processed, server, code, part) in cases {
        let refused = resume(&processed, &server).unwrap_err();
        assert_eq!(refused.code(), code, "{refused}");
        assert!(refused.message().contains(part), "{refused}");
    }
}

#[test]
fn another_server_is_followed_by_gtid_without_comparing_bytes() {
    let mut before = processed(Some("1-9"), Some(9));
    before.server_uuid = "00000000-0000-0000-0000-000000000009".into();
    let resumed = resume(&before, &gtid_server("1-20", "")).unwrap();
    assert_eq!(resumed, Resume { from: DumpFrom::Gtid(gtids("1-9")), rewind: None });
}

#[test]
fn first_starts() {
    let gtid = gtid_server("1-20", "1-3");
    let start = |start: &StartPosition, server: &Server| first_start(start, server);
    assert_eq!(start(&StartPosition::Now, &gtid).unwrap(), (at(5000), Some(gtids("1-20"))));
    assert_eq!(start(&StartPosition::Earliest, &gtid).unwrap(), (at(4), Some(gtids("1-3"))));
    assert_eq!(start(&StartPosition::Gtid(gtids("1-7")), &gtid).unwrap(), (at(4), Some(gtids("1-7"))));
    let file = server("OFF", "", "");
    assert_eq!(start(&StartPosition::Now, &file).unwrap(), (at(5000), None));
    assert_eq!(start(&StartPosition::Earliest, &file).unwrap(), (at(4), None));
    let named = StartPosition::File { name: FILE.into(), offset: 120 };
    assert_eq!(start(&named, &file).unwrap(), (at(120), None));
    assert_eq!(start(&named, &gtid).unwrap_err().code(), Code::StartPosition);
    assert_eq!(start(&StartPosition::Gtid(gtids("1-7")), &file).unwrap_err().code(), Code::StartPosition);
    assert_eq!(start(&StartPosition::Gtid(gtids("1-2")), &gtid).unwrap_err().code(), Code::PositionPurged);
    assert_eq!(start(&StartPosition::Gtid(gtids("1-21")), &gtid).unwrap_err().code(), Code::CheckpointAhead);
}

#[test]
fn groups_prepared_and_undecided_are_asked_for_again() {
    let mut gtid = processed(Some("1-9"), Some(9));
    gtid.prepared = vec![prepared(3, true), prepared(4, false), prepared(9, true)];
    let resumed = resume(&gtid, &gtid_server("1-20", "1-2")).unwrap();
    assert_eq!(resumed.from, DumpFrom::Gtid(gtids("1-2:4-8")));
    let elsewhere = Processed { server_uuid: "00000000-0000-0000-0000-000000000009".into(), ..gtid.clone() };
    let resumed = resume(&elsewhere, &gtid_server("1-20", "1-2")).unwrap();
    assert_eq!(resumed, Resume { from: DumpFrom::Gtid(gtids("1-2:4-8")), rewind: None });

    let file = Processed { executed: None, ..gtid.clone() };
    assert_eq!(resume(&file, &server("OFF", "", "")).unwrap().from, DumpFrom::File(at(300)));

    let purged = resume(&gtid, &gtid_server("1-20", "1-3")).unwrap_err();
    assert_eq!(purged.code(), Code::PositionPurged);
    assert!(purged.message().contains("X'03',X'',1") && purged.message().contains(":3)"), "{purged}");
    let mut gone = file;
    gone.prepared[0].file = "mysql-bin.000000".into();
    assert_eq!(resume(&gone, &server("OFF", "", "")).unwrap_err().code(), Code::PositionPurged);
    gone.prepared[0].rows = false;
    assert!(resume(&gone, &server("OFF", "", "")).is_ok());
}

/// A MariaDB with these GTIDs in its log and gone from it.
fn mariadb(state: &str, purged: &str) -> Server {
    let gtids = MariadbGtids { state: state.parse().unwrap(), purged: purged.parse().unwrap() };
    Server { mariadb: Some(gtids), mode: PositionMode::Gtid, uuid: "server_id 1".into(), ..server("", "", "") }
}

fn on_mariadb(executed: &str, last: &str, previous: Option<&str>) -> Processed {
    let gtid = |text: &str| text.parse::<Gtid>().unwrap();
    Processed {
        flavour: Flavour::Mariadb,
        server_uuid: "server_id 1".into(),
        executed: Some(executed.parse().unwrap()),
        terminator: Some(Fingerprint { gtid: Some(gtid(last)), previous: previous.map(gtid), ..fingerprint(9) }),
        ..processed(None, None)
    }
}

#[test]
fn on_mariadb_the_domain_of_the_last_group_is_rewound_by_one() {
    let from = |text: &str| DumpFrom::Gtid(GtidState::Mariadb(text.parse().unwrap()));
    let resume = |processed: &Processed, purged| resume(processed, &mariadb("0-2-8,0-1-20,7-2-9", purged));
    let resumed = resume(&on_mariadb("0-1-9,7-2-3", "0-1-9", Some("0-2-8")), "").unwrap();
    assert_eq!(resumed.from, from("0-2-8,7-2-3"));
    assert!(resumed.rewind.is_some());
    // The number before was set by hand and is higher than what the server has come to.
    let by_hand = resume(&on_mariadb("0-1-9,7-2-3", "0-1-9", Some("0-1-100")), "").unwrap();
    assert_eq!(by_hand.from, DumpFrom::File(at(969)));
    // The first group of its domain.
    let resumed = resume(&on_mariadb("0-1-9,7-2-1", "7-2-1", None), "0-1-4").unwrap();
    assert_eq!(resumed.from, from("0-1-9"));
    // It is gone, but nothing behind it is.
    let resumed = resume(&on_mariadb("0-1-9,7-2-3", "0-1-9", Some("0-1-8")), "0-1-9").unwrap();
    assert_eq!(resumed, Resume { from: from("0-1-9,7-2-3"), rewind: None });
    let code = |processed: &Processed, purged| resume(processed, purged).unwrap_err().code();
    assert_eq!(code(&on_mariadb("0-1-9", "0-1-9", None), "0-1-10"), Code::PositionPurged);
    assert_eq!(code(&on_mariadb("0-1-21", "0-1-21", None), ""), Code::CheckpointAhead);
    assert_eq!(code(&on_mariadb("0-3-9", "0-3-9", None), ""), Code::CheckpointAhead);
}

#[test]
fn a_checkpoint_of_the_other_product_is_refused_by_name() {
    let refused = resume(&processed(Some("1-9"), Some(9)), &mariadb("0-1-20", "")).unwrap_err();
    assert_eq!(refused.code(), Code::OtherServer);
    assert!(refused.chain().contains("belongs to a MySQL server"), "{}", refused.chain());
    let refused = resume(&on_mariadb("0-1-9", "0-1-9", None), &gtid_server("1-20", "")).unwrap_err();
    assert!(refused.chain().contains("belongs to a MariaDB server"), "{}", refused.chain());
}
