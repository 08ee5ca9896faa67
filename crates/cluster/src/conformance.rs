//! The behaviour tests that every home of [`crate::Cluster`] calls.
