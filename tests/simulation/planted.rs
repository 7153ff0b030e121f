//! The simulation is tested itself: each planted mistake must be caught by some seed.

use super::spy::Mistake;
use crate::run;

/// Fails if none of so many seeds catches the mistake by what is visible in the topics (or by a raise that cannot have
/// been); complaints about metadata alone, or of the lanes themselves, would be too easy.
fn catch(mistake: Mistake, seeds: u64) {
    let is_visible =
        |complaint: &String| ["visible", "wrong", "silence raised"].iter().any(|it| complaint.contains(it));
    let first = |seed| run(seed, Some(mistake)).0.into_iter().find(is_visible).map(|why| (seed, why));
    let (seed, why) =
        (0..seeds).find_map(first).unwrap_or_else(|| panic!("{mistake:?} was not caught by {seeds} seeds"));
    println!("{mistake:?} is caught by seed {seed}: {why}");
}

macro_rules! planted {
    ($($name:ident: $mistake:ident,)*) => {
        $(#[test] fn $name() { catch(Mistake::$mistake, 1000); })*
    };
}

planted! {
    positions_committed_before_their_results: CommitBeforeProduce,
    positions_committed_after_their_results: CommitAfterProduce,
    a_refused_record_ignored: RefusalIgnored,
    a_full_queue_ignored: FullIgnored,
    a_replay_from_the_offset: ReplayFromOffset,
    a_replay_from_the_next_record: ReplayFromNext,
    a_watermark_not_restored: WatermarkForgotten,
    a_grace_off_by_one: GraceOff,
    a_size_off_by_one: SizeOff,
    a_stale_member_that_commits: StaleMemberCommits,
    a_future_verdict_judged_again: FutureJudgedAgain,
    a_forgotten_guard_step: GuardStepForgotten,
    a_record_produced_twice: ProducedTwice,
    an_unknown_commit_taken_for_done: UnknownTakenForDone,
    an_unknown_commit_taken_for_lost: UnknownTakenForLost,
    a_redelivered_record_taken: RedeliveryTaken,
    a_skipped_record: RecordSkipped,
    silence_believed_without_asking: SilenceBelieved,
    a_task_without_memory_resumed_too_late: ResumedTooLate,
}
