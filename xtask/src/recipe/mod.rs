//! What to build, as data: libraries, component sets, levels and levers, and the recipe that a profile's name stands for.

pub mod library;
pub mod license;
pub mod profile;
pub mod set;
