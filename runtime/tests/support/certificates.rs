//! Certificates of authorities that live for one test, as X.509 in DER.

use data_encoding::BASE64;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use std::fs;
use std::path::{Path, PathBuf};

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OBJECT: u8 = 0x06;
const UTF8: u8 = 0x0c;
const UTC_TIME: u8 = 0x17;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;

const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const ECDSA_WITH_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
const ALTERNATIVE_NAME: &[u8] = &[0x55, 0x1d, 0x11];

/// A value with its tag and its length.
fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let mut bytes = vec![tag];
    match content.len() {
        length @ 0..128 => bytes.push(length as u8),
        length @ 128..256 => bytes.extend([0x81, length as u8]),
        length => bytes.extend([0x82, (length >> 8) as u8, length as u8]),
    }
    bytes.extend(content);
    bytes
}

/// A name, and the key that belongs to it.
struct Party {
    name: Vec<u8>,
    pkcs8: Vec<u8>,
    key: EcdsaKeyPair,
}

impl Party {
    fn new(name: &str) -> Party {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
        let pkcs8 = pkcs8.as_ref().to_vec();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &pkcs8, &random).unwrap();
        let attribute = der(
            SEQUENCE,
            &[&der(OBJECT, &[COMMON_NAME]), &der(UTF8, &[name.as_bytes()])],
        );
        Party {
            name: der(SEQUENCE, &[&der(SET, &[&attribute])]),
            pkcs8,
            key,
        }
    }

    fn certificate_of(&self, subject: &Party, serial: u8, extension: &[u8]) -> Vec<u8> {
        let algorithm = der(SEQUENCE, &[&der(OBJECT, &[ECDSA_WITH_SHA256])]);
        let validity = der(
            SEQUENCE,
            &[&der(UTC_TIME, &[b"250101000000Z"]), &der(UTC_TIME, &[b"491231235959Z"])],
        );
        let kind = der(SEQUENCE, &[&der(OBJECT, &[EC_PUBLIC_KEY]), &der(OBJECT, &[P256])]);
        let public = der(BIT_STRING, &[&[0], subject.key.public_key().as_ref()]);
        let to_be_signed = der(
            SEQUENCE,
            &[
                &der(0xa0, &[&der(INTEGER, &[&[2]])]),
                &der(INTEGER, &[&[serial]]),
                &algorithm,
                &self.name,
                &validity,
                &subject.name,
                &der(SEQUENCE, &[&kind, &public]),
                &der(0xa3, &[&der(SEQUENCE, &[extension])]),
            ],
        );
        let signature = self.key.sign(&SystemRandom::new(), &to_be_signed).unwrap();
        let signature = der(BIT_STRING, &[&[0], signature.as_ref()]);
        der(SEQUENCE, &[&to_be_signed, &algorithm, &signature])
    }
}

fn pem(label: &str, bytes: &[u8]) -> String {
    let text = BASE64.encode(bytes);
    let lines: Vec<&str> = (0..text.len())
        .step_by(64)
        .map(|from| &text[from..text.len().min(from + 64)])
        .collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

pub struct Authority {
    party: Party,
    folder: PathBuf,
    /// Its own certificate, in PEM.
    pub certificate: PathBuf,
}

impl Authority {
    pub fn new(folder: &Path, name: &str) -> Authority {
        let party = Party::new(name);
        let is_authority = der(SEQUENCE, &[&[0x01, 0x01, 0xff]]);
        let extension = der(
            SEQUENCE,
            &[
                &der(OBJECT, &[BASIC_CONSTRAINTS]),
                &[0x01, 0x01, 0xff],
                &der(OCTET_STRING, &[&is_authority]),
            ],
        );
        let certificate = folder.join(format!("{name}.pem"));
        let bytes = party.certificate_of(&party, 1, &extension);
        fs::write(&certificate, pem("CERTIFICATE", &bytes)).unwrap();
        Authority {
            party,
            folder: folder.to_owned(),
            certificate,
        }
    }

    /// Makes a certificate for an address of this machine, and its key, in PEM.
    pub fn issue(&self, name: &str, address: [u8; 4]) -> (PathBuf, PathBuf) {
        let subject = Party::new(name);
        let names = der(SEQUENCE, &[&der(0x87, &[&address])]);
        let extension = der(
            SEQUENCE,
            &[&der(OBJECT, &[ALTERNATIVE_NAME]), &der(OCTET_STRING, &[&names])],
        );
        let bytes = self.party.certificate_of(&subject, 2, &extension);
        let paths = [".pem", ".key"].map(|ending| self.folder.join(format!("{name}{ending}")));
        fs::write(&paths[0], pem("CERTIFICATE", &bytes)).unwrap();
        fs::write(&paths[1], pem("PRIVATE KEY", &subject.pkcs8)).unwrap();
        let [certificate, key] = paths;
        (certificate, key)
    }
}
