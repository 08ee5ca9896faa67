//! The process itself, under the names that all Prometheus clients use.

use crate::rest::metrics::Page;
use std::fs;

/// Linux counts processes' time in hundredths of a second (`USER_HZ`), whatever its own clock.
const TICKS_PER_SECOND: f64 = 100.0;

/// What `/proc/self` says; nothing where there is none.
pub(super) fn process(page: &mut Page) {
    let mut one = |name: &str, kind: &str, help: &str, value: Option<f64>| {
        if let Some(value) = value {
            page.family(name, kind, help, [(String::new(), value)]);
        }
    };
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let seconds = cpu_ticks(&stat).map(|ticks| ticks / TICKS_PER_SECOND);
    one("process_cpu_seconds_total", "counter", "User and system CPU time", seconds);
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let memory = number(&status, "VmRSS:").map(|kib| kib * 1024.0);
    one("process_resident_memory_bytes", "gauge", "Resident memory", memory);
    one("process_threads", "gauge", "Threads", number(&status, "Threads:"));
    let open = fs::read_dir("/proc/self/fd").ok().map(|files| files.count() as f64);
    one("process_open_fds", "gauge", "Open file descriptors", open);
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    one("process_max_fds", "gauge", "Most open file descriptors", number(&limits, "Max open files"));
}

/// The first number behind `key`, which begins a line.
fn number(text: &str, key: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse().ok()
}

/// User and system time of `/proc/self/stat`, in ticks. The second field, in parentheses, may hold spaces.
fn cpu_ticks(stat: &str) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11).map(|field| field.parse::<f64>().ok());
    Some(fields.next()?? + fields.next()??)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_found_behind_a_name_with_spaces() {
        let stat = "1 (b) d (x) S 0 1 1 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 1 0 9 1 1";
        assert_eq!(cpu_ticks(stat), Some(300.0));
    }

    #[test]
    fn the_process_tells_its_memory_files_and_cpu_time() {
        let mut page = Page::default();
        process(&mut page);
        for name in [
            "process_cpu_seconds_total",
            "process_resident_memory_bytes",
            "process_threads",
            "process_open_fds",
            "process_max_fds",
        ] {
            let line = page.text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
            let value = line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok());
            assert!(value.is_some_and(|value| value >= 0.0), "{name} in {}", page.text);
        }
    }
}
