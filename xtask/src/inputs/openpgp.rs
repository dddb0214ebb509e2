//! Upstream's detached signatures. A key is trusted for its pinned fingerprint alone, wherever it is from.

use anyhow::{Context, Result, bail};
use pgp::composed::{Deserializable, DetachedSignature, SignedPublicKey, SignedPublicSubKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::SignatureType;
use pgp::types::KeyDetails;

/// Checks that a file was signed by the key of this fingerprint, or by a subkey that is bound to it. A key that says it
/// is revoked is refused; expiry is not checked, since it does not invalidate what the key signed before.
pub fn verify(keys: &[u8], fingerprint: &str, signature: &[u8], data: &[u8]) -> Result<()> {
    let (mut all, _) = SignedPublicKey::from_reader_many(keys).context("no OpenPGP key")?;
    let key = all
        .find_map(|key| key.ok().filter(|key| is_called(key, fingerprint)))
        .with_context(|| format!("the key file has no key with the fingerprint {fingerprint}"))?;
    let mut revocations = key.details.revocation_signatures.iter();
    if revocations.any(|revocation| revocation.verify_key(&key.primary_key).is_ok()) {
        bail!("the key {fingerprint} is revoked");
    }
    let (signature, _) = DetachedSignature::from_reader_single(signature).context("no OpenPGP signature")?;
    let hash = signature.signature.hash_alg();
    if !matches!(
        hash,
        Some(
            HashAlgorithm::Sha256
                | HashAlgorithm::Sha384
                | HashAlgorithm::Sha512
                | HashAlgorithm::Sha3_256
                | HashAlgorithm::Sha3_512
        )
    ) {
        bail!("the signature is over a digest that can be forged: {hash:?}");
    }
    let Err(error) = signature.verify(&key.primary_key, data) else {
        return Ok(());
    };
    for subkey in &key.public_subkeys {
        if may_sign(subkey, &key) && signature.verify(&subkey.key, data).is_ok() {
            return Ok(());
        }
    }
    Err(error).with_context(|| format!("the signature is not one of the key {fingerprint} over this file"))
}

fn is_called(key: &SignedPublicKey, fingerprint: &str) -> bool {
    format!("{:X}", key.primary_key.fingerprint()) == fingerprint
}

fn may_sign(subkey: &SignedPublicSubKey, key: &SignedPublicKey) -> bool {
    let mut signatures = subkey.signatures.iter();
    let bound = subkey.verify_bindings(&key.primary_key).is_ok();
    bound
        && signatures
            .all(|signature| signature.typ() == Some(SignatureType::SubkeyBinding) && signature.key_flags().sign())
}

#[cfg(test)]
mod tests {
    use pgp::composed::{EncryptionCaps, KeyType, SecretKeyParamsBuilder, SignedSecretKey, SubkeyParamsBuilder};
    use pgp::packet::{SignatureConfig, Subpacket, SubpacketData};
    use pgp::ser::Serialize;
    use pgp::types::{Password, SigningKey};
    use rand::thread_rng;

    use super::*;

    fn key(primary: KeyType) -> SignedSecretKey {
        let subkey = |can_sign: bool| {
            SubkeyParamsBuilder::default()
                .key_type(KeyType::Ed25519Legacy)
                .can_sign(can_sign)
                .can_authenticate(!can_sign)
                .can_encrypt(EncryptionCaps::None)
                .build()
                .unwrap()
        };
        SecretKeyParamsBuilder::default()
            .key_type(primary)
            .can_certify(true)
            .can_sign(true)
            .primary_user_id("test".into())
            .subkeys(vec![subkey(true), subkey(false)])
            .build()
            .unwrap()
            .generate(thread_rng())
            .unwrap()
    }

    fn sign(key: &impl SigningKey, hash: HashAlgorithm) -> Vec<u8> {
        DetachedSignature::sign_binary_data(thread_rng(), key, &Password::empty(), hash, &b"upstream"[..])
            .unwrap()
            .to_bytes()
            .unwrap()
    }

    #[test]
    fn only_the_pinned_key_verifies_and_only_what_it_signed() {
        // Of the kind that would sign a weak digest.
        let secret = key(KeyType::Rsa(2048));
        let public = SignedPublicKey::from(secret.clone());
        let fingerprint = format!("{:X}", public.fingerprint());
        let check_of = |data: &[u8], public: &SignedPublicKey, signature: &[u8]| {
            verify(&public.to_bytes().unwrap(), &fingerprint, signature, data).map_err(|error| format!("{error:#}"))
        };
        let check = |public: &SignedPublicKey, signature: &[u8]| check_of(b"upstream", public, signature);
        let refused = |public: &SignedPublicKey, signature: &[u8], wanted: &str| {
            let message = check(public, signature).unwrap_err();
            assert!(message.contains(wanted), "{message}");
        };
        let good = sign(&secret.primary_key, HashAlgorithm::Sha256);
        let by_subkey = sign(&secret.secret_subkeys[0].key, HashAlgorithm::Sha512);
        check(&public, &good).unwrap();
        check(&public, &by_subkey).unwrap();

        let by_other_use = sign(&secret.secret_subkeys[1].key, HashAlgorithm::Sha256);
        refused(&public, &by_other_use, "not one of the key");
        let weak = sign(&secret.primary_key, HashAlgorithm::Sha1);
        refused(&public, &weak, "can be forged");
        let stranger = key(KeyType::Ed25519Legacy);
        refused(
            &public,
            &sign(&stranger.primary_key, HashAlgorithm::Sha256),
            "not one of the key",
        );
        refused(
            &SignedPublicKey::from(stranger.clone()),
            &good,
            "no key with the fingerprint",
        );
        // Subkeys that another key has bound are nobody's.
        let mut grafted = public.clone();
        grafted.public_subkeys = SignedPublicKey::from(stranger.clone()).public_subkeys;
        refused(
            &grafted,
            &sign(&stranger.secret_subkeys[0].key, HashAlgorithm::Sha256),
            "not one of the key",
        );

        let revoke = |by: &SignedSecretKey| {
            let algorithm = by.primary_key.algorithm();
            let mut config = SignatureConfig::v4(SignatureType::KeyRevocation, algorithm, HashAlgorithm::Sha256);
            let issuer = SubpacketData::IssuerFingerprint(by.primary_key.fingerprint());
            config.hashed_subpackets = vec![Subpacket::regular(issuer).unwrap()];
            let mut revoked = public.clone();
            let password = Password::empty();
            let revocation = config
                .sign_key(&by.primary_key, &password, &public.primary_key)
                .unwrap();
            revoked.details.revocation_signatures.push(revocation);
            revoked
        };
        refused(&revoke(&secret), &good, "is revoked");
        check(&revoke(&stranger), &good).unwrap();

        for signature in [good, by_subkey] {
            let message = check_of(b"upstreaN", &public, &signature).unwrap_err();
            assert!(message.contains("not one of the key"), "{message}");
        }
    }
}
