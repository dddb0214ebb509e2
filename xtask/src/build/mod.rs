//! Building: the SDK, the digests of all that a build depends on, the steps of a plan, and the record of what came out.

pub mod execute;
pub mod facts;
pub mod native;
pub mod pack;
pub mod record;
pub mod sdk;
pub mod watch;
