//! What goes wrong with an attempt at a job, and whether another may do better.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

/// Why an attempt did not make the job's outputs, apart from the program itself.
#[derive(Clone, Debug)]
pub struct Fault {
    pub reason: String,
    /// Whether it is worth another attempt: a store that does not answer is, an input that is not there is not.
    pub passes: bool,
}

impl Fault {
    pub fn lasting(reason: impl Into<String>) -> Fault {
        Fault {
            reason: reason.into(),
            passes: false,
        }
    }

    pub fn passing(reason: impl Into<String>) -> Fault {
        Fault {
            reason: reason.into(),
            passes: true,
        }
    }

    pub fn of_store(address: &str, error: &object_store::Error) -> Fault {
        use object_store::Error;
        let said = Said::by(error);
        match said.code() {
            // It depends on the store, and on who else uses it.
            "QuotaExceeded" | "XMinioStorageFull" | "InsufficientStorage" | "InsufficientCapacity" => {
                return Fault::passing(format!("{address}: the store is full: {said}"));
            }
            "EntityTooLarge" | "RequestBodyTooLarge" => {
                return Fault::lasting(format!("{address}: it is too large for the store: {said}"));
            }
            // What is asked for lies within the length that it had.
            "InvalidRange" => return Fault::lasting(format!("{address}: it was changed while it was read")),
            // Another worker's may be right.
            "RequestTimeTooSkewed" => {
                return Fault::passing(format!(
                    "{address}: this worker's clock and that of the store differ too much: set this worker's: {said}"
                ));
            }
            "ExpiredToken" => {
                return Fault::passing(format!("{address}: this worker's credentials have expired: {said}"));
            }
            _ => {}
        }
        match error {
            Error::NotFound { .. } => Fault::lasting(format!("{address}: there is no such object, or no such bucket")),
            Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => Fault::lasting(format!(
                "{address}: the store refuses this worker's credentials: {said}"
            )),
            Error::Precondition { .. } => Fault::lasting(format!("{address}: it was changed while it was read")),
            Error::InvalidPath { .. } | Error::NotSupported { .. } | Error::NotImplemented { .. } => {
                Fault::lasting(format!("{address}: {said}"))
            }
            _ if said.text.contains(" 507 ") => Fault::passing(format!("{address}: the store is full: {said}")),
            _ => Fault::passing(format!("{address}: {said}")),
        }
    }

    pub fn of_file(address: &str, error: &io::Error) -> Fault {
        let reason = format!("{address}: {error}");
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied | io::ErrorKind::InvalidInput => {
                Fault::lasting(reason)
            }
            _ => Fault::passing(reason),
        }
    }
}

/// The longest that a store's words may be.
const WORDS_MAX: usize = 500;

/// What a store says of a request. Of an answer in XML only its code and message are told: the rest may have the request that was signed,
/// with its signature.
struct Said {
    text: String,
    code: Option<String>,
}

impl Said {
    fn by(error: &object_store::Error) -> Said {
        let words = error.to_string();
        let element = |name: &str| {
            let (_, rest) = words.split_once(&format!("<{name}>"))?;
            let (text, _) = rest.split_once(&format!("</{name}>"))?;
            Some(text.to_owned())
        };
        let code = element("Code");
        let text = match (&code, words.split_once('<')) {
            (Some(code), Some((before, _))) => {
                let message = element("Message").map_or_else(String::new, |message| format!(": {message}"));
                format!("{}{code}{message}", before.trim_end_matches(['\u{feff}', '"']))
            }
            // An answer that is no answer of a store.
            (None, Some((before, _))) if words.contains("</") => before.to_owned(),
            _ => words,
        };
        Said {
            text: text.chars().take(WORDS_MAX).collect(),
            code,
        }
    }

    fn code(&self) -> &str {
        self.code.as_deref().unwrap_or_default()
    }
}

impl fmt::Display for Said {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(self.text.trim())
    }
}

/// The first fault that a job's files have had. The program only sees that a read or a write failed.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Mutex<Option<Fault>>>);

impl Faults {
    /// Notes it, and returns what the program sees.
    pub fn note(&self, fault: Fault) -> io::Error {
        let error = io::Error::other(fault.reason.clone());
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(fault);
        error
    }

    pub fn first(&self) -> Option<Fault> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(words: &str) -> Fault {
        let error = object_store::Error::Generic {
            store: "S3",
            source: words.to_owned().into(),
        };
        Fault::of_store("s3://media/x", &error)
    }

    #[test]
    fn of_a_stores_words_no_signature_is_told() {
        let fault = told(
            "Server returned non-2xx status code: 403 Forbidden: <?xml version=\"1.0\"?>\n<Error><Code>SignatureDoesNotMatch</Code>\
             <Message>They differ.</Message><SignatureProvided>abc</SignatureProvided><StringToSign>def</StringToSign></Error>",
        );
        assert!(
            fault
                .reason
                .contains("403 Forbidden: SignatureDoesNotMatch: They differ.")
                && !fault.reason.contains("abc")
                && !fault.reason.contains("def"),
            "{}",
            fault.reason
        );
        assert!(!told("503 <html><b>secret</b></html>").reason.contains("secret"));
        assert!(
            told("an interrupted connection")
                .reason
                .contains("an interrupted connection")
        );
    }

    #[test]
    fn what_another_attempt_may_mend_passes() {
        for (words, passes) in [
            ("507 : <Error><Code>XMinioStorageFull</Code></Error>", true),
            ("status code: 507 Insufficient Storage: ", true),
            ("403: <Error><Code>QuotaExceeded</Code></Error>", true),
            ("403: <Error><Code>RequestTimeTooSkewed</Code></Error>", true),
            ("400: <Error><Code>EntityTooLarge</Code></Error>", false),
        ] {
            assert_eq!(told(words).passes, passes, "{words}");
        }
    }
}
