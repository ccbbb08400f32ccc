//! Every algorithm and curve, with keys made here: each verifies its own signatures and no others.

use keyward_jose::{Algorithm, PublicKey, SuppliedKey};

use crate::pairs::{PAIRS, Pair, pem};
use crate::support::verifies;

/// The public key in each form that is read.
fn forms(pair: &Pair) -> Vec<String> {
    let mut forms = vec![pem("PUBLIC KEY", &pair.spki()), pair.jwk("")];
    if let Pair::Rsa(_) = pair {
        forms.push(pem("RSA PUBLIC KEY", &pair.raw()));
    }
    forms
}

#[test]
fn every_algorithm_verifies_with_the_key_that_signed_and_with_no_other() {
    let mut verified = 0;
    for signer in &*PAIRS {
        let tokens: Vec<_> = Algorithm::ALL
            .into_iter()
            .filter_map(|algorithm| Some((algorithm, signer.token(algorithm)?)))
            .collect();
        let algorithms: Vec<_> = tokens.iter().map(|(algorithm, _)| *algorithm).collect();
        for key in &*PAIRS {
            let is_signer = std::ptr::eq(key, signer);
            for form in forms(key) {
                let supplied = SuppliedKey::parse(&form).unwrap();
                for (algorithm, token) in &tokens {
                    assert_eq!(
                        verifies(&supplied, token),
                        is_signer,
                        "{algorithm:?} {form}"
                    );
                    verified += usize::from(is_signer);
                }
                if let (true, SuppliedKey::Public(public)) = (is_signer, &supplied) {
                    assert!(public.algorithms().eq(algorithms.iter().copied()), "{form}");
                }
            }
        }
    }
    // Six RSA algorithms in three forms; three curves and the two names of Ed25519 in two forms.
    assert_eq!(verified, 6 * 3 + 3 * 2 + 2 * 2);
}

#[test]
fn a_public_key_bound_to_one_algorithm_verifies_no_other() {
    for pair in &*PAIRS {
        let able = || {
            Algorithm::ALL
                .into_iter()
                .filter(|able| pair.token(*able).is_some())
        };
        for bound in able() {
            let jwk = pair.jwk(&format!(r#","alg":"{}""#, bound.name()));
            let key = SuppliedKey::parse(&jwk).unwrap();
            for algorithm in able() {
                // The signature is right: only the binding of the key refuses it.
                let token = pair.token(algorithm).unwrap();
                assert_eq!(
                    verifies(&key, &token),
                    algorithm == bound,
                    "{algorithm:?} {jwk}"
                );
            }
        }
    }
}

#[test]
fn a_changed_message_or_signature_verifies_under_no_algorithm() {
    for pair in &*PAIRS {
        let key = PublicKey::from_spki_der(&pair.spki()).unwrap();
        for algorithm in Algorithm::ALL {
            let Some(token) = pair.token(algorithm) else {
                assert!(!key.verifies(algorithm, b"message", &[0; 64]));
                continue;
            };
            let (message, signature) = token.rsplit_once('.').unwrap();
            let signature = keyward_jose::base64url::decode(signature).unwrap();
            assert!(key.verifies(algorithm, message.as_bytes(), &signature));
            assert!(!key.verifies(algorithm, &message.as_bytes()[1..], &signature));
            let mut changed = signature.clone();
            *changed.last_mut().unwrap() ^= 1;
            assert!(!key.verifies(algorithm, message.as_bytes(), &changed));
        }
    }
}

#[test]
fn debug_names_the_algorithms_of_a_public_key_alone() {
    let key = PublicKey::from_spki_der(&PAIRS[4].spki()).unwrap();
    let shown = "PublicKey { algorithms: [EdDSA, Ed25519], .. }";
    assert_eq!(format!("{key:?}"), shown);
}
