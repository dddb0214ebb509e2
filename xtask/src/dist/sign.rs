//! The signature of a release, by a key that is given.

use std::io::Cursor;
use std::path::Path;

use anyhow::{Context, Result};
use minisign::{SecretKey, SecretKeyBox};

use crate::error::environment;

/// The variable with the password of the key, where nobody is there to type it.
pub const PASSWORD_VARIABLE: &str = "MINISIGN_PASSWORD";

/// Signs these bytes as minisign does, with a trusted comment. minisign's signatures are randomised: no two are the
/// same.
pub fn sign(secret_key: &Path, data: &[u8], trusted_comment: &str) -> Result<Vec<u8>> {
    let key = read_key(secret_key).with_context(|| {
        environment(format!("cannot use the secret key {}", secret_key.display())).hint(format!(
            "a key is made with `minisign -G`; its password is asked for, or taken from {PASSWORD_VARIABLE}"
        ))
    })?;
    let untrusted_comment = Some("signature of SHA256SUMS");
    let signature = minisign::sign(None, &key, Cursor::new(data), Some(trusted_comment), untrusted_comment)?;
    Ok(signature.into_string().into_bytes())
}

fn read_key(path: &Path) -> Result<SecretKey> {
    let text = std::fs::read_to_string(path)?;
    let parse = || SecretKeyBox::from_string(&text);
    if let Ok(key) = parse()?.into_unencrypted_secret_key() {
        return Ok(key);
    }
    // Without a password it is asked for on the terminal.
    Ok(parse()?.into_secret_key(std::env::var(PASSWORD_VARIABLE).ok())?)
}
