//! `bd config`: the keys of the pipeline file.

use crate::cli::ConfigArgs;
use crate::config::schema;
use anyhow::Result;
use std::process::ExitCode;

pub(super) fn run(args: &ConfigArgs) -> Result<ExitCode> {
    match args.schema {
        true => super::print(&format!("{:#}\n", schema::schema()))?,
        false => super::print(&schema::documentation())?,
    }
    Ok(ExitCode::SUCCESS)
}
