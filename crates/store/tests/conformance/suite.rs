//! The list of cases, stamped out for each backend.

macro_rules! cases {
    ($open:path => $($topic:ident { $($case:ident)* })*) => {$(
        mod $topic {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
                async fn $case() {
                    if let Some(backend) = $open().await {
                        crate::$topic::$case(&backend).await;
                    }
                }
            )*
        }
    )*};
}

/// All cases, on the backend that the path opens.
macro_rules! conformance_suite {
    ($name:ident, $open:path) => {
        mod $name {
            cases! { $open =>
                accounts {
                    a_created_account_is_found_by_its_id_and_each_of_its_names
                    a_name_in_use_as_username_or_address_is_taken_as_either
                    an_address_is_taken_and_found_in_both_forms_of_its_domain
                    an_account_may_have_its_address_for_a_username
                    of_fifty_sign_ups_under_one_name_one_wins
                    credentials_are_found_by_name_with_the_hash
                    accounts_are_listed_by_id_and_realm_a_page_at_a_time
                    only_default_accounts_with_an_address_are_listed_with_email
                    a_hash_is_renewed_only_where_it_is_still_the_old_one
                    hash_beginnings_are_listed_by_account_a_page_at_a_time
                    of_fifty_renewals_of_one_hash_all_learn_which_is_kept
                    a_disabled_account_is_enabled_again
                }
                invitations {
                    of_fifty_sign_ups_with_one_invitation_one_makes_an_account
                    an_invitation_is_good_in_its_time_its_realm_and_for_its_name
                    invitations_are_listed_revoked_and_deleted_once_they_have_expired
                }
                sessions {
                    a_session_is_opened_as_asked
                    a_missing_or_disabled_account_opens_no_session
                    a_rotation_advances_the_counter_and_slides_the_end
                    a_session_never_outlives_its_end_nor_a_token_it_has_issued
                    a_token_used_twice_closes_its_session
                    within_the_grace_the_predecessor_is_repeated
                    what_belongs_to_no_open_session_is_refused
                    a_session_is_closed_once
                    changing_a_password_closes_all_sessions_but_the_kept_one
                    an_owner_changes_a_password_only_while_what_it_rests_on_holds
                    a_session_is_opened_only_under_the_hash_that_was_checked
                    disabling_an_account_closes_its_sessions
                    open_sessions_are_counted_by_realm
                    only_sessions_that_are_open_and_not_ended_are_listed
                    forgetting_deletes_what_ended_and_remembers_what_it_was
                    the_horizon_and_the_greatest_id_never_go_back
                    the_closures_that_a_reader_may_go_on_from_are_not_deleted
                    an_id_that_a_session_has_is_not_given_to_another
                    a_counter_above_the_sessions_own_is_that_of_a_rotation_that_was_lost
                }
                session_races {
                    of_fifty_rotations_of_one_token_one_wins_and_the_session_dies
                    of_fifty_rotations_within_the_grace_one_wins_and_the_rest_repeat
                    once_a_session_is_closed_no_rotation_succeeds
                    once_an_account_is_disabled_it_has_no_open_session
                    of_fifty_closings_one_closes
                    of_fifty_changes_of_one_hash_one_is_made
                    an_operators_change_is_never_undone_by_one_under_way
                    a_session_that_is_closed_changes_no_password_afterwards
                    no_session_outlasts_a_change_of_the_password_it_was_opened_with
                }
                session_epochs {
                    a_store_keeps_the_first_tag_it_is_given
                    another_epoch_ends_every_session_under_another_tag
                    sessions_are_opened_and_closed_while_epochs_begin
                }
                session_feed {
                    closures_are_read_in_order_from_the_cursor_on
                    everything_that_closes_feeds_the_closures
                    a_follower_misses_nothing_while_two_nodes_close
                    what_one_node_has_deleted_leaves_the_memory_of_the_others
                    a_reader_is_told_when_the_row_it_goes_on_from_is_gone
                    of_many_sessions_those_that_are_open_are_closed_in_one_go
                    doubt_is_remembered_and_never_shrinks
                }
                rewinds {
                    a_node_notices_that_the_database_lost_closures_that_it_had_read
                    a_node_notices_that_the_database_lost_a_closure_of_its_own
                    a_node_notices_that_the_database_lost_a_session_that_it_opened
                    a_node_notices_that_the_database_lost_the_end_of_all_sessions
                    what_others_deleted_is_no_rewind_and_a_lost_closure_is_not_forgotten
                }
                customers {
                    a_customer_is_found_as_it_was_created
                    customers_are_listed_by_id_a_page_at_a_time
                    the_youngest_come_first_and_equal_ones_by_id
                    a_replacement_advances_the_version
                    a_change_is_made_only_where_its_precondition_holds
                    of_fifty_replacements_of_one_version_one_wins
                    of_a_deletion_and_a_replacement_of_one_version_one_wins
                    customer_ids_are_never_reused
                    an_answered_write_is_seen_by_another_node_at_once
                }
                files {
                    a_finished_upload_is_found_as_it_was_described
                    a_name_is_taken_unless_it_is_overwritten
                    files_are_listed_by_owner_and_the_bytes_of_their_names
                    of_fifty_uploads_under_one_name_one_wins
                    of_fifty_overwriting_uploads_every_replaced_blob_is_told_once
                    blobs_that_no_file_names_are_told
                    of_fifty_fresh_namespaces_one_is_kept
                }
                file_room {
                    of_fifty_uploads_of_other_names_as_many_finish_as_there_is_room_for
                    of_fifty_uploads_at_once_as_many_finish_as_there_are_bytes_for
                    whoever_may_not_upload_any_more_finishes_nothing
                    a_file_is_replaced_under_whichever_spelling_it_is_stored
                }
                health {
                    an_open_store_is_ready
                }
                keys {
                    keys_are_changed_from_their_present_version_alone
                    of_fifty_changes_from_one_version_one_succeeds
                    servers_that_start_at_once_have_the_same_keys
                    a_new_key_is_announced_signs_and_lets_the_tokens_of_the_old_one_expire
                    a_retired_key_is_refused_at_once_and_another_signs
                    what_the_database_lost_of_the_keys_is_written_again
                    the_schedule_rotates_keys_of_tokens_once
                    so_many_keys_of_a_purpose_verify_and_no_more
                    a_key_verifies_as_long_as_the_longest_token_that_it_signs
                    another_algorithm_gets_a_key_of_its_own
                    without_its_master_key_no_key_is_opened_and_none_is_made
                    a_row_that_was_changed_is_not_opened
                    the_master_key_is_replaced_beneath_running_servers
                    the_keys_of_an_earlier_version_go_on
                }
            }
            blob_cases! { $open }
        }
    };
}

/// The cases of stored bytes alone, which are apart from the rows that name them.
macro_rules! blob_cases {
    ($open:path) => {
        cases! { $open =>
            blobs {
                finished_bytes_are_read_back_whole_and_in_ranges
                unfinished_bytes_are_not_there
                an_abandoned_upload_leaves_nothing
                a_reader_of_deleted_bytes_reads_to_their_end
                bytes_shorter_than_promised_are_an_error
                a_small_chunk_is_copied_and_does_not_keep_what_it_is_a_part_of
                what_is_in_memory_of_an_upload_is_reserved_and_given_back
                an_upload_waits_for_memory_and_holds_none_of_it_meanwhile
                a_reader_has_less_in_memory_than_it_says
                deleting_what_is_not_there_is_nothing
                only_what_no_upload_under_way_can_name_is_listed_as_old
            }
        }
    };
}

conformance_suite!(sqlite, crate::backend::sqlite);
conformance_suite!(postgres, crate::backend::postgres);
conformance_suite!(serializable_postgres, crate::backend::serializable_postgres);

mod s3 {
    blob_cases! { crate::backend::s3 }
}
