//! Speed of modules beside FFmpeg for this machine: workloads, measurement, report.

pub mod compare;
pub mod figures;
pub mod guest_profile;
pub mod host;
pub mod javascript;
pub mod measure;
pub mod plots;
pub mod prepare;
pub mod quality;
pub mod report;
pub mod samples;
pub mod selection;
pub mod tables;
pub mod workloads;
