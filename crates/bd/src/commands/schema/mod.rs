//! `bd schema`: what is in a schema registry, and what would become of it.
//!
//! ```text
//!  files, stdin ─ source ─▶ text, type, references ─┬─▶ check, register ─▶ registry
//!  registry ─▶ list, show, delete                   └─▶ diff: fields of both ─▶ changes, and who reads what
//!  sample data ─ infer ─▶ text on stdout, what was seen on stderr
//! ```

mod check;
mod diff;
mod explain;
mod infer;
mod list;
mod pretty;
mod register;
mod show;
mod source;

use super::Answer;
use crate::cli::{RegistryArgs, SchemaAction, SchemaArgs, SchemaList};
use anyhow::{Result, anyhow};
use bd_schema::{RegistryCallError, RegistryClient};
use serde_json::json;
use std::process::ExitCode;

const DEFAULT_REGISTRY: &str = "http://127.0.0.1:8081";
/// The registry, where `--registry` does not say.
const REGISTRY_VARIABLE: &str = "BD_REGISTRY";

pub(super) fn run(args: SchemaArgs) -> Result<ExitCode> {
    let json = args.registry.json;
    let registry = Registry::new(&args.registry)?;
    match args.action.unwrap_or(SchemaAction::List(SchemaList::default())) {
        SchemaAction::List(args) => list::list(&registry, &args)?.print_as(json)?,
        SchemaAction::Show(args) => show::show(&registry, &args)?.print_as(json)?,
        SchemaAction::Diff(args) => diff::diff(&registry, &args)?.print_as(json)?,
        SchemaAction::Check(args) => return verdict(&check::check(&registry, &args)?, json),
        SchemaAction::Register(args) => return verdict(&register::register(&registry, &args)?, json),
        SchemaAction::Delete(args) => {
            let (subject, version) = subject_version(&args.subject);
            delete(&registry, subject, version, args.permanent)?.print_as(json)?;
        }
        SchemaAction::Infer(args) => infer::infer(&args, json)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// An answer that is a yes or a no.
struct Verdict {
    passed: bool,
    answer: Answer,
}

fn verdict(verdict: &Verdict, json: bool) -> Result<ExitCode> {
    verdict.answer.print_as(json)?;
    Ok(if verdict.passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The registry that the options name.
struct Registry {
    client: RegistryClient,
    url: String,
}

impl Registry {
    fn new(args: &RegistryArgs) -> Result<Self> {
        let url = args.registry.clone().or_else(|| std::env::var(REGISTRY_VARIABLE).ok());
        let url = url.filter(|url| !url.trim().is_empty()).unwrap_or_else(|| DEFAULT_REGISTRY.to_owned());
        let client = super::registry(&url, &args.properties)?;
        Ok(Self { client, url })
    }

    /// What a call gave; where nothing answers, with what may help.
    fn call<T>(&self, call: impl FnOnce(&RegistryClient) -> Result<T, RegistryCallError>) -> Result<T> {
        call(&self.client).map_err(|error| match error {
            // Something is there.
            RegistryCallError::Unavailable(error) if error.to_string().contains(" answers ") => {
                anyhow!(error)
            }
            RegistryCallError::Unavailable(error) => {
                let url = hidden_password(&self.url);
                anyhow!(
                    "{error}\nIs a schema registry at {url}? --registry or {REGISTRY_VARIABLE} say where; \
                     `bd up` starts one at {DEFAULT_REGISTRY}."
                )
            }
            refused => anyhow!(refused),
        })
    }
}

fn hidden_password(url: &str) -> String {
    let of = |url: &str| match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
        _ => url.to_owned(),
    };
    url.split(',').map(of).collect::<Vec<_>>().join(",")
}

/// `SUBJECT`, `SUBJECT:3` or `SUBJECT:latest`. A colon may also end a context's name: `:.context:subject`.
fn subject_version(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((subject, version))
            if (version == "latest" || is_number(version))
                && (subject.strip_prefix(":.").is_none_or(|rest| rest.contains(':'))
                    && !subject.is_empty()) =>
        {
            (subject, Some(version))
        }
        _ => (text, None),
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn delete(registry: &Registry, subject: &str, version: Option<&str>, permanent: bool) -> Result<Answer> {
    let versions = registry.call(|client| client.delete(subject, version, permanent))?;
    let shown: Vec<String> = versions.iter().map(u64::to_string).collect();
    let how = if permanent { "deleted for good" } else { "deleted" };
    let text = match versions.as_slice() {
        [] => format!("{subject}: nothing deleted"),
        [one] => format!("{subject}, version {one} {how}"),
        _ => format!("{subject}, versions {} {how}", shown.join(", ")),
    };
    Ok(Answer::line(text, json!({"subject": subject, "versions": versions, "permanent": permanent})))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_follows_the_subjects_last_colon() {
        for (text, wanted) in [
            ("orders-value", ("orders-value", None)),
            ("orders-value:3", ("orders-value", Some("3"))),
            ("orders-value:latest", ("orders-value", Some("latest"))),
            ("a:b", ("a:b", None)),
            (":.lab:orders", (":.lab:orders", None)),
            (":.lab:7", (":.lab:7", None)),
            (":.lab:7:2", (":.lab:7", Some("2"))),
        ] {
            assert_eq!(subject_version(text), wanted, "{text}");
        }
    }

    #[test]
    fn a_password_in_the_url_is_not_printed() {
        assert_eq!(hidden_password("https://u:p@r:8081,http://b:1"), "https://r:8081,http://b:1");
    }
}
