//! SCRAM (RFC 5802, RFC 7677): credentials, and the server's side of the exchange as a state machine without I/O.
//!
//! ```text
//!  SaltedPassword  = PBKDF2(HMAC, password, salt, iterations)
//!  ClientKey       = HMAC(SaltedPassword, "Client Key")        StoredKey = H(ClientKey)        ┐ kept of a user: these
//!  ServerKey       = HMAC(SaltedPassword, "Server Key")                                        ┘ two, salt, iterations
//!  ClientProof     = ClientKey XOR HMAC(StoredKey, AuthMessage)                    sent by the client
//!  ServerSignature = HMAC(ServerKey, AuthMessage)                                  sent back
//! ```
//! Passwords are taken as the bytes of their UTF-8 text, without SASLprep, as Kafka and librdkafka do.

use ring::{digest, hmac, pbkdf2};
use std::fmt;
use std::num::NonZeroU32;

/// Which hash function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i8)]
pub enum ScramMechanism {
    /// `SCRAM-SHA-256`.
    Sha256 = 1,
    /// `SCRAM-SHA-512`.
    Sha512 = 2,
}

impl ScramMechanism {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Sha256, Self::Sha512];
    /// The fewest iterations that are accepted.
    pub const MIN_ITERATIONS: u32 = 4096;
    /// The most iterations that are accepted: more would let a client that authenticates keep the broker busy.
    pub const MAX_ITERATIONS: u32 = 16_384;

    /// The name in the protocol.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "SCRAM-SHA-256",
            Self::Sha512 => "SCRAM-SHA-512",
        }
    }

    /// By the number in AlterUserScramCredentials.
    pub fn from_code(code: i8) -> Option<Self> {
        Self::ALL.into_iter().find(|m| *m as i8 == code)
    }

    /// By name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|m| m.name() == name)
    }

    /// The length of its hashes in bytes.
    pub fn hash_len(self) -> usize {
        self.digest().output_len()
    }

    fn digest(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha512 => &digest::SHA512,
        }
    }

    fn hmac(self) -> hmac::Algorithm {
        match self {
            Self::Sha256 => hmac::HMAC_SHA256,
            Self::Sha512 => hmac::HMAC_SHA512,
        }
    }

    pub(super) fn sign(self, key: &[u8], message: &[u8]) -> Vec<u8> {
        hmac::sign(&hmac::Key::new(self.hmac(), key), message).as_ref().to_vec()
    }

    fn hash(self, bytes: &[u8]) -> Vec<u8> {
        digest::digest(self.digest(), bytes).as_ref().to_vec()
    }

    /// `Hi` of RFC 5802: milliseconds of computing.
    pub fn salted_password(self, password: &str, salt: &[u8], iterations: NonZeroU32) -> Vec<u8> {
        let algorithm = match self {
            Self::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
            Self::Sha512 => pbkdf2::PBKDF2_HMAC_SHA512,
        };
        let mut salted = vec![0; self.hash_len()];
        pbkdf2::derive(algorithm, iterations, salt, password.as_bytes(), &mut salted);
        salted
    }
}

/// What a broker keeps of a user's password.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramCredential {
    /// Random bytes.
    pub salt: Vec<u8>,
    /// By which the client's proof is checked.
    pub stored_key: Vec<u8>,
    /// By which the broker proves itself.
    pub server_key: Vec<u8>,
    /// Of PBKDF2.
    pub iterations: NonZeroU32,
}

impl fmt::Debug for ScramCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScramCredential").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

impl ScramCredential {
    /// From what clients send to set a password.
    pub fn from_salted_password(
        mechanism: ScramMechanism,
        salted_password: &[u8],
        salt: Vec<u8>,
        iterations: NonZeroU32,
    ) -> Self {
        let client_key = mechanism.sign(salted_password, b"Client Key");
        Self {
            salt,
            stored_key: mechanism.hash(&client_key),
            server_key: mechanism.sign(salted_password, b"Server Key"),
            iterations,
        }
    }

    /// From a password.
    pub fn from_password(
        mechanism: ScramMechanism,
        password: &str,
        salt: Vec<u8>,
        iterations: NonZeroU32,
    ) -> Self {
        let salted = mechanism.salted_password(password, &salt, iterations);
        Self::from_salted_password(mechanism, &salted, salt, iterations)
    }

    /// Whether this is the password, in time that does not depend on where it differs.
    pub fn is_password(&self, mechanism: ScramMechanism, password: &str) -> bool {
        let other = Self::from_password(mechanism, password, self.salt.clone(), self.iterations);
        same(&other.stored_key, &self.stored_key)
    }
}

/// Whether two secrets are the same, in time that does not depend on where they differ: their HMACs are compared so.
pub(super) fn same(a: &[u8], b: &[u8]) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"compare");
    hmac::verify(&key, a, hmac::sign(&key, b).as_ref()).is_ok()
}

/// An exchange fails. Clients are not told why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ScramError {
    #[error("the client's first message is malformed")]
    ClientFirst,
    #[error("channel binding is asked for")]
    ChannelBinding,
    #[error("the authorization id is another than the user's name")]
    AuthorizationId,
    #[error("the client's last message is malformed")]
    ClientFinal,
    #[error("the nonce does not end with the one of this exchange")]
    Nonce,
    #[error("the proof is wrong")]
    Proof,
}

/// A client's first message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ClientFirst {
    /// The user's name.
    pub user: String,
    nonce: String,
    /// All after the GS2 header, as it was sent.
    bare: String,
    /// The GS2 header as it was sent, which the last message repeats.
    gs2_header: String,
}

impl ClientFirst {
    /// `n,[a=authzid],[m=ext,]n=user,r=nonce[,extensions]`
    pub(crate) fn parse(message: &[u8]) -> Result<Self, ScramError> {
        let bad = ScramError::ClientFirst;
        let text = std::str::from_utf8(message).map_err(|_| bad)?;
        let (flag, rest) = text.split_once(',').ok_or(bad)?;
        match flag {
            "n" => {}
            // The client could bind to the TLS channel and thinks that we cannot, or does it.
            "y" => {}
            _ if flag.starts_with("p=") => return Err(ScramError::ChannelBinding),
            _ => return Err(bad),
        }
        let (authzid, bare) = rest.split_once(',').ok_or(bad)?;
        let mut fields = bare.split(',');
        let mut field = fields.next().ok_or(bad)?;
        if field.starts_with("m=") {
            // RFC 5802: a mandatory extension that is not known fails the exchange.
            return Err(bad);
        }
        let user = name(field.strip_prefix("n=").ok_or(bad)?).ok_or(bad)?;
        field = fields.next().ok_or(bad)?;
        let nonce = field.strip_prefix("r=").filter(|n| is_nonce(n)).ok_or(bad)?.to_owned();
        if !fields.all(is_extension) {
            return Err(bad);
        }
        if !authzid.is_empty() {
            let authzid = authzid.strip_prefix("a=").and_then(name).ok_or(bad)?;
            if authzid != user {
                return Err(ScramError::AuthorizationId);
            }
        }
        let gs2_header = text.get(..text.len() - bare.len()).ok_or(bad)?.to_owned();
        Ok(Self { user, nonce, bare: bare.to_owned(), gs2_header })
    }
}

/// A `saslname`: `=2C` is a comma and `=3D` an equals sign.
fn name(text: &str) -> Option<String> {
    let mut name = String::new();
    let mut parts = text.split('=');
    name.push_str(parts.next()?);
    for part in parts {
        let (escaped, rest) = part.split_at_checked(2)?;
        name.push(match escaped {
            "2C" => ',',
            "3D" => '=',
            _ => return None,
        });
        name.push_str(rest);
    }
    (!name.is_empty() && !name.contains('\0')).then_some(name)
}

fn is_nonce(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| (0x21..=0x7e).contains(&b))
}

fn is_extension(field: &str) -> bool {
    field.split_once('=').is_some_and(|(key, value)| {
        !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphabetic()) && !value.is_empty()
    })
}

/// An exchange in which the first message was answered.
pub(crate) struct ScramExchange {
    mechanism: ScramMechanism,
    first: ClientFirst,
    credential: ScramCredential,
    nonce: String,
    server_first: String,
}

impl ScramExchange {
    /// Answers the first message: the exchange, and what is sent.
    pub(crate) fn new(
        mechanism: ScramMechanism,
        first: ClientFirst,
        credential: ScramCredential,
        server_nonce: &str,
    ) -> (Self, Vec<u8>) {
        let nonce = format!("{}{server_nonce}", first.nonce);
        let server_first =
            format!("r={nonce},s={},i={}", base64::encode(&credential.salt), credential.iterations);
        let answer = server_first.clone().into_bytes();
        (Self { mechanism, first, credential, nonce, server_first }, answer)
    }

    /// The user that the client claims to be.
    pub(crate) fn user(&self) -> &str {
        &self.first.user
    }

    /// Checks the last message (`c=header,r=nonce[,extensions],p=proof`): what is sent when the client knows the password.
    pub(crate) fn finish(&self, message: &[u8]) -> Result<Vec<u8>, ScramError> {
        let bad = ScramError::ClientFinal;
        let text = std::str::from_utf8(message).map_err(|_| bad)?;
        let (without_proof, proof) = text.rsplit_once(",p=").ok_or(bad)?;
        let proof = base64::decode(proof).ok_or(bad)?;
        let mut fields = without_proof.split(',');
        let header = fields.next().and_then(|f| f.strip_prefix("c=")).and_then(base64::decode).ok_or(bad)?;
        let nonce = fields.next().and_then(|f| f.strip_prefix("r=")).ok_or(bad)?;
        if !fields.all(is_extension) || header != self.first.gs2_header.as_bytes() {
            return Err(bad);
        }
        // Not equal: librdkafka before 2.6.1 puts its own nonce before that of this exchange, and Kafka lets it.
        if !nonce.ends_with(&self.nonce) {
            return Err(ScramError::Nonce);
        }
        let message = format!("{},{},{without_proof}", self.first.bare, self.server_first);
        let signature = self.mechanism.sign(&self.credential.stored_key, message.as_bytes());
        if proof.len() != signature.len() {
            return Err(ScramError::Proof);
        }
        let client_key: Vec<u8> = proof.iter().zip(&signature).map(|(p, s)| p ^ s).collect();
        if !same(&self.mechanism.hash(&client_key), &self.credential.stored_key) {
            return Err(ScramError::Proof);
        }
        let signature = self.mechanism.sign(&self.credential.server_key, message.as_bytes());
        Ok(format!("v={}", base64::encode(&signature)).into_bytes())
    }
}

/// Base64 with padding.
pub(super) mod base64 {
    use ::base64::Engine as _;
    use ::base64::engine::general_purpose::STANDARD;

    pub(crate) fn encode(bytes: &[u8]) -> String {
        STANDARD.encode(bytes)
    }

    pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
        STANDARD.decode(text).ok()
    }
}

#[cfg(test)]
#[path = "scram_tests.rs"]
mod tests;

/// The client's side, for tests of the server's.
#[cfg(test)]
pub(super) mod client {
    use super::*;

    /// The last message of a client that was given `challenge` in answer to `first`.
    pub(crate) fn last_message(
        mechanism: ScramMechanism,
        first: &str,
        challenge: &[u8],
        password: &str,
    ) -> Vec<u8> {
        let challenge = std::str::from_utf8(challenge).unwrap();
        let mut fields = challenge.split(',').map(|f| &f[2..]);
        let (nonce, salt, iterations) =
            (fields.next().unwrap(), fields.next().unwrap(), fields.next().unwrap());
        let salt = base64::decode(salt).unwrap();
        let salted = mechanism.salted_password(password, &salt, iterations.parse().unwrap());
        let client_key = mechanism.sign(&salted, b"Client Key");
        let without_proof = format!("c={},r={nonce}", base64::encode(b"n,,"));
        let message = format!("{},{challenge},{without_proof}", first.strip_prefix("n,,").unwrap());
        let signature = mechanism.sign(&mechanism.hash(&client_key), message.as_bytes());
        let proof: Vec<u8> = client_key.iter().zip(&signature).map(|(k, s)| k ^ s).collect();
        format!("{without_proof},p={}", base64::encode(&proof)).into_bytes()
    }
}
