//! Reports: the model of a finished run, and its renderings. Model in, bytes out.

pub mod model;
