//! Reports: the model of a finished run, and its renderings. Model in, bytes out.
//!
//! [`assemble`] makes the [`model`] from what scenarios gave; [`known`] reads the list of known deviations. The
//! renderings are [`text`] (terminal), [`json`], [`junit`], [`markdown`] and [`html`]; [`matrix`] is the kill matrix of a proof; [`escape`] makes what a target
//! sent harmless in each, [`groups`] chooses the findings that a reader needs, [`quantity`] writes numbers for people, [`latency`] what was timed,
//! [`thresholds`] what was asked of that, [`shares`] what each of several servers had of a load. [`folder`] creates the report folder and is the only part that touches the disk.

pub mod assemble;
pub mod escape;
pub mod folder;
pub mod groups;
pub mod histories;
pub mod html;
pub mod json;
pub mod junit;
pub mod known;
pub mod latency;
pub mod loads;
pub mod markdown;
pub mod matrix;
pub mod model;
pub mod quantity;
pub mod shares;
pub mod table;
pub mod text;
pub mod thresholds;

#[cfg(test)]
mod fixtures;
