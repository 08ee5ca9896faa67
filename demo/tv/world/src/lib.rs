//! The world around the digital-TV pipeline: what bd's sources read from, and the supervisor that `make demo` runs.
//!
//! ```text
//!  demo (supervisor) ─┬─ servers: MariaDB, Mosquitto           private instances under DATA
//!                     ├─ run or replay ─┬─ MariaDB   users     inserts, updates, deletes
//!                     │                 ├─ Mosquitto actions   QoS 2, tv/{device_id}/actions
//!                     │                 ├─ Parquet   channels  the schedule, nested
//!                     │                 └─ REST      places    OpenWeather's shape
//!                     └─ bd up tv.yaml      reads all of it through its connectors
//! ```
//! * [`world`] is the model: pure functions of a seed and of time, without I/O. [`run`] lets it live; [`replay`] plays a recorded
//!   case through the same servers in its place.
//! * [`mqtt`] is a publisher that keeps what is not acknowledged, over kills of itself and of the broker.
//! * [`servers`] starts and stops the servers; [`supervise`] keeps everything running and ends it in good order. All are processes of
//!   their own: they outlive bd and the supervisor, whose next start adopts them ([`process`]).
//!
//! Not here: what bd does with any of it (`demo/tv/sql`, `demo/tv/tv.yaml`), and how cases are made and compared (`demo/tv/cases`).

pub mod bd;
pub mod clock;
pub mod files;
pub mod layout;
pub mod mqtt;
pub mod process;
pub mod replay;
pub mod rest;
pub mod run;
pub mod schedule;
pub mod servers;
pub mod supervise;
pub mod users;
pub mod world;
