//! What the machine itself can do, so that figures can be held against it: copying memory, loopback, writing to the disk with
//! fsync, reading from it what is not in memory.
//!
//! Each is the plain loop of system calls that a broker cannot do without, in one thread (loopback: two).

use crate::results::{self, Entry, Floor, Scale};
use crate::table::{median, percentile};
use anyhow::{Context, Result};
use clap::Args;
use rustix::fs::{Advice, Mode, OFlags, fadvise, fdatasync, open};
use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// Each figure is the median of so many runs.
const RUNS: usize = 3;
const MB: usize = 1 << 20;
/// What a client of ours sends in one batch, and writes of a paced one at the rates of `log`.
const BATCH: usize = 64 << 10;
/// More than a processor's caches hold.
const COPIED: usize = 256 * MB;
const SENT: usize = 1024 * MB;
const PINGS: usize = 20_000;
const SYNCED_BATCHES: usize = 2000;
/// Direct reads go around the page cache, and need places in memory and file that are multiples of this.
const ALIGNED: usize = 4096;

#[derive(Args)]
pub(crate) struct Options {
    /// A folder on the disk to be measured
    #[arg(long)]
    work: PathBuf,
    /// Megabytes of the file that is written and read
    #[arg(long, default_value_t = 512)]
    megabytes: usize,
    /// Seconds of each measurement of paced writes
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Where results are appended
    #[arg(long)]
    results: PathBuf,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    std::fs::create_dir_all(&options.work).with_context(|| options.work.display().to_string())?;
    let note = |what: &str, unit: &str, measure: &dyn Fn() -> Result<f64>| -> Result<()> {
        let runs = (0..RUNS).map(|_| measure()).collect::<Result<Vec<f64>>>()?;
        let value = median(runs);
        println!("{what}: {value:.1} {unit}");
        let found = Scale { what: what.to_owned(), value, unit: unit.to_owned() };
        results::append(&options.results, &Entry::Limit(found))
    };
    let file = options.work.join("limits.bin");
    note("copy memory, 1 MB at a time", "MB/s", &|| Ok(copy_memory()))?;
    note("loopback, 1 MB at a time, one connection", "MB/s", &loopback)?;
    note("loopback, 100 bytes there and back, p50", "us", &|| ping(0.5))?;
    note("disk: write 64 KB + fdatasync, one after the other", "MB/s", &|| synced_batches(&file))?;
    note("disk: write 1 MB at a time, one fdatasync at the end", "MB/s", &|| {
        write(&file, options.megabytes)
    })?;
    note("disk: read cold, 1 MB at a time", "MB/s", &|| read_cold(&file, options.megabytes))?;
    note("disk: read around the page cache, 4 MB at a time", "MB/s", &|| {
        read_direct(&file, options.megabytes)
    })?;
    std::fs::remove_file(&file)?;
    for rate in crate::log::RATES {
        let floor = paced(&options.work, rate, Duration::from_secs(options.seconds))?;
        println!(
            "{rate} records/s: write + fdatasync each ms: p50 {:.2} ms, p99 {:.2} ms",
            floor.p50_ms, floor.p99_ms
        );
        results::append(&options.results, &Entry::Floor(floor))?;
    }
    Ok(())
}

fn megabytes_a_second(bytes: usize, began: Instant) -> f64 {
    bytes as f64 / 1e6 / began.elapsed().as_secs_f64()
}

fn copy_memory() -> f64 {
    // Written, so that the pages are there before the clock starts.
    let (from, mut to) = (vec![1_u8; COPIED], vec![2_u8; COPIED]);
    let began = Instant::now();
    for (to, from) in to.chunks_mut(MB).zip(from.chunks(MB)) {
        to.copy_from_slice(from);
    }
    let rate = megabytes_a_second(COPIED, began);
    std::hint::black_box(&to);
    rate
}

fn loopback() -> Result<f64> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?;
    let sender = thread::spawn(move || -> Result<()> {
        let mut socket = TcpStream::connect(address)?;
        let bytes = vec![1; MB];
        (0..SENT / MB).try_for_each(|_| socket.write_all(&bytes))?;
        Ok(())
    });
    let (mut socket, mut bytes, mut got) = (listener.accept()?.0, vec![0; MB], 0);
    let began = Instant::now();
    while got < SENT {
        match socket.read(&mut bytes)? {
            0 => break,
            n => got += n,
        }
    }
    let rate = megabytes_a_second(got, began);
    sender.join().map_err(|_| anyhow::anyhow!("the sender has failed"))??;
    Ok(rate)
}

fn ping(part: f64) -> Result<f64> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?;
    let echo = thread::spawn(move || -> Result<()> {
        let mut socket = listener.accept()?.0;
        socket.set_nodelay(true)?;
        let mut bytes = [0; 100];
        (0..PINGS).try_for_each(|_| socket.read_exact(&mut bytes).and_then(|()| socket.write_all(&bytes)))?;
        Ok(())
    });
    let mut socket = TcpStream::connect(address)?;
    socket.set_nodelay(true)?;
    let (mut bytes, mut took) = ([0; 100], Vec::with_capacity(PINGS));
    for _ in 0..PINGS {
        let began = Instant::now();
        socket.write_all(&bytes)?;
        socket.read_exact(&mut bytes)?;
        took.push(began.elapsed().as_secs_f64() * 1e6);
    }
    echo.join().map_err(|_| anyhow::anyhow!("the echo has failed"))??;
    Ok(percentile(&took, part))
}

fn create(path: &Path) -> Result<File> {
    let file = File::options().create(true).truncate(true).read(true).write(true).open(path);
    file.with_context(|| path.display().to_string())
}

fn synced_batches(path: &Path) -> Result<f64> {
    let (file, bytes) = (create(path)?, vec![1; BATCH]);
    let began = Instant::now();
    for i in 0..SYNCED_BATCHES {
        file.write_all_at(&bytes, (i * BATCH) as u64)?;
        fdatasync(&file)?;
    }
    Ok(megabytes_a_second(SYNCED_BATCHES * BATCH, began))
}

fn write(path: &Path, megabytes: usize) -> Result<f64> {
    let (file, bytes) = (create(path)?, vec![1; MB]);
    let began = Instant::now();
    for i in 0..megabytes {
        file.write_all_at(&bytes, (i * MB) as u64)?;
    }
    fdatasync(&file)?;
    Ok(megabytes_a_second(megabytes * MB, began))
}

fn read_cold(path: &Path, megabytes: usize) -> Result<f64> {
    let (file, mut bytes) = (File::open(path)?, vec![0; MB]);
    fadvise(&file, 0, None, Advice::DontNeed)?;
    let began = Instant::now();
    for i in 0..megabytes {
        file.read_exact_at(&mut bytes, (i * MB) as u64)?;
    }
    Ok(megabytes_a_second(megabytes * MB, began))
}

fn read_direct(path: &Path, megabytes: usize) -> Result<f64> {
    let file = File::from(open(path, OFlags::RDONLY | OFlags::DIRECT, Mode::empty())?);
    let step = 4 * MB;
    let mut room = vec![0; step + ALIGNED];
    let start = room.as_ptr().align_offset(ALIGNED);
    let bytes = room.get_mut(start..start + step).context("no aligned memory")?;
    let (began, end) = (Instant::now(), (megabytes * MB / step * step) as u64);
    let mut at = 0;
    while at < end {
        file.read_exact_at(bytes, at)?;
        at += step as u64;
    }
    Ok(megabytes_a_second(end as usize, began))
}

/// What the disk alone takes of an acknowledged batch: each ms the records of 100 bytes of that ms are written into blocks that
/// exist, and fdatasynced. A write that is late because of the one before it counts from when it was due.
pub(crate) fn paced(folder: &Path, rate: u64, lasts: Duration) -> Result<Floor> {
    let path = folder.join("limits-paced.bin");
    let file = create(&path)?;
    // As bd writes them: 107 bytes a record, 61 a batch.
    let bytes = vec![1; (rate / 1000 * 107 + 61) as usize];
    let count = lasts.as_millis() as usize;
    let zeros = vec![0; bytes.len() * 1000];
    for i in 0..count.div_ceil(1000) {
        file.write_all_at(&zeros, (i * zeros.len()) as u64)?;
    }
    fdatasync(&file)?;
    let (began, mut took) = (Instant::now(), Vec::with_capacity(count));
    for i in 0..count {
        let due = began + Duration::from_millis(i as u64);
        if let Some(wait) = due.checked_duration_since(Instant::now()) {
            thread::sleep(wait);
        }
        file.write_all_at(&bytes, (i * bytes.len()) as u64)?;
        fdatasync(&file)?;
        took.push(due.elapsed().as_secs_f64() * 1e3);
    }
    std::fs::remove_file(&path)?;
    let at = |part| percentile(&took, part);
    Ok(Floor { rate, p50_ms: at(0.5), p99_ms: at(0.99), p999_ms: at(0.999), max_ms: at(1.0) })
}
