//! Tests of the rules on traces written by hand: for each rule one that meets it and one that breaks it alone.

mod api;
mod client;
mod compared;
mod doubtful;
mod ends;
mod entries;
mod left_out;
mod messages;
mod opening;
mod places;
mod receivers;
mod records_channels;
mod records_content;
mod records_delivery;
mod records_indexes;
mod records_ledger;
mod records_owed;
mod records_receivers;
mod sender;
mod subscriptions;
mod updates;
