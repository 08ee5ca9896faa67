//! What is known of topics: all of them by their offsets ([`TopicList`]), those of dashboards by their records ([`Tap`]), and the
//! newest messages of one ([`messages`]).

mod list;
mod messages;
mod tap;

pub(crate) use list::TopicList;
pub(crate) use messages::{Asked, messages};
pub(crate) use tap::{Tap, Tapping};
