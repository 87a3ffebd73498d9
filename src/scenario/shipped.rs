//! The table of the shipped scenarios, which are part of the program so that it needs no files to run.
//!
//! A table rather than a macro that walks the folder: the compiler then sees every file as an input, the diff of a new
//! scenario shows it, and no further crate is needed. A test compares the table with the folder.

/// Makes the table from the ids.
macro_rules! shipped {
    ($($id:literal),* $(,)?) => {
        /// Each shipped scenario: its id and its text.
        pub(super) const SHIPPED: &[(&str, &str)] = &[
            $(($id, include_str!(concat!("../../scenarios/", $id, ".yaml")))),*
        ];
    };
}

shipped![];
