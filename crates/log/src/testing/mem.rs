//! A disk in memory that knows what is durable: the model of power loss.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::{Fs, FsFile, OpenMode};

/// The unit in which a disk writes: at power loss each has either its old or its new content.
const SECTOR_BYTES: usize = 512;

/// What of the unsynced writes reached the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PowerLoss {
    /// Nothing.
    DropUnsynced,
    /// All: only the process died, the system wrote everything.
    KeepAll,
    /// Any part: sectors, file lengths and names are chosen at random, as this seed says.
    Random(u64),
}

/// A file system in memory. Clones are the same disk. Content is durable after an fsync of the file, names after one of
/// the folder; folders themselves always are.
#[derive(Clone, Default)]
pub struct MemFs {
    disk: Arc<Mutex<Disk>>,
}

#[derive(Default)]
struct Disk {
    files: HashMap<u64, Content>,
    names: BTreeMap<PathBuf, u64>,
    durable_names: BTreeMap<PathBuf, u64>,
    next_file: u64,
    /// Counts power losses: handles from before are dead.
    generation: u64,
    /// Changes that still succeed before the power is cut.
    budget: Option<u64>,
}

impl Disk {
    /// Passes one change, unless the power is cut before it.
    fn change(&mut self) -> io::Result<()> {
        match &mut self.budget {
            Some(0) => Err(io::Error::other("the power is cut")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

#[derive(Default)]
struct Content {
    now: Vec<u8>,
    durable: Vec<u8>,
}

impl MemFs {
    /// An empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// The power is cut after so many more changes (writes, truncations, fsyncs, creations, renames, removals): all
    /// later ones fail, until [`MemFs::power_loss`].
    pub fn cut_power_after(&self, changes: u64) {
        self.disk.lock().budget = Some(changes);
    }

    /// The power fails and comes back: what was not fsynced is lost as `loss` says, open handles only fail from now on.
    pub fn power_loss(&self, loss: PowerLoss) {
        let mut disk = self.disk.lock();
        let mut random = Random(match loss {
            PowerLoss::Random(seed) => seed ^ 0x9e37_79b9_7f4a_7c15,
            PowerLoss::DropUnsynced | PowerLoss::KeepAll => 0,
        });
        let mut keep = |of: usize| match loss {
            PowerLoss::DropUnsynced => false,
            PowerLoss::KeepAll => true,
            PowerLoss::Random(_) => random.below(of) != 0,
        };
        let paths: BTreeSet<PathBuf> = disk.names.keys().chain(disk.durable_names.keys()).cloned().collect();
        for path in paths {
            let (now, durable) = (disk.names.get(&path).copied(), disk.durable_names.get(&path).copied());
            match if keep(2) { now } else { durable } {
                Some(file) => disk.names.insert(path, file),
                None => disk.names.remove(&path),
            };
        }
        // In the order of file numbers: a hash map's order would make the seed meaningless.
        let mut numbers: Vec<u64> = disk.files.keys().copied().collect();
        numbers.sort_unstable();
        for number in numbers {
            let Some(content) = disk.files.get_mut(&number) else { continue };
            if loss == PowerLoss::KeepAll {
                content.durable.clone_from(&content.now);
            } else {
                content.lose(&mut keep);
            }
        }
        disk.durable_names = disk.names.clone();
        disk.generation += 1;
        disk.budget = None;
    }
}

impl Content {
    fn lose(&mut self, keep: &mut impl FnMut(usize) -> bool) {
        let (now, durable) = (&self.now, &self.durable);
        let mut len = durable.len();
        if keep(2) {
            len = now.len();
            while len > durable.len() && keep(3) {
                len = len.saturating_sub(97).max(durable.len());
            }
        }
        let mut after = vec![0; len];
        for (i, sector) in after.chunks_mut(SECTOR_BYTES).enumerate() {
            let source = if keep(4) { now } else { durable };
            let from = source.get(i * SECTOR_BYTES..).unwrap_or_default();
            for (target, byte) in sector.iter_mut().zip(from) {
                *target = *byte;
            }
        }
        self.durable.clone_from(&after);
        self.now = after;
    }
}

/// A small generator of pseudo-random numbers (xorshift64*).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound
    }
}

struct MemFile {
    disk: Arc<Mutex<Disk>>,
    number: u64,
    generation: u64,
}

impl MemFile {
    fn change<T>(&self, act: impl FnOnce(&mut Content) -> T) -> io::Result<T> {
        self.disk.lock().change()?;
        self.with(act)
    }

    fn with<T>(&self, act: impl FnOnce(&mut Content) -> T) -> io::Result<T> {
        let mut disk = self.disk.lock();
        if disk.generation != self.generation {
            return Err(io::Error::other("the power failed since this file was opened"));
        }
        disk.files.get_mut(&self.number).map(act).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl FsFile for MemFile {
    fn read_at(&self, position: u64, len: usize, buf: &mut Vec<u8>) -> io::Result<usize> {
        self.with(|content| {
            let start = (position as usize).min(content.now.len());
            let end = start.saturating_add(len).min(content.now.len());
            buf.extend_from_slice(content.now.get(start..end).unwrap_or_default());
            end - start
        })
    }

    fn write_at(&self, position: u64, data: &[u8]) -> io::Result<usize> {
        self.change(|content| {
            let start = position as usize;
            let end = start + data.len();
            if content.now.len() < end {
                content.now.resize(end, 0);
            }
            if let Some(target) = content.now.get_mut(start..end) {
                target.copy_from_slice(data);
            }
            data.len()
        })
    }

    fn sync(&self) -> io::Result<()> {
        self.change(|content| content.durable.clone_from(&content.now))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(|content| content.now.resize(len as usize, 0))
    }

    fn len(&self) -> io::Result<u64> {
        self.with(|content| content.now.len() as u64)
    }
}

impl Fs for MemFs {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn FsFile>> {
        let mut disk = self.disk.lock();
        if mode == OpenMode::Create {
            disk.change()?;
        }
        let number = match (disk.names.get(path).copied(), mode) {
            (Some(number), OpenMode::Create) => {
                disk.files.entry(number).or_default().now.clear();
                number
            }
            (Some(number), _) => number,
            (None, OpenMode::Create) => {
                let number = disk.next_file;
                disk.next_file += 1;
                disk.files.insert(number, Content::default());
                disk.names.insert(path.to_path_buf(), number);
                number
            }
            (None, _) => return Err(io::ErrorKind::NotFound.into()),
        };
        let generation = disk.generation;
        drop(disk);
        Ok(Arc::new(MemFile { disk: self.disk.clone(), number, generation }))
    }

    fn create_dir_all(&self, _dir: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        let disk = self.disk.lock();
        Ok(disk.names.keys().filter(|path| path.parent() == Some(dir)).cloned().collect())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.change()?;
        disk.names.remove(path).map(|_| ()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.change()?;
        let number = disk.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        disk.names.insert(to.to_path_buf(), number);
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.change()?;
        let in_dir = |path: &Path| path.parent() == Some(dir);
        let synced: Vec<_> =
            disk.names.iter().filter(|(path, _)| in_dir(path)).map(|(p, n)| (p.clone(), *n)).collect();
        disk.durable_names.retain(|path, _| !in_dir(path));
        disk.durable_names.extend(synced);
        Ok(())
    }
}
