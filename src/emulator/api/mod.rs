//! The REST side: nodes, lists, documents and failures as on a Meeting Server (wire-facts part 5).
//!
//! [`route`] has the table of nodes and finds the handler; one file per node holds its handlers; [`answer`] builds
//! documents and failures; [`asked`] reads parameters. The test-only API is node tables of its own in [`test_api`] and
//! [`test_legs`].

mod answer;
mod asked;
mod call_legs;
mod calls;
mod cdr_receivers;
mod co_spaces;
mod participants;
mod route;
mod system;
mod test_api;
mod test_legs;
