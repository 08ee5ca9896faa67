//! `bd users`: SCRAM credentials. Passwords do not leave this process: the cluster gets them salted and hashed.

use super::{Answer, text};
use crate::cli::{ScramName, Users, UsersAction};
use anyhow::{Context, Result, anyhow, bail};
use bd_client::messages::alter_user_scram_credentials_request::{
    ScramCredentialDeletion, ScramCredentialUpsertion,
};
use bd_client::messages::describe_user_scram_credentials_request::UserName;
use bd_client::messages::{AlterUserScramCredentialsRequest, DescribeUserScramCredentialsRequest};
use bd_client::{Client, ClientError, Mechanism, Node, scram};
use bytes::Bytes;
use serde_json::json;
use std::io::BufRead;
use std::num::NonZeroU32;
use std::path::Path;
use std::process::ExitCode;

const RESOURCE_NOT_FOUND: i16 = 91;

fn mechanism(name: ScramName) -> (i8, Mechanism) {
    match name {
        ScramName::Sha256 => (1, Mechanism::ScramSha256),
        ScramName::Sha512 => (2, Mechanism::ScramSha512),
    }
}

/// The mechanism of this number in the protocol.
fn mechanism_name(number: i8) -> &'static str {
    match number {
        1 => Mechanism::ScramSha256.name(),
        2 => Mechanism::ScramSha512.name(),
        _ => "unknown",
    }
}

pub(super) fn run(args: Users) -> Result<ExitCode> {
    let mut client = super::connect(&args.cluster, "bd-users")?;
    let client = &mut client;
    let answer = match args.action.unwrap_or(UsersAction::List) {
        UsersAction::List => {
            let users = credentials(client, None)?;
            let rows: Vec<Vec<String>> = users
                .iter()
                .map(|(u, m, i)| vec![u.clone(), mechanism_name(*m).into(), i.to_string()])
                .collect();
            let json = users
                .iter()
                .map(|(u, m, i)| json!({"user": u, "mechanism": mechanism_name(*m), "iterations": i}));
            Answer::table(&["user", "mechanism", "iterations"], &rows, json.collect())
        }
        UsersAction::Set { user, mechanism, password_file, iterations } => {
            let password = password(password_file.as_deref())?;
            // Kafka takes each user but once in a request.
            for name in mechanism {
                let upsertion = upsertion(&user, name, &password, iterations)?;
                alter(client, AlterUserScramCredentialsRequest::default().with_upsertions(vec![upsertion]))?;
            }
            Answer::line(format!("user {user} set"), json!({"user": user, "result": "set"}))
        }
        UsersAction::Delete { user, mechanism: only } => {
            let only = only.map(|name| mechanism(name).0);
            let found = credentials(client, Some(&user))?;
            let mut numbers: Vec<i8> = found.iter().map(|(_, number, _)| *number).collect();
            numbers.retain(|number| only.is_none_or(|only| only == *number));
            if numbers.is_empty() {
                let of = only.map_or_else(String::new, |only| format!(" for {}", mechanism_name(only)));
                bail!("user {user} has no credentials{of}");
            }
            for number in numbers {
                let deletion =
                    ScramCredentialDeletion::default().with_name(text(&user)).with_mechanism(number);
                alter(client, AlterUserScramCredentialsRequest::default().with_deletions(vec![deletion]))?;
            }
            Answer::line(format!("user {user} deleted"), json!({"user": user, "result": "deleted"}))
        }
    };
    answer.print(&args.cluster)?;
    Ok(ExitCode::SUCCESS)
}

/// User, mechanism's number and iterations, of one user or all.
fn credentials(client: &mut Client, user: Option<&str>) -> Result<Vec<(String, i8, i32)>> {
    let names = user.map(|user| vec![UserName::default().with_name(text(user))]);
    let request = DescribeUserScramCredentialsRequest::default().with_users(names);
    let response = client.request(Node::Any, &request)?;
    let message = response.error_message.as_deref();
    ClientError::check("DescribeUserScramCredentials", "users", response.error_code, message)?;
    let mut found = Vec::new();
    for result in response.results {
        if result.error_code == RESOURCE_NOT_FOUND {
            continue;
        }
        let (resource, message) = (format!("user {}", result.user), result.error_message.as_deref());
        ClientError::check("DescribeUserScramCredentials", resource, result.error_code, message)?;
        let infos = result.credential_infos.iter();
        found.extend(infos.map(|info| (result.user.to_string(), info.mechanism, info.iterations)));
    }
    found.sort();
    Ok(found)
}

fn alter(client: &mut Client, request: AlterUserScramCredentialsRequest) -> Result<()> {
    let response = client.request(Node::Controller, &request)?;
    for result in &response.results {
        let (resource, message) = (format!("user {}", result.user), result.error_message.as_deref());
        ClientError::check("AlterUserScramCredentials", resource, result.error_code, message)?;
    }
    Ok(())
}

fn upsertion(
    user: &str,
    name: ScramName,
    password: &str,
    iterations: i32,
) -> Result<ScramCredentialUpsertion> {
    let (number, mechanism) = mechanism(name);
    let salt = scram::random::<32>().ok_or_else(|| anyhow!("the system gives no random numbers"))?;
    let rounds = u32::try_from(iterations).ok().and_then(NonZeroU32::new);
    let rounds = rounds.ok_or_else(|| anyhow!("{iterations} iterations"))?;
    let salted = scram::salted_password(mechanism, password, &salt, rounds);
    Ok(ScramCredentialUpsertion::default()
        .with_name(text(user))
        .with_mechanism(number)
        .with_iterations(iterations)
        .with_salt(Bytes::copy_from_slice(&salt))
        .with_salted_password(Bytes::from(salted)))
}

fn password(file: Option<&Path>) -> Result<String> {
    let mut line = String::new();
    match file {
        Some(path) => {
            line =
                std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        }
        None => drop(std::io::stdin().lock().read_line(&mut line).context("cannot read the password")?),
    }
    let password = line.lines().next().unwrap_or_default();
    if password.is_empty() {
        bail!("the password is empty: give it as the first line of stdin or of --password-file");
    }
    Ok(password.to_owned())
}
