//! Holds tidemill's tasks and lanes to the independent naive model: the same random pipelines and records for both,
//! equal fates, windows, watermarks and commit points demanded, whatever the batches, restarts and silences.
//!
//! A failure prints the command that runs its seed again.

mod support {
    pub mod generate;
    pub mod model;
    pub mod rig;
    pub mod subject;
    pub mod visible;
}

mod properties {
    mod fates;
    mod lanes;
    mod memory;
    mod outputs;
    mod restore;
    mod silence;
    mod takeover;
}
