//! Receivers that are taken off the list and put on it again, or led elsewhere, while sets are still on their way.

use super::records_ledger::{NODE, form, listing, made};
use super::sender::{Lab, leg, legs, numbered};
use crate::protocol::http::{Method, Response};

#[test]
fn what_comes_while_a_receiver_settles_is_not_missing_later() {
    let mut lab = Lab::new();
    lab.receiver(2).gets(1, 9, &legs(0..1)).gets(2, 9, &legs(0..1)).deletes(2, 200);
    lab.configures(2, &Lab::uri(2), 200).passes(6).lists(&[1, 2]);
    lab.gets(1, 9, &legs(1..2)).gets(2, 9, &legs(1..2)).passes(6);
    lab.gets(1, 9, &legs(2..3)).gets(2, 9, &legs(2..3)).passes(60);
    lab.breaks(&[]);
}

#[test]
fn a_late_set_of_an_earlier_entry_begins_nothing() {
    let again = |last: u64| {
        let mut lab = Lab::new();
        lab.gets(1, 9, &legs(0..3)).deletes(1, 200).sends(900, Method::Post, NODE, &form("uri", &Lab::uri(1)));
        lab.gets(1, 9, &legs(3..4)).receives(900, &made(200, &Lab::entry(7)));
        lab.gets(1, 9, &[numbered(leg(last), 1)]).passes(60);
        lab
    };
    again(5).breaks(&[]);
    again(4).breaks(&[]);
}

#[test]
fn a_change_that_is_not_heeded_leaves_the_receiver_where_it_was() {
    let mut lab = Lab::new();
    let elsewhere = form("url", "http://10.9.9.9/");
    lab.changes(1, &elsewhere, 200).passes(60).gets(1, 9, &legs(0..1));
    lab.breaks(&[]);
    let mut lab = Lab::new();
    let elsewhere = form("uri", "http://10.9.9.9/");
    lab.changes(1, &elsewhere, 200).passes(60).gets(1, 9, &legs(0..1));
    lab.breaks(&["CDR-15"]);
}

#[test]
fn where_an_entry_leads_the_list_says_and_not_that_it_is_there() {
    let run = |uri: &str| {
        let mut lab = Lab::new();
        lab.receiver(2).changes(1, &form("uri", &Lab::uri(3)), 503);
        let other = Lab::uri(2);
        lab.api(Method::Get, NODE, "", &listing(Some(2), &[(1, uri), (2, &other)]));
        lab.passes(20).gets(2, 9, &legs(0..1)).passes(200);
        lab
    };
    run(&Lab::uri(3)).breaks(&[]);
    run(&Lab::uri(1)).breaks(&["CDR-13"]);
}

#[test]
fn a_refused_request_puts_nobody_on_again() {
    let mut lab = Lab::new();
    lab.gets(1, 9, &legs(0..1)).deletes(1, 200).passes(20);
    lab.api(Method::Post, NODE, &form("uri", &Lab::uri(1)), &Response::new(400));
    lab.passes(60).link(1).gets(1, 9, &legs(1..2));
    lab.breaks(&["CDR-15"]);
}
