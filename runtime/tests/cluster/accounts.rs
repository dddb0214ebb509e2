//! An operator with accounts and users, as `nsc` makes them: JWTs that are signed by nkeys.

use data_encoding::BASE64URL_NOPAD;
use nkeys::KeyPair;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

pub struct Operator {
    key: KeyPair,
    accounts: Vec<(String, String)>,
}

pub struct Account {
    key: KeyPair,
}

fn token(issuer: &KeyPair, subject: &str, name: &str, expires: Option<u64>, nats: &Value) -> String {
    let encode = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let mut claims = json!({
        "jti": name, "iat": 1_735_689_600, "iss": issuer.public_key(), "sub": subject, "name": name, "nats": nats,
    });
    if let Some(expires) = expires {
        claims["exp"] = json!(expires);
    }
    let head = json!({"typ": "JWT", "alg": "ed25519-nkey"});
    let signed = format!("{}.{}", encode(&head), encode(&claims));
    let signature = issuer.sign(signed.as_bytes()).unwrap();
    format!("{signed}.{}", BASE64URL_NOPAD.encode(&signature))
}

impl Operator {
    pub fn new() -> Operator {
        Operator {
            key: KeyPair::new_operator(),
            accounts: Vec::new(),
        }
    }

    pub fn account(&mut self, name: &str) -> Account {
        // All that there is, with JetStream.
        self.account_with(name, -1)
    }

    fn account_with(&mut self, name: &str, stored_max: i64) -> Account {
        let key = KeyPair::new_account();
        let nats = json!({
            "type": "account", "version": 2,
            "limits": {
                "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1, "leaf": -1,
                "mem_storage": stored_max, "disk_storage": stored_max, "streams": stored_max, "consumer": stored_max,
            },
        });
        let text = token(&self.key, &key.public_key(), name, None, &nats);
        self.accounts.push((key.public_key(), text));
        Account { key }
    }

    /// What a server of this operator is configured with.
    pub fn configuration(&mut self) -> String {
        let system = self.account_with("SYS", 0).key.public_key();
        let public = self.key.public_key();
        let nats = json!({"type": "operator", "version": 2});
        let operator = token(&self.key, &public, "operator", None, &nats);
        let accounts = self.accounts.iter().map(|(key, text)| format!("  {key}: \"{text}\"\n"));
        format!(
            "operator: \"{operator}\"\nsystem_account: {system}\nresolver: MEMORY\nresolver_preload: {{\n{}}}\n",
            accounts.collect::<String>()
        )
    }
}

impl Account {
    /// Makes a file of credentials of a user.
    pub fn user(&self, folder: &Path, name: &str, expires: Option<u64>) -> PathBuf {
        let key = KeyPair::new_user();
        let nats = json!({"type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1});
        let text = token(&self.key, &key.public_key(), name, expires, &nats);
        let path = folder.join(format!("{name}.creds"));
        let seed = key.seed().unwrap();
        let file = format!(
            "-----BEGIN NATS USER JWT-----\n{text}\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
        );
        fs::write(&path, file).unwrap();
        path
    }
}
