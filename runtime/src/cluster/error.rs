//! What can go wrong with a queue, a worker or a job's description.

use std::io;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// Errors of a queue and its workers. Each says what to do next.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error("no NATS server answers at {address}: start one with `nats-server -js`, or name another")]
    Unreachable { address: String, source: Source },

    #[error("the NATS server at {address} refuses these credentials: name others with --creds, or in the address")]
    Credentials { address: String, source: Source },

    #[error("the NATS server at {address} takes no connection now")]
    Refused { address: String, source: Source },

    #[error(
        "the certificate of the NATS server at {address} is of no authority that is known here, or of another name: name \
         its authority with --tls-ca"
    )]
    Certificate { address: String, source: Source },

    #[error("the NATS server at {address} does not speak TLS, which is wanted of it: name another, or mend its `tls`")]
    NoTls { address: String, source: Source },

    #[error("the NATS server does not permit this to these credentials: {said}")]
    Permission { said: String, source: Source },

    #[error("the credentials or certificates cannot be used")]
    CredentialsUnreadable { source: Source },

    #[error(
        "the NATS server at {address} has no JetStream, or this account may not use it: start it with `nats-server -js`"
    )]
    NoJetStream { address: String, source: Source },

    #[error(
        "{name} is there already, and is not of this version: it says {found:?}, and {wanted:?} is wanted. Use workers of its \
         version, or another account of the server"
    )]
    OtherVersion {
        name: String,
        found: String,
        wanted: String,
    },

    #[error("the queue cannot be asked: {action}")]
    Queue { action: &'static str, source: Source },

    #[error("the job cannot be used: {reason}")]
    Job { reason: String },

    #[error("no job has the key {key}")]
    NoJob { key: String },

    #[error("`{text}` is no prefix of inputs and outputs: {reason}")]
    Prefix { text: String, reason: String },

    #[error("the policy cannot be used: {reason}")]
    Policy { reason: String },

    #[error("{what}")]
    Io { what: String, source: io::Error },
}

impl Error {
    pub(super) fn queue<E: Into<Source>>(action: &'static str) -> impl FnOnce(E) -> Error {
        move |source| Error::Queue {
            action,
            source: source.into(),
        }
    }

    /// The message with those of its causes.
    pub fn chain(&self) -> String {
        let mut message = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            message = format!("{message}: {cause}");
            source = cause.source();
        }
        message
    }
}
