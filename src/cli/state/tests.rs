//! What is shown of a group, and what a reset is held against.

use super::reset::{Reset, To, plan};
use super::view::View;
use super::{json, table};
use crate::broker::Committed;
use crate::cli::preflight::tests::{at, checkpoint, cluster, pipeline};
use crate::kafka::Member;

fn text(view: &View) -> String {
    let mut out = Vec::new();
    table::write(view, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn a_group_is_shown_as_tables_that_align() {
    let config = pipeline("");
    let mut facts = cluster(&config);
    let garbage = Committed { offset: 700, metadata: format!("\u{1b}[31m{}", "x".repeat(200)) };
    facts.positions.as_mut().unwrap().insert(at(1), garbage);
    let group = facts.group.as_mut().unwrap().as_mut().unwrap();
    group.state = "Stable".into();
    group.members = vec![Member {
        member_id: "tidemill-1".into(),
        instance_id: String::new(),
        client_id: "tidemill".into(),
        host: "/127.0.0.1".into(),
        partitions: vec![at(0), at(1)],
    }];
    insta::assert_snapshot!(text(&View::new(&config, &facts).unwrap()), @r#"
    group   p: Stable (Classic), 1 member
    digest  e29b6ade965f1e3d (of the file)

    member  id          instance  host        owns
    1       tidemill-1  –         /127.0.0.1  in[0] in[1]

    partition  offset        log  lag  replay from  replays  watermark                      (ms)  guard  digest  topic  standing   member
    in[0]         500  100..1000  490          400      100  2013-01-01T00:00:00Z  1356998400000      0  same    same   resumable  1
    in[1]         700  100..1000  290            –        –  –                                 –      –  –       –      held       1
    in[2]           –  100..1000    –            –        –  –                                 –      –  –       –      new        –
    in[3]           –  100..1000    –            –        –  –                                 –      –  –       –      new        –

    in[1] is held: the metadata committed with offset 700 cannot be used: it was not written by tidemill
      metadata: "\u{1b}[31mxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…"
      way out: run the release that wrote it, or tidemill state FILE --reset 'in[1]=700' (with all workers stopped)
    "#);
}

#[test]
fn machines_get_everything_that_people_get() {
    let config = pipeline("");
    let facts = cluster(&config);
    let view = View::new(&config, &facts).unwrap();
    let state = json::of(&view, &[]);
    let first = &state["partitions"][0];
    for (name, expected) in [
        ("topic", "in".into()),
        ("partition", 0.into()),
        ("standing", "resumable".into()),
        ("offset", 500.into()),
        ("metadata", checkpoint(&config, 400).encode().into()),
        ("replay_from", 400.into()),
        ("replay_records", 100.into()),
        ("watermark_ms", 1_356_998_400_000_i64.into()),
        ("watermark", "2013-01-01T00:00:00Z".into()),
        ("guard_steps", 0.into()),
        ("digest_matches", true.into()),
        ("topic_id_matches", true.into()),
        ("log_start", 100.into()),
        ("log_end", 1_000.into()),
        ("lag", 490.into()),
        ("held_because", serde_json::Value::Null),
        ("member", serde_json::Value::Null),
    ] {
        assert_eq!(first[name], expected, "{name}");
    }
    assert_eq!(state["partitions"][1]["standing"], "new");
    assert_eq!((&state["state"], &state["group"]), (&"Empty".into(), &"p".into()));
}

#[test]
fn a_reset_is_written_in_one_of_these_ways() {
    for (text, partition, to) in [
        ("in[3]=earliest", Some(at(3)), To::Earliest),
        ("in:3=latest", Some(at(3)), To::Latest),
        ("in[0]=17", Some(at(0)), To::Offset(17)),
        ("all=erase", None, To::Erase),
    ] {
        assert_eq!(text.parse(), Ok(Reset { partition, to }), "{text}");
    }
    for text in ["in[3]", "in=earliest", "in[x]=0", "in[-1]=0", "in:=0", "in[3]=-1", "in[3]=soon", "all=5", "=5", ""] {
        assert!(text.parse::<Reset>().is_err(), "{text}");
    }
}

#[test]
fn resets_are_held_against_what_is_there() {
    let config = pipeline("");
    let facts = cluster(&config);
    for (resets, expected) in [
        (&["in[0]=earliest"][..], "in[0]: 500 (replay from 400) → 100, starts clean there"),
        (&["in[1]=latest"], "in[1]: no position → 1000, starts clean there"),
        (&["in[0]=erase"], "in[0]: 500 (replay from 400) → no position"),
        (&["in[1]=erase"], ""),
        (&["all=erase"], "in[0]: 500 (replay from 400) → no position"),
        (
            &["all=erase", "in[2]=100", "in[3]=1000"],
            "in[0]: 500 (replay from 400) → no position|in[2]: no position → 100, starts clean there|\
             in[3]: no position → 1000, starts clean there",
        ),
        (&["in[4]=earliest"], "error: in[4] does not exist: `in` has partitions 0 to 3"),
        (&["in[0]=99"], "error: in[0] has offsets 100 to 1000, and 99 is none of them"),
        (&["in[0]=1001"], "error: in[0] has offsets 100 to 1000, and 1001 is none of them"),
        (&["other[0]=0"], "error: the pipeline does not read topic `other`"),
        (&["other[0]=erase"], "error: the pipeline does not read topic `other`"),
        (&["in[0]=100", "in[0]=200"], "error: in[0] is to be reset twice"),
        (
            &["in[0]=1", "in[1]=2"],
            "error: in[0] has offsets 100 to 1000, and 1 is none of them|error: in[1] has offsets 100 to 1000, and 2 is none of them",
        ),
    ] {
        let resets: Vec<Reset> = resets.iter().map(|text| text.parse().unwrap()).collect();
        let found: Vec<_> = match plan(&resets, &facts) {
            Ok(changes) => changes.iter().map(ToString::to_string).collect(),
            Err(complaints) => complaints.iter().map(|complaint| format!("error: {complaint}")).collect(),
        };
        assert_eq!(found.join("|"), expected, "{resets:?}");
    }
}

#[test]
fn a_topic_that_is_gone_has_nothing_to_reset() {
    let config = pipeline("");
    let mut facts = cluster(&config);
    facts.sources[0].topic = Ok(None);
    let complaints = plan(&["in[0]=earliest".parse().unwrap()], &facts).unwrap_err();
    assert_eq!(complaints, ["topic `in` does not exist"]);
}
