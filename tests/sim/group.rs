//! The group: static members, members that are put out, partitions that come and go.

use crate::{PARTITIONS, assign, at, cluster, options, ready};
use std::time::Duration;
use tidemill::broker::{Broker, CommitOffset, Committed, Event, RecordBatch};
use tidemill::sim::{Call, ClientOptions, Fault};

#[test]
fn a_static_member_comes_back_to_its_partitions_without_a_rebalance() {
    let (_, cluster) = cluster();
    let of = |instance: &str, id| ClientOptions { static_member: Some(instance.to_owned()), ..options(id) };
    let mut stays = cluster.client(of("stays", "id-0"));
    let mut goes = cluster.client(of("goes", "id-1"));
    for _ in 0..5 {
        assign(&mut stays);
        assign(&mut goes);
    }
    let generation = cluster.generation("group");
    goes.close(Duration::ZERO);
    let mut comes = cluster.client(of("goes", "id-1"));
    let mut given = Vec::new();
    for _ in 0..5 {
        assert!(!assign(&mut stays).iter().any(|event| matches!(event, Event::Assigned(_) | Event::Revoked(_))));
        given.extend(assign(&mut comes).into_iter().filter(|event| matches!(event, Event::Assigned(_))));
    }
    assert!(matches!(&given[..], [Event::Assigned(partitions)] if partitions.len() == 2), "{given:?}");
    assert_eq!(cluster.generation("group"), generation);
    let mut usurper = cluster.client(of("goes", "id-2"));
    assign(&mut usurper);
    let fenced = comes.serve(&mut Vec::new()).expect_err("another client has taken the place");
    assert!(fenced.message.contains("FENCED_INSTANCE_ID"), "{fenced}");
}

#[test]
fn a_lost_member_learns_it_at_its_next_poll_and_joins_again() {
    let (_, cluster) = cluster();
    let mut client = ready(&cluster, "id");
    client.fail_next(Call::Poll, Fault::Lost);
    assert_eq!(assign(&mut client).first(), Some(&Event::Lost((0..PARTITIONS).map(at).collect())));
    let committed = Committed { offset: 2, metadata: String::new() };
    let stale = client.send_offsets(&[CommitOffset { partition: at(0), committed }]);
    assert!(stale.is_err_and(|error| error.message.contains("UNKNOWN_MEMBER_ID")));
    assert_eq!(assign(&mut client), [Event::Assigned((0..PARTITIONS).map(at).collect())]);
}

#[test]
fn members_that_an_operator_removes_make_room_at_once() {
    let (_, cluster) = cluster();
    drop(ready(&cluster, "dead"));
    let mut heir = cluster.client(options("heir"));
    assert_ne!(
        assign(&mut heir),
        [Event::Assigned((0..PARTITIONS).map(at).collect())],
        "a dead member keeps its share"
    );
    drop(heir);
    cluster.remove_members("group");
    assert_eq!(cluster.members("group"), 0);
    let mut heir = cluster.client(options("heir"));
    assert_eq!(assign(&mut heir), [Event::Assigned((0..PARTITIONS).map(at).collect())]);
}

#[test]
fn no_record_of_a_lost_partition_comes_any_more() {
    let (_, cluster) = cluster();
    let mut client = ready(&cluster, "id");
    cluster.append("source", 0, 1, None, Some(b"value"), &[]);
    client.fail_next(Call::Poll, Fault::Lost);
    let (mut batch, mut events) = (RecordBatch::new(1 << 16, 1_000), Vec::new());
    for _ in 0..3 {
        client.poll(&mut batch, &mut events, Duration::ZERO).expect("poll");
    }
    assert_eq!((batch.len(), events.len()), (0, 1), "said once, and nothing else until it is answered");
}

#[test]
fn a_forced_rebalance_revokes_and_gives_back() {
    let (_, cluster) = cluster();
    let mut client = ready(&cluster, "id");
    let generation = cluster.generation("group");
    let mut revoked = 0;
    for _ in 0..20 {
        client.fail_next(Call::Serve, Fault::Rebalance);
        let mut events = Vec::new();
        client.serve(&mut events).expect("serve");
        for event in events {
            if let Event::Revoked(partitions) = event {
                revoked += partitions.len();
                client.unassign(&partitions).expect("unassign");
            }
        }
        assign(&mut client);
    }
    assert!(revoked > 20, "{revoked} of 80");
    assert!(cluster.generation("group") > generation + 20);
}

#[test]
fn any_call_keeps_the_session_and_only_polls_keep_the_poll_interval() {
    for (seconds_between_calls, seconds, is_lost) in [(5, 50, false), (7, 50, true), (5, 70, true)] {
        let (clock, cluster) = cluster();
        let session_timeout = Duration::from_secs(6);
        let max_poll_interval = Duration::from_secs(60);
        let mut client = cluster.client(ClientOptions { session_timeout, max_poll_interval, ..options("id") });
        assign(&mut client);
        for _ in 0..seconds / seconds_between_calls {
            clock.advance(Duration::from_secs(seconds_between_calls));
            client.earliest(&at(0)).expect("earliest");
        }
        let lost = assign(&mut client).iter().any(|event| matches!(event, Event::Lost(_)));
        assert_eq!(lost, is_lost, "a call every {seconds_between_calls} s for {seconds} s");
    }
}
