//! The one door through which time comes in: the wall clock as it was at the start, plus what has passed since by the
//! monotonic clock. Setting the machine's clock moves nothing here.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use madang_room::Timestamp;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    started_at: Timestamp,
    started: Instant,
}

impl Clock {
    pub(crate) fn start() -> Clock {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let millis = i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX);
        Clock { started_at: Timestamp(millis), started: Instant::now() }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.started_at.plus(self.started.elapsed())
    }
}
