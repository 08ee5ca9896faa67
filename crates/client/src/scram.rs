//! The client's side of SCRAM (RFC 5802, RFC 7677), as functions from messages to messages.
//!
//! ```text
//!  n,,n=user,r=nonce                      ──▶
//!                                         ◀── r=nonce+theirs,s=salt,i=iterations
//!  c=biws,r=nonce+theirs,p=proof          ──▶
//!                                         ◀── v=signature
//! ```

use crate::config::Mechanism;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::rand::{SecureRandom, SystemRandom};
use ring::{digest, hmac, pbkdf2};
use std::num::NonZeroU32;

/// Kafka's `ScramMechanism` takes no fewer, and a server that asks for a great many would keep us busy for long.
pub const MIN_ITERATIONS: u32 = 4096;
/// Kafka's largest.
pub const MAX_ITERATIONS: u32 = 16_384;
const MAX_ITERATIONS_TAKEN: u32 = 1_000_000;

struct Algorithms {
    pbkdf2: pbkdf2::Algorithm,
    hmac: hmac::Algorithm,
    digest: &'static digest::Algorithm,
}

fn algorithms(mechanism: Mechanism) -> Algorithms {
    match mechanism {
        Mechanism::ScramSha512 => Algorithms {
            pbkdf2: pbkdf2::PBKDF2_HMAC_SHA512,
            hmac: hmac::HMAC_SHA512,
            digest: &digest::SHA512,
        },
        _ => Algorithms {
            pbkdf2: pbkdf2::PBKDF2_HMAC_SHA256,
            hmac: hmac::HMAC_SHA256,
            digest: &digest::SHA256,
        },
    }
}

/// `Hi(password, salt, iterations)`: what a server derives its stored keys from, and what AlterUserScramCredentials carries.
pub fn salted_password(mechanism: Mechanism, password: &str, salt: &[u8], iterations: NonZeroU32) -> Vec<u8> {
    let algorithms = algorithms(mechanism);
    let mut out = vec![0; algorithms.digest.output_len()];
    pbkdf2::derive(algorithms.pbkdf2, iterations, salt, password.as_bytes(), &mut out);
    out
}

/// Random bytes for a salt; `None` if the system has none to give.
pub fn random<const N: usize>() -> Option<[u8; N]> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).ok().map(|()| bytes)
}

/// One login.
pub(crate) struct Scram<'a> {
    mechanism: Mechanism,
    password: &'a str,
    nonce: String,
    first_bare: String,
    expected: Vec<u8>,
}

impl<'a> Scram<'a> {
    pub(crate) fn new(mechanism: Mechanism, user: &str, password: &'a str, nonce: String) -> Self {
        let name = user.replace('=', "=3D").replace(',', "=2C");
        let first_bare = format!("n={name},r={nonce}");
        Self { mechanism, password, nonce, first_bare, expected: Vec::new() }
    }

    pub(crate) fn first(&self) -> String {
        format!("n,,{}", self.first_bare)
    }

    /// The answer to the server's first message.
    pub(crate) fn proof(&mut self, server_first: &str) -> Result<String, String> {
        if let Some(error) = server_first.strip_prefix("e=") {
            return Err(error.to_owned());
        }
        let field = |name: char| {
            server_first.split(',').find_map(|part| part.strip_prefix([name])?.strip_prefix('='))
        };
        let (Some(nonce), Some(salt), Some(iterations)) = (field('r'), field('s'), field('i')) else {
            return Err(format!("the server's first message is {server_first:?}"));
        };
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err("the server's nonce does not begin with ours".into());
        }
        let salt = BASE64.decode(salt).map_err(|e| format!("the server's salt: {e}"))?;
        let iterations: u32 = iterations.parse().map_err(|_| format!("iterations {iterations:?}"))?;
        let iterations = NonZeroU32::new(iterations)
            .filter(|i| (MIN_ITERATIONS..=MAX_ITERATIONS_TAKEN).contains(&i.get()))
            .ok_or_else(|| format!("{iterations} iterations: at least {MIN_ITERATIONS} are expected"))?;
        let Algorithms { hmac: algorithm, digest: hash, .. } = algorithms(self.mechanism);
        let sign = |key: &[u8], text: &[u8]| hmac::sign(&hmac::Key::new(algorithm, key), text);
        let salted = salted_password(self.mechanism, self.password, &salt, iterations);
        let client_key = sign(&salted, b"Client Key");
        let stored_key = digest::digest(hash, client_key.as_ref());
        let without_proof = format!("c=biws,r={nonce}");
        let message = format!("{},{server_first},{without_proof}", self.first_bare);
        let signature = sign(stored_key.as_ref(), message.as_bytes());
        let proof: Vec<u8> = client_key.as_ref().iter().zip(signature.as_ref()).map(|(a, b)| a ^ b).collect();
        let server_key = sign(&salted, b"Server Key");
        self.expected = sign(server_key.as_ref(), message.as_bytes()).as_ref().to_vec();
        Ok(format!("{without_proof},p={}", BASE64.encode(proof)))
    }

    /// Checks that the server knows the password, too.
    pub(crate) fn verify(&self, server_final: &str) -> Result<(), String> {
        let signature = server_final.split(',').find_map(|part| part.strip_prefix("v="));
        match signature.and_then(|s| BASE64.decode(s).ok()) {
            Some(signature) if !self.expected.is_empty() && signature == self.expected => Ok(()),
            Some(_) => Err("the server does not know the password: its signature is wrong".into()),
            None => Err(server_final.strip_prefix("e=").unwrap_or(server_final).to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The exchange of RFC 7677, section 3.
    #[test]
    fn the_exchange_of_the_rfc_comes_out() {
        let mut scram =
            Scram::new(Mechanism::ScramSha256, "user", "pencil", "rOprNGfwEbeRWgbNEkqO".to_owned());
        assert_eq!(scram.first(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let server = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        assert_eq!(
            scram.proof(server).unwrap(),
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        assert_eq!(scram.verify("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="), Ok(()));
        assert!(scram.verify("v=AAAA").is_err());
        assert_eq!(scram.verify("e=invalid-proof"), Err("invalid-proof".into()));
    }

    #[test]
    fn a_server_that_does_not_keep_to_the_rules_is_refused() {
        let mut scram = Scram::new(Mechanism::ScramSha512, "a=b,c", "x", "abc".to_owned());
        assert_eq!(scram.first(), "n,,n=a=3Db=2Cc,r=abc");
        for server in ["", "r=abcd", "r=zzz,s=AAAA,i=4096", "r=abc,s=AAAA,i=4096", "r=abcd,s=AAAA,i=1", "e=x"]
        {
            assert!(scram.proof(server).is_err(), "{server}");
        }
        assert!(scram.verify("v=").is_err(), "no proof was made");
    }
}
