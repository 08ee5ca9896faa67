//! Bounds that all listeners of a broker share: connections, connections from one address, bytes of requests.

use super::threads::Threads;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Weak};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Requests are counted in units of so many bytes.
const UNIT: usize = 1 << 10;

/// The limits of a broker's listeners.
#[derive(Debug)]
pub(crate) struct Network {
    connections: Arc<Semaphore>,
    by_address: Arc<Mutex<HashMap<IpAddr, usize>>>,
    per_address: usize,
    requests: Arc<Semaphore>,
    request_units: u32,
    threads: Mutex<Weak<Threads>>,
}

impl Network {
    /// `max.connections`, `max.connections.per.ip` and `queued.max.request.bytes`.
    pub(crate) fn new(connections: usize, per_address: usize, request_bytes: usize) -> Self {
        let request_units = u32::try_from(request_bytes / UNIT).unwrap_or(u32::MAX).max(1);
        Self {
            connections: Arc::new(Semaphore::new(connections.min(Semaphore::MAX_PERMITS))),
            by_address: Arc::default(),
            per_address,
            requests: Arc::new(Semaphore::new((request_units as usize).min(Semaphore::MAX_PERMITS))),
            request_units,
            threads: Mutex::default(),
        }
    }

    /// The threads that serve connections: those that another listener uses, or `n` new ones.
    pub(super) fn threads(&self, n: usize) -> io::Result<Arc<Threads>> {
        let mut threads = self.threads.lock();
        if let Some(running) = threads.upgrade() {
            return Ok(running);
        }
        let started = Threads::start(n)?;
        *threads = Arc::downgrade(&started);
        Ok(started)
    }

    /// Room for one more connection; waits for it.
    pub(super) async fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.connections).acquire_owned().await.ok()
    }

    /// `None` where the address has all the connections it may have.
    pub(super) fn admit(&self, place: Option<OwnedSemaphorePermit>, address: IpAddr) -> Option<Slot> {
        let address = address.to_canonical();
        let mut by_address = self.by_address.lock();
        let open = by_address.get(&address).copied().unwrap_or(0);
        if open >= self.per_address {
            return None;
        }
        by_address.insert(address, open + 1);
        Some(Slot { _place: place, by_address: Arc::clone(&self.by_address), address })
    }

    /// Waits for room for `bytes` more of requests. One request that is larger than all the room gets all of it.
    pub(super) async fn room(self: Arc<Self>, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX).min(self.request_units);
        Arc::clone(&self.requests).acquire_many_owned(units).await.ok()
    }
}

/// An open connection's share of the limits; given back when dropped.
#[derive(Debug)]
pub(super) struct Slot {
    _place: Option<OwnedSemaphorePermit>,
    by_address: Arc<Mutex<HashMap<IpAddr, usize>>>,
    address: IpAddr,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut by_address = self.by_address.lock();
        if let Some(open) = by_address.get_mut(&self.address) {
            *open -= 1;
            if *open == 0 {
                by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_no_more_connections_than_it_may_and_gets_them_back() {
        let network = Network::new(10, 2, 1024);
        let address: IpAddr = [127, 0, 0, 1].into();
        let first = network.admit(None, address);
        let second = network.admit(None, address);
        assert!(first.is_some() && second.is_some() && network.admit(None, address).is_none());
        assert!(network.admit(None, [127, 0, 0, 2].into()).is_some(), "others are not held up");
        drop(first);
        assert!(network.admit(None, address).is_some());
        drop(second);
        assert!(network.by_address.lock().is_empty(), "nothing is kept of addresses that left");
    }

    #[tokio::test]
    async fn a_request_larger_than_all_the_room_gets_all_of_it() {
        let network = Arc::new(Network::new(1, 1, 8 * UNIT));
        let all = Arc::clone(&network).room(100 * UNIT).await;
        assert!(all.is_some());
        assert_eq!(network.requests.available_permits(), 0);
        drop(all);
        assert_eq!(network.requests.available_permits(), 8);
    }
}
