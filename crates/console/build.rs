//! Embeds the built UI (`ui/dist`), if there is one: one table of its files, with their compressed forms.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let root = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).unwrap_or_default();
    let dist = root.join("../../ui/dist");
    // It must be there for cargo to notice what comes into it; that it is empty says that the UI was not built.
    let _ = fs::create_dir_all(&dist);
    println!("cargo::rerun-if-changed={}", dist.display());
    println!("cargo::rerun-if-changed=build.rs");
    let dist = dist.canonicalize().unwrap_or(dist);
    let mut files = Vec::new();
    collect(&dist, &mut files)?;
    files.sort();
    let mut table = String::from("[\n");
    for file in files.iter().filter(|f| !is_compressed(f)) {
        let path = file.strip_prefix(&dist).unwrap_or(file).to_string_lossy().replace('\\', "/");
        let of = |ending: &str| {
            let other = PathBuf::from(format!("{}.{ending}", file.display()));
            if other.is_file() {
                format!("Some(include_bytes!({:?}))", other.display().to_string())
            } else {
                "None".into()
            }
        };
        let bytes = file.display().to_string();
        // Writing to a String cannot fail.
        let _ = writeln!(
            table,
            "Asset {{ path: {path:?}, bytes: include_bytes!({bytes:?}), br: {}, gz: {} }},",
            of("br"),
            of("gz")
        );
    }
    table.push_str("]\n");
    let out = env::var_os("OUT_DIR").map(PathBuf::from).unwrap_or_default();
    fs::write(out.join("assets.rs"), table)
}

fn is_compressed(file: &Path) -> bool {
    file.extension().is_some_and(|e| e == "br" || e == "gz")
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(()) };
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() { collect(&path, files)? } else { files.push(path) }
    }
    Ok(())
}
