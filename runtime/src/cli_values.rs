//! Values of options.

use std::time::Duration;

pub fn seconds(value: &str) -> Result<Duration, String> {
    let number: f64 = value.parse().map_err(|error| format!("{error}"))?;
    Duration::try_from_secs_f64(number).map_err(|error| error.to_string())
}
