//! Python's `fastavro`, in a process of its own that measures its own CPU time; it gets the very datums that bd reads.

use crate::AvroBids;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

pub(crate) struct Peer {
    folder: Result<PathBuf, String>,
}

impl Peer {
    pub(crate) fn new(bids: &AvroBids) -> Self {
        let folder = std::env::temp_dir().join(format!("bd-codec-bench-{}", std::process::id()));
        let write = || -> std::io::Result<()> {
            std::fs::create_dir_all(&folder)?;
            std::fs::write(folder.join("schema.json"), &bids.declaration)?;
            let mut file = std::fs::File::create(folder.join("datums"))?;
            let mut all = Vec::new();
            for payload in &bids.payloads {
                // Without the framing.
                let datum = payload.get(5..).unwrap_or_default();
                all.extend_from_slice(&(datum.len() as u32).to_be_bytes());
                all.extend_from_slice(datum);
            }
            file.write_all(&all)
        };
        let result = write().map_err(|e| e.to_string());
        Self { folder: result.map(|()| folder) }
    }

    /// Records a second, read and written; `None` where it is missing.
    pub(crate) fn round(&mut self) -> Option<(f64, f64)> {
        let folder = self.folder.clone().ok()?;
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/fastavro_rate.py");
        let found = match Command::new("python3").arg(script).arg(&folder).output() {
            Err(error) => Err(format!("python3: {error}")),
            Ok(out) if out.status.success() => {
                let text = String::from_utf8_lossy(&out.stdout).into_owned();
                let mut numbers = text.split_whitespace().filter_map(|n| n.parse::<f64>().ok());
                numbers.next().zip(numbers.next()).ok_or_else(|| "its script says no rates".to_owned())
            }
            Ok(out) => {
                Err(String::from_utf8_lossy(&out.stderr).lines().last().unwrap_or_default().to_owned())
            }
        };
        match found {
            Ok(pair) => Some(pair),
            Err(why) => {
                self.remove();
                self.folder = Err(why);
                None
            }
        }
    }

    pub(crate) fn missing(&self) -> &str {
        self.folder.as_ref().err().map_or("", String::as_str)
    }

    fn remove(&self) {
        if let Ok(folder) = &self.folder {
            // What stays lies in the folder for such files.
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.remove();
    }
}
