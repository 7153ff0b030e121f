//! Each fault alone: what the client says, and what is true.

use crate::{assign, at, cluster, open, options, produce, ready, visible};
use std::time::Duration;
use tidemill::broker::{Broker, Event, Outlet, ProduceError, RecordBatch};
use tidemill::error::ErrorKind;
use tidemill::sim::{Call, ClientOptions, Fault, SimClient};

#[test]
fn a_commit_without_an_answer_stays_without_one_and_only_the_group_knows() {
    for (happened, truth) in [(true, (1, 1)), (false, (0, 0))] {
        let (_, cluster) = cluster();
        let mut client = ready(&cluster, "id");
        client.fail_next(Call::Commit, Fault::AnswerLost { happened });
        for _ in 0..10 {
            assert_eq!(client.commit().expect_err("no answer").kind, ErrorKind::Retry);
        }
        assert_eq!(client.abort().expect_err("only commit may follow").kind, ErrorKind::Fatal);
        assert_eq!(client.committed(&[at(0)]).is_ok(), happened, "an open transaction is pending");
        client.renew_producer(false).expect("renew_producer");
        assert_eq!(visible(&cluster), truth);
        let committed = client.committed(&[at(0)]).expect("settled");
        assert_eq!(committed[0].is_some(), happened);
        open(&mut client).expect("open");
        client.commit().expect("the new producer is good");
    }
}

#[test]
fn a_slow_answer_comes_after_its_retries() {
    let (_, cluster) = cluster();
    let mut client = ready(&cluster, "id");
    client.fail_next(Call::Commit, Fault::AnswerSlow { retries: 2 });
    for _ in 0..2 {
        assert_eq!(client.commit().expect_err("not yet").kind, ErrorKind::Retry);
        assert_eq!(visible(&cluster), (1, 1));
    }
    client.commit().expect("the answer");
    open(&mut client).expect("the transaction is over");
}

#[test]
fn a_commit_in_flight_arrives_unless_its_producer_is_fenced_by_then() {
    for (renews_before, truth) in [(true, (0, 0)), (false, (1, 1))] {
        let (clock, cluster) = cluster();
        let mut client = ready(&cluster, "id");
        client.fail_next(Call::Commit, Fault::InFlight { after: Duration::from_secs(1) });
        client.commit().expect_err("no answer");
        assert_eq!(visible(&cluster), (0, 0));
        if renews_before {
            client.renew_producer(false).expect("renew_producer");
        }
        clock.advance(Duration::from_secs(2));
        assert_eq!(visible(&cluster), truth);
    }
}

#[test]
fn a_crash_before_a_commit_and_one_after_it_look_the_same_to_the_client() {
    for (after, truth) in [(true, (1, 1)), (false, (0, 0))] {
        let (_, cluster) = cluster();
        let mut client = ready(&cluster, "id");
        client.fail_next(Call::Commit, Fault::Crash { after });
        let error = client.commit().expect_err("crashed");
        assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Fatal, "crashed"));
        assert_eq!(client.serve(&mut Vec::new()).expect_err("dead").message, "crashed");
        assert!(matches!(produce(&mut client), Err(ProduceError::Broker(_))));
        assert_eq!(visible(&cluster), truth);
        let mut next = cluster.client(options("id"));
        next.renew_producer(false).expect("renew_producer");
        assert_eq!(next.committed(&[at(0)]).expect("settled")[0].is_some(), after);
    }
}

#[test]
fn scripted_errors_leave_the_producer_as_their_kind_says() {
    let (_, cluster) = cluster();
    let mut client = ready(&cluster, "id");
    client.fail_next(Call::Commit, Fault::Retry);
    client.commit().expect_err("not yet");
    client.commit().expect("the same call again");

    open(&mut client).expect("open");
    client.fail_next(Call::Commit, Fault::Abort);
    assert_eq!(client.commit().expect_err("abort").kind, ErrorKind::Abort);
    assert_eq!(client.commit().expect_err("still").kind, ErrorKind::Abort);
    client.abort().expect("abort");
    client.renew_producer(false).expect("renew_producer");

    open(&mut client).expect("open");
    client.fail_next(Call::SendOffsets, Fault::Fatal);
    assert_eq!(client.send_offsets(&[]).expect_err("fatal").kind, ErrorKind::Fatal);
    assert_eq!(client.begin().expect_err("lost").kind, ErrorKind::Fatal);
    client.renew_producer(false).expect("renew_producer");

    open(&mut client).expect("open");
    client.fail_next(Call::Produce, Fault::Fenced);
    assert!(matches!(produce(&mut client), Err(ProduceError::Broker(error)) if error.fenced));
    client.renew_producer(false).expect("renew_producer");
    client.fail_next(Call::Produce, Fault::Full);
    assert_eq!(open(&mut client), Err(ProduceError::Full));
    assert_eq!(visible(&cluster), (1, 1), "only the first transaction is visible");
}

#[test]
fn a_redelivered_record_has_an_offset_that_goes_back() {
    let (_, cluster) = cluster();
    for _ in 0..5 {
        cluster.append("source", 0, 1, None, Some(b"value"), &[]);
    }
    let mut client = cluster.client(ClientOptions { topics: vec!["source".to_owned()], ..options("id") });
    assign(&mut client);
    let mut offsets = Vec::new();
    for _ in 0..2 {
        let mut batch = RecordBatch::new(1 << 16, 1_000);
        client.poll(&mut batch, &mut Vec::new(), Duration::ZERO).expect("poll");
        offsets.push(batch.iter().map(|record| record.offset).collect::<Vec<_>>());
        client.unassign(&[at(1), at(2), at(3)]).expect("unassign");
        client.fail_next(Call::Poll, Fault::Redeliver { back: 2 });
    }
    assert_eq!(offsets, [vec![0, 1, 2, 3, 4], vec![3, 4]]);
}

#[test]
fn questions_can_be_told_to_try_again() {
    let (_, cluster) = cluster();
    let mut client = ready(&cluster, "id");
    let calls = [Call::Committed, Call::Earliest, Call::TopicId, Call::Partitions, Call::Seek, Call::RenewProducer];
    for call in calls {
        client.fail_next(call, Fault::Retry);
        let ask = |client: &mut SimClient| match call {
            Call::Committed => client.committed(&[at(1)]).map(drop),
            Call::Earliest => client.earliest(&at(0)).map(drop),
            Call::TopicId => client.topic_id("source").map(drop),
            Call::Partitions => client.partitions(Outlet::Sink).map(drop),
            Call::Seek => client.seek(0, 0),
            _ => client.renew_producer(false),
        };
        assert_eq!(ask(&mut client).expect_err("not yet").kind, ErrorKind::Retry, "{call:?}");
        assert_eq!(ask(&mut client), Ok(()), "{call:?}");
    }
}

#[test]
fn an_unanswered_question_is_answered_with_none() {
    let (_, cluster) = cluster();
    let mut client = ready(&cluster, "id");
    client.fail_next(Call::AskEnds, Fault::Unanswered);
    client.ask_ends(0);
    client.ask_ends(1);
    let mut events = Vec::new();
    client.serve(&mut events).expect("serve");
    let answered: Vec<_> = events
        .iter()
        .filter_map(|event| if let Event::Ends { slot, ends } = event { Some((*slot, ends.is_some())) } else { None })
        .collect();
    assert_eq!(answered, [(0, false), (1, true)]);
}
