//! Who may log in, and with what.
//!
//! Users of the configuration keep their password there, and log in by every mechanism. All others are SCRAM credentials in
//! `meta/users.json` (readable by its owner alone), set by AlterUserScramCredentials; they log in by that mechanism, and by PLAIN.

use super::config::SecurityConfig;
use super::scram::{ScramCredential, ScramMechanism, base64, same};
use crate::error::BrokerError;
use crate::store::meta::MetaStore;
use kafka_protocol::ResponseError as E;
use parking_lot::{Mutex, RwLock};
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::num::NonZeroU32;
use std::sync::{Arc, OnceLock};

const FILE: &str = "users.json";
/// More users than this are refused: all of them are in memory, and each change writes them all.
const MAX_USERS: usize = 100_000;
/// Longer salts than any client makes.
const MAX_SALT: usize = 1024;
const MAX_NAME: usize = 255;
/// Of credentials that the broker derives itself.
const ITERATIONS: NonZeroU32 = match NonZeroU32::new(ScramMechanism::MIN_ITERATIONS) {
    Some(n) => n,
    None => NonZeroU32::MIN,
};

/// `meta/users.json`.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
struct UsersFile {
    /// By name, then by mechanism.
    users: BTreeMap<String, BTreeMap<String, StoredCredential>>,
}

/// Bytes are base64.
#[derive(Clone, Serialize, Deserialize)]
struct StoredCredential {
    salt: String,
    stored_key: String,
    server_key: String,
    iterations: NonZeroU32,
}

impl fmt::Debug for StoredCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredCredential").finish_non_exhaustive()
    }
}

impl StoredCredential {
    fn new(credential: &ScramCredential) -> Self {
        Self {
            salt: base64::encode(&credential.salt),
            stored_key: base64::encode(&credential.stored_key),
            server_key: base64::encode(&credential.server_key),
            iterations: credential.iterations,
        }
    }

    fn read(&self) -> Option<ScramCredential> {
        Some(ScramCredential {
            salt: base64::decode(&self.salt)?,
            stored_key: base64::decode(&self.stored_key)?,
            server_key: base64::decode(&self.server_key)?,
            iterations: self.iterations,
        })
    }
}

/// A user's credentials by mechanism.
type Credentials = BTreeMap<ScramMechanism, ScramCredential>;

/// A user of the configuration. SCRAM credentials are derived when one is first asked for: that takes milliseconds.
struct ConfiguredUser {
    password: String,
    salt: Vec<u8>,
    derived: [OnceLock<ScramCredential>; 2],
}

/// A change of one user's credential.
#[derive(Debug, Clone)]
pub enum UserChange {
    /// Removes it.
    Delete {
        /// The user.
        user: String,
        /// `ScramMechanism`'s number.
        mechanism: i8,
    },
    /// Sets it.
    Set {
        /// The user.
        user: String,
        /// `ScramMechanism`'s number.
        mechanism: i8,
        /// Of PBKDF2.
        iterations: i32,
        /// Random bytes.
        salt: Vec<u8>,
        /// `Hi(password, salt, iterations)`.
        salted_password: Vec<u8>,
    },
}

impl UserChange {
    /// The user that is changed.
    pub fn user(&self) -> &str {
        match self {
            Self::Delete { user, .. } | Self::Set { user, .. } => user,
        }
    }
}

/// Why a user is not changed or described: Kafka's code, and words.
pub type UserError = (E, String);

/// What became of a question or change about each user.
pub type PerUser<T> = Vec<(String, Result<T, UserError>)>;

/// Who may log in.
pub struct Users {
    meta: MetaStore,
    configured: HashMap<String, ConfiguredUser>,
    /// Held while credentials change, so that file and memory change together. Holds what the file says.
    file: Mutex<UsersFile>,
    stored: RwLock<HashMap<String, Arc<Credentials>>>,
    random: SystemRandom,
    /// By which users that do not exist are given a salt, the same each time.
    decoy: Vec<u8>,
}

impl Users {
    pub(crate) fn open(meta: MetaStore, config: &SecurityConfig) -> Result<Self, BrokerError> {
        let file: UsersFile = meta.load(FILE)?.unwrap_or_default();
        let mut stored = HashMap::new();
        for (user, credentials) in &file.users {
            let read = credentials.iter().map(|(mechanism, credential)| {
                Some((ScramMechanism::from_name(mechanism)?, credential.read()?))
            });
            let credentials: Option<Credentials> = read.collect();
            let credentials = credentials.ok_or_else(|| BrokerError::Damaged {
                path: meta.path(FILE),
                reason: format!("the credentials of user {user} cannot be read"),
            })?;
            stored.insert(user.clone(), Arc::new(credentials));
        }
        let random = SystemRandom::new();
        let mut configured = HashMap::new();
        for (user, password) in &config.users {
            let (password, salt) = (password.clone(), random_bytes(&random)?);
            configured.insert(user.clone(), ConfiguredUser { password, salt, derived: Default::default() });
        }
        let (decoy, file, stored) = (random_bytes(&random)?, Mutex::new(file), RwLock::new(stored));
        Ok(Self { meta, configured, file, stored, random, decoy })
    }

    /// A nonce for one SCRAM exchange.
    pub(crate) fn nonce(&self) -> Result<String, BrokerError> {
        Ok(base64::encode(&random_bytes(&self.random)?))
    }

    /// The credential of a user, and whether there is one: for a user that is not there a credential is made up, the same each
    /// time, so that a client cannot tell which users there are.
    pub(crate) fn credential(&self, user: &str, mechanism: ScramMechanism) -> (ScramCredential, bool) {
        if let Some(configured) = self.configured.get(user) {
            let at = if mechanism == ScramMechanism::Sha256 { 0 } else { 1 };
            let derive = || {
                let (password, salt) = (&configured.password, configured.salt.clone());
                ScramCredential::from_password(mechanism, password, salt, ITERATIONS)
            };
            let credential =
                configured.derived.get(at).map_or_else(derive, |c| c.get_or_init(derive).clone());
            return (credential, true);
        }
        let stored = self.stored.read().get(user).cloned();
        match stored.and_then(|credentials| credentials.get(&mechanism).cloned()) {
            Some(credential) => (credential, true),
            None => (self.made_up(user, mechanism), false),
        }
    }

    fn made_up(&self, user: &str, mechanism: ScramMechanism) -> ScramCredential {
        let mut salt = mechanism.sign(&self.decoy, user.as_bytes());
        salt.truncate(24);
        let key = mechanism.sign(&self.decoy, &salt);
        ScramCredential { salt, stored_key: key.clone(), server_key: key, iterations: ITERATIONS }
    }

    /// Whether this is the user's password. Takes milliseconds where the user is not of the configuration, also where there is
    /// no such user.
    pub(crate) fn is_password(&self, user: &str, password: &str) -> bool {
        if let Some(configured) = self.configured.get(user) {
            return same(configured.password.as_bytes(), password.as_bytes());
        }
        let stored = self.stored.read().get(user).cloned();
        let Some((mechanism, credential)) =
            stored.as_ref().and_then(|credentials| credentials.first_key_value())
        else {
            let mechanism = ScramMechanism::Sha256;
            let _ = self.made_up(user, mechanism).is_password(mechanism, password);
            return false;
        };
        credential.is_password(*mechanism, password)
    }

    /// The mechanisms and iterations of users: of all, where none is named. Sorted by name.
    pub fn describe(&self, wanted: Option<&[String]>) -> PerUser<Vec<(ScramMechanism, u32)>> {
        let stored = self.stored.read();
        let mut names: BTreeMap<String, usize> = BTreeMap::new();
        match wanted.filter(|names| !names.is_empty()) {
            Some(wanted) => wanted.iter().for_each(|name| *names.entry(name.clone()).or_default() += 1),
            None => names.extend(stored.keys().chain(self.configured.keys()).map(|name| (name.clone(), 1))),
        }
        let described = names.into_iter().map(|(name, times)| {
            let credentials = match (self.configured.contains_key(&name), stored.get(&name)) {
                _ if times > 1 => Err((
                    E::DuplicateResource,
                    format!("Cannot describe SCRAM credentials for the same user twice in a single request: {name}"),
                )),
                (true, _) => Ok(ScramMechanism::ALL.map(|m| (m, ITERATIONS.get())).to_vec()),
                (false, Some(all)) => Ok(all.iter().map(|(m, c)| (*m, c.iterations.get())).collect()),
                (false, None) => Err((
                    E::ResourceNotFound,
                    format!("Attempt to describe a user credential that does not exist: {name}"),
                )),
            };
            (name, credentials)
        });
        described.collect()
    }

    /// Sets and removes credentials: deletions first, as in the request. All that are right are durable when this returns; one
    /// result for each user.
    pub fn alter(&self, changes: Vec<UserChange>) -> Result<PerUser<()>, BrokerError> {
        let mut file = self.file.lock();
        let mut changed = file.clone();
        let mut results: PerUser<()> = Vec::new();
        let mut seen = HashSet::new();
        let twice: HashSet<String> =
            changes.iter().filter(|c| !seen.insert(c.user())).map(|c| c.user().to_owned()).collect();
        for user in &twice {
            let reason = "A user credential cannot be altered twice in the same request".to_owned();
            results.push((user.clone(), Err((E::DuplicateResource, reason))));
        }
        let mut touched = Vec::new();
        for change in changes.into_iter().filter(|c| !twice.contains(c.user())) {
            let user = change.user().to_owned();
            let result =
                self.check(&change, &changed).map(|mechanism| apply(&mut changed, change, mechanism));
            if result.is_ok() {
                touched.push(user.clone());
            }
            results.push((user, result));
        }
        if !touched.is_empty() {
            self.meta.store_private(FILE, &changed)?;
            let mut stored = self.stored.write();
            for user in touched {
                let credentials: Credentials = changed
                    .users
                    .get(&user)
                    .into_iter()
                    .flatten()
                    .filter_map(|(m, c)| Some((ScramMechanism::from_name(m)?, c.read()?)))
                    .collect();
                match credentials.is_empty() {
                    true => stored.remove(&user),
                    false => stored.insert(user, Arc::new(credentials)),
                };
            }
            *file = changed;
        }
        Ok(results)
    }

    /// What `ScramControlManager` checks, and that nothing of any size is kept.
    fn check(&self, change: &UserChange, file: &UsersFile) -> Result<ScramMechanism, UserError> {
        let bad = |reason: &str| Err((E::UnacceptableCredential, reason.to_owned()));
        let (UserChange::Delete { user, mechanism } | UserChange::Set { user, mechanism, .. }) = change;
        if user.is_empty() {
            return bad("Username must not be empty");
        }
        let Some(mechanism) = ScramMechanism::from_code(*mechanism) else {
            return Err((E::UnsupportedSaslMechanism, "Unknown SCRAM mechanism".into()));
        };
        if self.configured.contains_key(user) {
            return bad("This user is set in the broker's configuration (users): change it there");
        }
        let there = file.users.get(user);
        match change {
            UserChange::Delete { .. } => match there.is_some_and(|c| c.contains_key(mechanism.name())) {
                true => Ok(mechanism),
                false => {
                    let reason = "Attempt to delete a user credential that does not exist";
                    Err((E::ResourceNotFound, reason.to_owned()))
                }
            },
            UserChange::Set { iterations, salt, salted_password, .. } => {
                match u32::try_from(*iterations).unwrap_or(0) {
                    n if n < ScramMechanism::MIN_ITERATIONS => bad("Too few iterations"),
                    n if n > ScramMechanism::MAX_ITERATIONS => bad("Too many iterations"),
                    _ if user.len() > MAX_NAME => bad("A user's name is at most 255 bytes"),
                    _ if salt.is_empty() || salt.len() > MAX_SALT => bad("A salt is 1 to 1024 bytes"),
                    // Kafka's key derivation refuses an empty one, and takes every other length.
                    _ if salted_password.is_empty() => bad("The salted password is empty"),
                    _ if there.is_none() && file.users.len() >= MAX_USERS => {
                        Err((E::PolicyViolation, format!("there are {MAX_USERS} users already")))
                    }
                    _ => Ok(mechanism),
                }
            }
        }
    }
}

/// 24 bytes that nobody can guess.
fn random_bytes(random: &SystemRandom) -> Result<Vec<u8>, BrokerError> {
    let mut bytes = vec![0; 24];
    let failed = |_| BrokerError::Io {
        what: "cannot take random bytes from the system",
        path: "/dev/urandom".into(),
        source: std::io::ErrorKind::Other.into(),
    };
    random.fill(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

fn apply(file: &mut UsersFile, change: UserChange, mechanism: ScramMechanism) {
    match change {
        UserChange::Delete { user, .. } => {
            if let Some(credentials) = file.users.get_mut(&user) {
                credentials.remove(mechanism.name());
                if credentials.is_empty() {
                    file.users.remove(&user);
                }
            }
        }
        UserChange::Set { user, iterations, salt, salted_password, .. } => {
            let iterations = u32::try_from(iterations).ok().and_then(NonZeroU32::new).unwrap_or(ITERATIONS);
            let credential =
                ScramCredential::from_salted_password(mechanism, &salted_password, salt, iterations);
            let stored = StoredCredential::new(&credential);
            file.users.entry(user).or_default().insert(mechanism.name().to_owned(), stored);
        }
    }
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Users").finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "users_tests.rs"]
mod tests;
