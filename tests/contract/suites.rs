//! The claims, one function each, and the macro that puts all of them to one broker.

pub mod fencing;
pub mod group;
pub mod isolation;
pub mod offsets;
pub mod producing;
pub mod reading;

/// `contract_tests!(name, harness)`: a module of tests in which every claim meets a fresh `harness`.
macro_rules! contract_tests {
    ($name:ident, $harness:expr) => {
        crate::suites::contract_tests!(@claims $name, $harness,
            reading: records_come_in_offset_order_as_they_were_written,
            reading: a_long_partition_is_read_to_its_end_without_gap_or_repetition,
            reading: several_partitions_are_read_each_in_its_order,
            reading: reading_begins_at_the_offset_given_at_assign,
            reading: the_end_is_reported_once_for_each_catch_up,
            reading: the_end_is_reported_again_after_a_seek,
            reading: a_seek_goes_back_and_forward,
            reading: nothing_comes_from_a_paused_partition_until_a_seek,
            reading: nothing_comes_after_unassign,
            reading: a_deleted_position_is_out_of_range_and_a_seek_goes_on,
            reading: a_position_beyond_the_end_is_out_of_range,
            reading: earliest_follows_retention,
            reading: an_answer_about_the_ends_is_younger_than_its_question,
            reading: the_identity_of_a_topic_is_its_own,
            reading: partitions_of_the_sink_are_counted,
            isolation: reading_stops_at_an_open_transaction_and_goes_on_after_its_commit,
            isolation: aborted_records_are_never_seen,
            isolation: control_records_take_offsets,
            isolation: ends_tell_an_open_transaction_from_a_quiet_partition,
            isolation: a_transaction_left_open_ends_by_its_timeout,
            producing: a_produced_record_is_read_as_it_was_given,
            producing: a_committed_transaction_is_visible_as_a_whole,
            producing: an_abort_forgets_what_was_still_queued,
            producing: a_record_over_the_clients_limit_is_refused_at_once_and_harms_nothing,
            producing: a_record_over_the_topics_limit_aborts_and_is_named,
            producing: an_isolated_refusal_names_only_the_record_at_fault,
            producing: no_transaction_begins_after_an_abort_without_a_new_producer,
            producing: a_new_producer_forgets_what_was_queued,
            offsets: a_group_that_committed_nothing_has_nothing,
            offsets: offsets_and_metadata_come_back_byte_for_byte,
            offsets: an_abort_leaves_offsets_alone,
            offsets: committed_waits_for_a_pending_transaction,
            offsets: groups_do_not_share_offsets,
            offsets: too_much_metadata_is_an_abort,
            fencing: a_second_producer_fences_the_first_and_settles_its_transaction,
            fencing: a_renewed_producer_settles_its_own_transaction,
            fencing: a_transaction_open_for_too_long_is_fenced,
            fencing: a_fenced_producer_is_good_again_when_renewed,
            fencing: producers_with_other_ids_do_not_meet,
            group: a_single_member_gets_every_partition,
            group: two_members_share_without_overlap,
            group: a_partition_is_revoked_before_it_is_given_away,
            group: a_revoked_partition_may_still_be_committed,
            group: a_member_that_leaves_gives_its_partitions_to_the_others,
            group: a_silent_member_loses_its_partitions,
            group: the_offsets_of_a_stale_member_are_refused,
            group: an_expression_finds_topics_that_are_created_later,
        );
    };
    (@claims $name:ident, $harness:expr, $($suite:ident: $claim:ident,)*) => {
        mod $name {
            $(
                #[test]
                fn $claim() {
                    crate::suites::$suite::$claim(&mut $harness);
                }
            )*
        }
    };
}

pub(crate) use contract_tests;
